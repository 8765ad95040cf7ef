#include "repair/reconciler.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "mysql/supply.h"
#include "observe/stats.h"
#include "redis/keys.h"
#include "redis/loaded_products.h"
#include "repair/sync.h"

#define SUM_MOST_ENTRIES 2000 /* longer queues are not summed: that would block Redis every second */
#define IDLE_FACTOR      20   /* a tick that keeps Redis busy for 0.1 s is followed by a pause of 2 s */
#define PAUSE_MOST_MS    5000 /* but never by more than that (or the interval, where it is longer) */
#define FAILED_SHOWN     5    /* lines at one tick; all are counted */


static const char *const action_names[] = {
    [RECONCILE_PUSH] = "push", [RECONCILE_RAISE] = "raise", [RECONCILE_SET_STOCK] = "set_stock",
    [RECONCILE_LOAD] = "load", [RECONCILE_CLOSE] = "close", [RECONCILE_RECOUNT] = "recount",
};


enum reconcile_action
reconciler_judge(const struct gate_product *gate, const struct product_row *row)
{
    int loaded = gate->register_stock != GATE_MISSING;

    if (!loaded) {
        return row->found && gate->stock != GATE_MISSING ? RECONCILE_LOAD : RECONCILE_NONE;
    }

    if (!row->found && (strcmp(gate->terms.state, "closed") != 0 || gate->register_stock != 0 || gate->damaged)) {
        return RECONCILE_CLOSE;
    }

    if (row->found && sync_must_raise(gate, row)) {
        return RECONCILE_RAISE;
    }

    if (row->found && (int64_t) row->version > gate->version) {
        return RECONCILE_PUSH;
    }

    if (gate->stock != gate_expected_stock(gate)) {
        return RECONCILE_SET_STOCK;
    }

    return gate->in_flight_sum != GATE_MISSING && gate->in_flight != gate->in_flight_sum
               ? RECONCILE_RECOUNT
               : RECONCILE_NONE;
}


static int
holds_id(const struct buffer *ids, uint64_t id)
{
    for (size_t at = 0; at + sizeof(id) <= ids->len; at += sizeof(id)) {
        if (memcmp(ids->data + at, &id, sizeof(id)) == 0) {
            return 1;
        }
    }

    return 0;
}


/* Returns 0, or -1 when Redis or MySQL failed. */
static int
recount(struct reconciler *r, const struct gate_product *gate, const struct product_row *row)
{
    buffer_add(&r->suspects, &gate->id, sizeof(gate->id));

    if (!holds_id(&r->suspects_before, gate->id)) {
        return 0;
    }

    log_warn("event=in_flight_corrected product=%" PRIu64 " in_flight=%" PRId64 " sum=%" PRId64, gate->id,
             gate->in_flight, gate->in_flight_sum);
    return gate_push(&r->redis, row, GATE_RECOUNT | GATE_STOCK_ONLY) != GATE_PUSH_FAILED ? 0 : -1;
}


struct edit {
    int64_t booked;
    int known;
};


/* Runs under the product's lock. After an edit by hand the change is in no stock movement, and law 1 needs it there. */
static enum db_result
book_edit(struct db *db, struct product_row *row, void *data)
{
    struct edit *edit = data;

    return supply_book_difference(db, row->id, "adjust", "found by the reconciler: edited by hand", &edit->booked,
                                  &edit->known);
}


static void
report_edit(const struct product_row *row, const struct edit *edit)
{
    if (!edit->known) {
        log_warn("event=edit_not_booked product=%" PRIu64 " stock=%" PRId64
                 " why=\"its orders are not yet counted; stock load books it\"",
                 row->id, row->stock);
    } else if (edit->booked != 0) {
        log_warn("event=stock_adjusted product=%" PRIu64 " units=%" PRId64 " stock=%" PRId64
                 " why=\"edited by hand; booked as adjust\"",
                 row->id, edit->booked, row->stock);
    }
}


