#include "repair/rebuild_buyers.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/ids.h"
#include "base/stop.h"
#include "failpoint.h"
#include "redis/lease.h"
#include "repair/buyers_wanted.h"
#include "repair/rebuild_gate.h"

#define PAUSE_MS 200
#define TRIES    3000 /* of one page: another count began, or a worker counts it */

/*
 * Products that are marked are counted by a worker, where there is one: it holds the lease, and of two counts of a
 * product the later one stops the other. So those are waited for; where nobody has the lease they are counted here.
 * Products that sell on no worker counts.
 */
struct buyers_step {
    struct rebuild *r;
    struct lease lease;
    int held;
    uint64_t renewed_ms;
};


static int
hold_lease(struct buyers_step *s)
{
    if (!s->held || clock_ms() - s->renewed_ms >= LEASE_RENEW_MS) {
        s->held = lease_hold(&s->lease, s->r->redis) == 1;
        s->renewed_ms = clock_ms();
    }

    return s->held;
}


/* Asked between two steps of a count. */
static int
go_on(void *data)
{
    struct buyers_step *s = data;

    return !stop_requested() && (!s->held || hold_lease(s));
}


static enum rebuild_result
result_of(enum buyers_counted counted)
{
    switch (counted) {
    case BUYERS_DB_FAILED:
        return REBUILD_DB_FAILED;
    case BUYERS_REDIS_FAILED:
        return REBUILD_REDIS_FAILED;
    default:
        return REBUILD_DONE;
    }
}


/* ids[0 .. n), n <= BUYERS_COUNT_MOST, in two parts. *marked: how many of them, at the beginning of parts, are marked.
 */
static int
divide(struct buyers_step *s, const uint64_t *ids, size_t n, uint64_t *parts, size_t *marked)
{
    size_t first = 0, last = n;

    for (size_t i = 0; i < n; i++) {
        int wanted = buyers_is_wanted(s->r->redis, ids[i]);

        if (wanted == -1) {
            return -1;
        }

        parts[wanted ? first++ : --last] = ids[i];
    }

    *marked = first;
    return 0;
}


/* *done: 1 where all were counted, here or by a worker; 0: come again. */
static enum rebuild_result
try_page(struct buyers_step *s, const uint64_t *ids, size_t n, int *beside_done, int *done)
{
    uint64_t parts[BUYERS_COUNT_MOST], users = 0;
    size_t marked;
    enum buyers_counted counted = BUYERS_COUNTED;

    if (divide(s, ids, n, parts, &marked) == -1) {
        return REBUILD_REDIS_FAILED;
    }

    if (!*beside_done && marked < n) {
        counted = EFFECT("rebuild.count_buyers",
                         buyers_count(s->r->db, s->r->redis, parts + marked, n - marked, go_on, s, &users));
        *beside_done = counted == BUYERS_COUNTED;
    }

    if (marked > 0 && hold_lease(s)) {
        counted = EFFECT("rebuild.count_buyers", buyers_count(s->r->db, s->r->redis, parts, marked, go_on, s, &users));
    }

    s->r->buyers += users;
    *done = marked == 0 && counted == BUYERS_COUNTED;
    return result_of(counted);
}


/* n <= BUYERS_COUNT_MOST. */
static enum rebuild_result
count_page(struct buyers_step *s, const uint64_t *ids, size_t n)
{
    enum rebuild_result result = REBUILD_DONE;
    int beside_done = 0, done = 0;

    for (int i = 0; i < TRIES && !done && result == REBUILD_DONE && !stop_requested(); i++) {
        result = try_page(s, ids, n, &beside_done, &done);

        if (result == REBUILD_DONE && !done) {
            (void) stop_wait(PAUSE_MS);
        }
    }

    return result;
}


static enum rebuild_result
count_pages(struct buyers_step *s, const uint64_t *ids, size_t count)
{
    enum rebuild_result result = REBUILD_DONE;
    size_t first = 0;

    while (first < count && ids[first] <= s->r->buyers_done) {
        first++;
    }

    for (size_t n; first < count && result == REBUILD_DONE; first += n) {
        n = count - first < BUYERS_COUNT_MOST ? count - first : BUYERS_COUNT_MOST;
        result = count_page(s, ids + first, n);

        if (result == REBUILD_DONE) {
            result = rebuild_gate_note_buyers(s->r, ids[first + n - 1]);
        }
    }

    return result;
}


enum rebuild_result
rebuild_buyers(struct rebuild *r)
{
    struct buyers_step s = { .r = r };
    uint64_t *ids;
    size_t n;

    if (r->dry_run) {
        return REBUILD_DONE;
    }

    if (EFFECT("rebuild.read_limited", buyers_limited(r->db, &ids, &n)) != DB_OK) {
        return REBUILD_DB_FAILED;
    }

    if (n > 0) {
        qsort(ids, n, sizeof(*ids), ids_compare);
    }

    lease_init(&s.lease, BUYERS_LEASE, "checkoutctl");

    enum rebuild_result result = count_pages(&s, ids, n);

    if (s.held) {
        lease_give_back(&s.lease, r->redis);
    }

    free(ids);
    return result;
}
