#include "repair/recount.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/stop.h"
#include "observe/stats.h"

#define PASS_MOST_MS  60000 /* pause between two passes over all products */
#define WAIT_FIRST_MS 1000  /* after a failure; doubles up to the next */
#define WAIT_MOST_MS  300000
#define NOT_MINE_MS   LEASE_RENEW_MS


/* Asks for the lease again where it is time. Returns 1: it is this process's. Without Redis, nobody's. */
static int
hold(struct recount *r)
{
    uint64_t now = clock_ms();

    if (!r->held || now - r->lease_ms >= LEASE_RENEW_MS) {
        r->held = lease_hold(&r->lease, &r->redis) == 1;
        r->lease_ms = now;
    }

    return r->held;
}


/* Waits, and keeps the lease meanwhile: another process would begin at once what this one waits for. */
static void
wait_holding(struct recount *r, unsigned ms)
{
    while (ms > 0) {
        unsigned step = ms < LEASE_RENEW_MS ? ms : LEASE_RENEW_MS;

        if (stop_wait(step) || !hold(r)) {
            return;
        }

        ms -= step;
    }
}


/* Between two pages: a pause by what the page took, with the snapshot open and nothing locked. */
static int
rest(void *data)
{
    struct recount *r = data;
    uint64_t pause = (clock_us() - r->page_us) * RECOUNT_PAUSE_FACTOR / 1000;

    if (stop_wait((unsigned) (pause < RECOUNT_STATEMENT_MS ? pause : RECOUNT_STATEMENT_MS)) || !hold(r)) {
        return 1;
    }

    r->page_us = clock_us();
    return 0;
}


static void
report_drift(struct recount *r, const struct supply_count *count)
{
    r->drift += supply_count_difference(count);
    log_error("event=law_violated law=counters product=%" PRIu64 " live_units=%" PRId64 " in_live_orders=%" PRId64
              " supplied_units=%" PRId64 " in_movements=%" PRId64,
              count->row.product, count->row.live, count->sums.live, count->row.supplied, count->sums.supplied);
    stats_set(STATS_COUNTER_DRIFT, r->drift);
}


/*
 * Counts one product. Where the snapshot has no counters, a replica is behind the primary, or --unfinish came in
 * between: later.
 */
static enum db_result
count_product(struct recount *r, uint64_t product)
{
    struct supply_count count;
    int written;

    r->page_us = clock_us();

    enum db_result result = supply_count(&r->reader, product, rest, r, &count);

    if (result != DB_OK || count.stopped || !count.row.found || count.row.state == SUPPLY_NO_COUNTERS) {
        return result;
    }

    if (count.row.state == SUPPLY_COUNTED && supply_count_difference(&count) != 0) {
        report_drift(r, &count);
        return DB_OK;
    }

    result = supply_count_write(&r->primary, &count, &written);

    if (result == DB_OK && written && count.row.state == SUPPLY_NOT_COUNTED) {
        log_info("event=product_counted product=%" PRIu64 " live_units=%" PRId64 " supplied_units=%" PRId64, product,
                 count.sums.live, count.sums.supplied);
    }

    return result;
}


static int
is_due(const struct recount *r, const struct supply *row)
{
    return row->state != SUPPLY_COUNTED || row->counted_ms_ago >= (int64_t) r->config->worker.recount_interval;
}


/* Says so, and waits, longer each time. */
static void
fail(struct recount *r, uint64_t product)
{
    unsigned most = r->wait_ms == 0 ? WAIT_FIRST_MS : 2 * r->wait_ms;

    r->failed++;
    r->wait_ms = most < WAIT_MOST_MS ? most : WAIT_MOST_MS;
    log_warn("event=recount_failed product=%" PRIu64 " mysql=\"%s\" primary=\"%s\" wait_ms=%u", product,
             r->reader.error, r->primary.error, r->wait_ms);
    wait_holding(r, r->wait_ms);
}


static void
visit(struct recount *r, const struct supply *row)
{
    if (!is_due(r, row)) {
        return;
    }

    r->reader.error[0] = r->primary.error[0] = '\0';

    enum db_result result = row->has_counters ? DB_OK : supply_count_begin(&r->primary, row->product, row->era);

    if (result == DB_OK) {
        result = count_product(r, row->product);
    }

    if (result == DB_OK) {
        r->wait_ms = 0;
        (void) rest(r);
    } else {
        fail(r, row->product);
    }
}


/* All products once. Returns 1 where it came to the end, 0 where it did not, or the counters do not count. */
static int
pass(struct recount *r)
{
    size_t n = SUPPLY_ROWS_MOST;
    uint64_t after = 0;

    r->drift = 0;
    r->failed = 0;

    while (n == SUPPLY_ROWS_MOST) {
        r->page_us = clock_us();

        if (db_open(&r->primary) != DB_OK
            || supply_rows_read(&r->primary, after, r->rows, SUPPLY_ROWS_MOST, &n) != DB_OK)
        {
            fail(r, after);
            return 0;
        }

        if (rest(r) != 0) {
            return 0;
        }

        for (size_t i = 0; i < n; i++) {
            if (r->rows[i].era[0] == '\0' || stop_requested() || !hold(r)) {
                return 0;
            }

            visit(r, &r->rows[i]);
            after = r->rows[i].product;
        }
    }

    return r->failed == 0 && !stop_requested() && r->held;
}


static unsigned
pause_ms(const struct recount *r)
{
    unsigned interval = r->config->worker.recount_interval;

    return interval < PASS_MOST_MS ? interval : PASS_MOST_MS;
}


static void *
run(void *data)
{
    struct recount *r = data;

    while (!stop_requested()) {
        if (!hold(r)) {
            stats_set(STATS_COUNTER_DRIFT, -1);
            (void) stop_wait(NOT_MINE_MS);
            continue;
        }

        /* What was found stands, also where a pass did not come to its end; "nothing found" does not. */
        if (pass(r) || r->drift != 0) {
            stats_set(STATS_COUNTER_DRIFT, r->drift);
        } else {
            stats_set(STATS_COUNTER_DRIFT, -1);
        }

        wait_holding(r, pause_ms(r));
    }

    if (r->held) {
        lease_give_back(&r->lease, &r->redis);
    }

    db_close(&r->primary);
    db_close(&r->reader);
    db_thread_end();
    atomic_store(&r->ended, 1);
    return NULL;
}


int
recount_start(struct recount *r, const struct config *config)
{
    *r = (struct recount) {
        .config = config,
        .redis.config = config,
        .primary_server = config->db,
        .reader_server = config_has_replica(config) ? config->replica : config->db,
        .rows = memory_resize(NULL, SUPPLY_ROWS_MOST, sizeof(struct supply))
    };
    r->primary_server.statement_timeout = config_statement_timeout(config, RECOUNT_STATEMENT_MS);
    r->reader_server.statement_timeout = r->primary_server.statement_timeout;
    r->primary.server = &r->primary_server;
    r->reader.server = &r->reader_server;
    lease_init(&r->lease, "recount", config->worker.name);
    return pthread_create(&r->thread, NULL, run, r);
}


void
recount_join(struct recount *r)
{
    pthread_join(r->thread, NULL);
    redis_close(&r->redis);
    free(r->rows);
}