static int
sync_locked(struct reconciler *r, uint64_t id, unsigned options)
{
    struct product_row row;
    struct edit edit = { .known = 1 };
    sync_under_lock under_lock = options & GATE_CREATE ? NULL : book_edit;
    enum sync_result result = sync_product(&r->db, &r->redis, id, options, under_lock, &edit, &row);

    if (result != SYNC_DB_FAILED && result != SYNC_REDIS_FAILED) {
        report_edit(&row, &edit);
    }

    switch (result) {
    case SYNC_DB_FAILED:
    case SYNC_REDIS_FAILED:
    case SYNC_NOT_PUSHED:
        return -1;
    case SYNC_BROKEN:
        log_error("event=product_broken product=%" PRIu64 " error=\"%s\"", id, r->redis.error);
        return 0;
    default:
        return 0;
    }
}


/* Raises the version over Redis's, unless that was done at the last ticks already and did not help. */
static int
raise(struct reconciler *r, const struct gate_product *gate)
{
    int result = sync_locked(r, gate->id, gate->damaged ? GATE_RECOUNT : GATE_NEWER_ONLY);

    if (result == 0 && flapping_add(&r->flapping, gate->id, r->ticks, clock_ms())) {
        log_error("event=product_restless product=%" PRIu64 " raised=%d leave_ms=%d why=\"MySQL and the gate contradict"
                  " each other again after each repair\"",
                  gate->id, FLAPPING_TICKS, FLAPPING_SUSPEND_MS);
    }

    return result;
}


static int
close_gone(struct reconciler *r, uint64_t id)
{
    enum sync_result result = sync_close_gone(&r->db, &r->redis, id);

    return result == SYNC_PUSHED || result == SYNC_UP_TO_DATE ? 0 : -1;
}


static int64_t
shown(int64_t number)
{
    return number == GATE_MISSING ? -1 : number;
}


static int
act(struct reconciler *r, enum reconcile_action action, const struct gate_product *gate, const struct product_row *row)
{
    if (action == RECONCILE_NONE
        || (action == RECONCILE_RAISE && flapping_is_suspended(&r->flapping, gate->id, clock_ms())))
    {
        return 0;
    }

    stats_add(STATS_RECONCILED, 1);

    if (action == RECONCILE_RECOUNT) {
        return recount(r, gate, row);
    }

    /* Under load pushes are ordinary: a commit was seen here before its own settle. */
    log_line(action == RECONCILE_PUSH ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN,
             "event=reconciled action=%s product=%" PRIu64 " mysql_version=%" PRIu64 " mysql_stock=%" PRId64
             " redis_version=%" PRId64 " register_stock=%" PRId64 " redis_stock=%" PRId64 " in_flight=%" PRId64,
             action_names[action], gate->id, row->version, row->stock, gate->version, shown(gate->register_stock),
             shown(gate->stock), gate->in_flight);

    switch (action) {
    case RECONCILE_PUSH:
        return gate_push(&r->redis, row, GATE_NEWER_ONLY) != GATE_PUSH_FAILED ? 0 : -1;
    case RECONCILE_SET_STOCK:
        return gate_push(&r->redis, row, GATE_STOCK_ONLY) != GATE_PUSH_FAILED ? 0 : -1;
    case RECONCILE_CLOSE:
        return close_gone(r, gate->id);
    case RECONCILE_LOAD:
        return sync_locked(r, gate->id, GATE_CREATE);
    default:
        return raise(r, gate);
    }
}


/* One product could not be corrected. Returns 0 where the others can be, or -1 where a connection is lost. */
static int
skip_product(struct reconciler *r, uint64_t id)
{
    if (r->failed++ < FAILED_SHOWN) {
        log_warn("event=product_not_reconciled product=%" PRIu64 " mysql=\"%s\" redis=\"%s\"", id, r->db.error,
                 r->redis.error);
    }

    return r->redis.context != NULL && db_open(&r->db) == DB_OK ? 0 : -1;
}


/* Reads products at the gate, and measures the time that it takes Redis. */
static int
inspect(struct reconciler *r, struct gate_product *gate, size_t n)
{
    uint64_t begun = clock_us();
    int result = gate_inspect(&r->redis, gate, n, SUM_MOST_ENTRIES, &r->counts);

    r->redis_us += clock_us() - begun;
    return result;
}


