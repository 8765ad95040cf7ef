#include "repair/flight_check.h"

#include <stdlib.h>

#include "base/memory.h"

#define NOT_SEEN INT64_MIN


void
flight_check_begin(struct flight_check *f, const uint64_t *ids, size_t n)
{
    if (f->running) {
        return;
    }

    in_flight_begin(&f->pass, ids, n, 0);
    free(f->held);
    f->held = memory_resize(NULL, n > 0 ? n : 1, sizeof(*f->held));
    f->running = 1;

    for (size_t i = 0; i < n; i++) {
        f->held[i] = NOT_SEEN;
    }
}


void
flight_check_see(struct flight_check *f, uint64_t id, int64_t in_flight)
{
    const struct in_flight_product *p = f->running ? in_flight_find(&f->pass, id) : NULL;

    if (p != NULL) {
        f->held[p - f->pass.products] = in_flight;
    }
}


int
flight_check_step(struct flight_check *f, struct redis_connection *conn)
{
    return in_flight_step(&f->pass, conn);
}


/* One more pass that showed a difference. Returns 1 where it is enough to name it. */
static int
is_enough(struct flight_difference *now, const struct flight_difference *before)
{
    if (before != NULL) {
        now->any = before->any + 1;
        now->same = now->units == before->units ? before->same + 1 : 1;
    }

    return now->same >= FLIGHT_CHECK_SAME || now->any >= FLIGHT_CHECK_ANY;
}


/* Takes the place of the differences of the pass before; those that were named begin anew. */
static void
compare(struct flight_check *f, void (*suspect)(uint64_t id, void *data), void *data)
{
    struct flight_difference *now = memory_resize(NULL, f->pass.count > 0 ? f->pass.count : 1, sizeof(*now));
    size_t count = 0, k = 0;

    for (size_t i = 0; i < f->pass.count; i++) {
        const struct in_flight_product *p = &f->pass.products[i];
        int64_t units = p->queue_units + p->dead_units;

        if (f->held[i] == NOT_SEEN || f->held[i] == units) {
            continue;
        }

        while (k < f->count && f->differences[k].id < p->id) {
            k++;
        }

        const struct flight_difference *before = k < f->count && f->differences[k].id == p->id ? &f->differences[k]
                                                                                               : NULL;

        now[count] = (struct flight_difference) { .id = p->id, .units = f->held[i] - units, .same = 1, .any = 1 };

        if (is_enough(&now[count], before)) {
            suspect(p->id, data);
        } else {
            count++;
        }
    }

    free(f->differences);
    f->differences = now;
    f->count = count;
}


int64_t
flight_check_judge(struct flight_check *f, int64_t queued, void (*suspect)(uint64_t id, void *data), void *data)
{
    struct flight_difference queue = { .units = f->pass.orders - queued, .same = 1, .any = 1 };
    int proven = queue.units != 0 && is_enough(&queue, &f->queue) && queue.same >= FLIGHT_CHECK_SAME;

    compare(f, suspect, data);
    f->queue = queue;
    f->running = 0;
    return proven ? queue.units : 0;
}


void
flight_check_free(struct flight_check *f)
{
    in_flight_free(&f->pass);
    free(f->held);
    free(f->differences);
    *f = (struct flight_check) { 0 };
}