/* Compares up to GATE_INSPECT_MOST products. Returns 0, or -1 when Redis or MySQL failed. */
static int
compare(struct reconciler *r, const uint64_t *ids, size_t n)
{
    struct gate_product gate[GATE_INSPECT_MOST];
    struct product_row rows[GATE_INSPECT_MOST];

    for (size_t i = 0; i < n; i++) {
        gate[i] = (struct gate_product) { .id = ids[i] };
        rows[i] = (struct product_row) { .id = ids[i] };
    }

    if (inspect(r, gate, n) == -1 || db_open(&r->db) != DB_OK
        || product_rows_read(&r->db, rows, n, ROW_NO_LOCK) != DB_OK)
    {
        return -1;
    }

    for (size_t i = 0; i < n && !stop_requested(); i++) {
        r->loaded += gate[i].register_stock != GATE_MISSING;

        if (act(r, reconciler_judge(&gate[i], &rows[i]), &gate[i], &rows[i]) == -1 && skip_product(r, gate[i].id) == -1)
        {
            return -1;
        }
    }

    return 0;
}


/* Products come and go while they are counted, so the count must be wrong in the same way at two ticks. */
static int
correct_counts(struct reconciler *r)
{
    int wrong = r->counts.products != r->loaded;
    int sure = wrong && r->wrong_count_before == r->loaded;

    r->wrong_count_before = wrong ? r->loaded : -1;

    uint64_t begun = clock_us();
    int corrected = gate_correct_counts(&r->redis, r->counts.products, sure ? r->loaded : r->counts.products,
                                        SUM_MOST_ENTRIES);

    r->redis_us += clock_us() - begun;

    if (corrected > 0) {
        log_warn("event=gate_counts_corrected products=%" PRId64 " loaded=%" PRId64 " queued=%" PRId64,
                 r->counts.products, r->loaded, r->counts.queued);
    }

    return corrected < 0 ? -1 : 0;
}


static int
tick(struct reconciler *r)
{
    struct buffer before = r->suspects_before;

    r->suspects_before = r->suspects;
    r->suspects = before;
    buffer_clear(&r->suspects);
    r->loaded = 0;
    r->failed = r->redis_us = 0;
    r->ticks++;

    uint64_t begun = clock_us();
    int scanned = loaded_products_read(&r->redis, &r->ids, &r->id_count, &r->id_capacity);

    r->redis_us += clock_us() - begun;

    if (scanned == -1) {
        return -1;
    }

    for (size_t i = 0; i < r->id_count && !stop_requested(); i += GATE_INSPECT_MOST) {
        size_t left = r->id_count - i;

        if (compare(r, r->ids + i, left < GATE_INSPECT_MOST ? left : GATE_INSPECT_MOST) == -1) {
            return -1;
        }
    }

    if (r->failed > 0) {
        log_warn("event=products_not_reconciled products=%" PRIu64, r->failed);
    }

    return r->id_count > 0 && !stop_requested() ? correct_counts(r) : 0;
}


/* Redis runs one command at a time, so ticks may take only a small part of its time. Waits for MySQL do not count. */
static unsigned
pause_ms(const struct reconciler *r)
{
    uint64_t pause = r->redis_us / 1000 * IDLE_FACTOR;
    unsigned interval = r->config->worker.reconcile_interval;

    pause = pause < PAUSE_MOST_MS ? pause : PAUSE_MOST_MS;
    return pause > interval ? (unsigned) pause : interval;
}


static void *
run(void *data)
{
    struct reconciler *r = data;
    unsigned wait = 0;

    while (!stop_wait(wait)) {
        r->db.error[0] = r->redis.error[0] = '\0';

        if (tick(r) == -1) {
            wait = backoff_next(&r->backoff);
            log_warn("event=reconcile_failed mysql=\"%s\" redis=\"%s\" wait_ms=%u", r->db.error, r->redis.error, wait);
            continue;
        }

        backoff_reset(&r->backoff);
        wait = pause_ms(r);
    }

    db_close(&r->db);
    db_thread_end();
    atomic_store(&r->ended, 1);
    return NULL;
}


int
reconciler_start(struct reconciler *r, const struct config *config)
{
    *r = (struct reconciler) {
        .config = config, .redis.config = config, .db.server = &config->db, .wrong_count_before = -1
    };
    return pthread_create(&r->thread, NULL, run, r);
}


void
reconciler_join(struct reconciler *r)
{
    pthread_join(r->thread, NULL);
    redis_close(&r->redis);
    buffer_free(&r->suspects);
    buffer_free(&r->suspects_before);
    free(r->ids);
}
