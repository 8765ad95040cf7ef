#include "repair/reconciler.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/stop.h"
#include "mysql/supply.h"
#include "observe/stats.h"
#include "redis/keys.h"
#include "redis/loaded_products.h"
#include "redis/loss.h"
#include "repair/expiring.h"
#include "repair/sync.h"

#define BUSY_MOST_US 100000 /* of one step: Redis took longer for others' sake, or was away */
#define PASS_PAGES   4      /* of the pass over the queue, at a tick that took longer than the interval */
#define ASK_AGAIN_MS 60000  /* from one comparison that is asked for a product that stays closed to the next */
#define FAILED_SHOWN 5      /* lines at one tick; all are counted */


static const char *const action_names[] = {
    [RECONCILE_RECOVER] = "recover",     [RECONCILE_PUSH] = "push",       [RECONCILE_RAISE] = "raise",
    [RECONCILE_SET_STOCK] = "set_stock", [RECONCILE_LOAD] = "load",       [RECONCILE_CLOSE] = "close",
    [RECONCILE_FORGET] = "forget",       [RECONCILE_RECOUNT] = "recount",
};


enum reconcile_action
reconciler_judge(const struct gate_product *gate, const struct product_row *row)
{
    int loaded = gate->register_stock != GATE_MISSING;

    if (!loaded) {
        return row->found && gate->stock != GATE_MISSING ? RECONCILE_LOAD : RECONCILE_FORGET;
    }

    /* It is left to its recovery; a row that came anew meanwhile may be what that waits for. */
    if (gate->recovering) {
        return row->found && (int64_t) row->version > gate->version ? RECONCILE_RECOVER : RECONCILE_NONE;
    }

    if (!row->found && strcmp(gate->terms.state, "closed") != 0) {
        return RECONCILE_CLOSE;
    }

    if (row->found && sync_must_recover(gate, row)) {
        return RECONCILE_RECOVER;
    }

    if (row->found && sync_must_raise(gate, row)) {
        return RECONCILE_RAISE;
    }

    if (row->found && (int64_t) row->version > gate->version) {
        return RECONCILE_PUSH;
    }

    return gate->stock != gate_expected_stock(gate) ? RECONCILE_SET_STOCK : RECONCILE_NONE;
}


/*
 * Rests in proportion to the time that Redis was busy with a step. Waits for MySQL do not count. Returns 0; 1: the tick
 * is over, since the lease is lost or the process stops; -1: Redis failed.
 */
static int
rest(struct reconciler *r, uint64_t begun_us)
{
    uint64_t busy = clock_us() - begun_us;

    r->owed_us += (busy < BUSY_MOST_US ? busy : BUSY_MOST_US) * RECONCILER_REST;

    uint64_t ms = r->owed_us / 1000;

    r->owed_us %= 1000;

    if (stop_wait((unsigned) ms)) {
        return 1;
    }

    if (!r->leads || clock_ms() - r->renewed_ms < LEASE_RENEW_MS) {
        return 0;
    }

    int held = lease_hold(&r->lease, &r->redis);

    r->renewed_ms = clock_ms();
    return held == -1 ? -1 : !held;
}


/* Once the product is counted the action is tried again. A product that finds no room is found again at a later tick.
 */
static void
want_count(struct reconciler *r, uint64_t id, enum reconcile_action action)
{
    for (size_t i = 0; i < r->wanted_count; i++) {
        if (r->wanted[i].id == id) {
            return;
        }
    }

    if (r->wanted_count < RECONCILER_WANTED) {
        r->wanted[r->wanted_count++] = (struct reconciler_wanted) { .id = id, .action = action };
    }
}


/* count: NULL, or a pass at its end. Returns 0, 1 where the product is to be counted first, -1 when Redis failed. */
static int
recount(struct reconciler *r, uint64_t id, struct in_flight *count)
{
    struct product_row row = { .id = id };
    struct gate_counted counted;

    switch (gate_load(&r->redis, &row, GATE_LOAD_RECOUNT, count, &counted)) {
    case GATE_PUSH_FAILED:
        return -1;
    case GATE_PUSH_COUNT:
        return 1;
    case GATE_PUSH_APPLIED:
    case GATE_PUSH_NOT_NEWER:
        if (counted.in_flight != counted.counted) {
            log_warn("event=in_flight_corrected product=%" PRIu64 " in_flight=%" PRId64 " sum=%" PRId64, id,
                     counted.in_flight, counted.counted);
            stats_add(STATS_RECONCILED, 1);
        }

        return 0;
    default:
        return 0;
    }
}


static int
forget(struct reconciler *r, uint64_t id, struct in_flight *count)
{
    struct product_row row = { .id = id };
    struct gate_counted counted;
    enum gate_pushed result = gate_load(&r->redis, &row, GATE_LOAD_FORGET, count, &counted);

    if (result == GATE_PUSH_APPLIED) {
        log_warn("event=product_forgotten product=%" PRIu64 " why=\"its register is gone\"", id);
    }

    return result == GATE_PUSH_FAILED ? -1 : result == GATE_PUSH_COUNT;
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


/* Returns 0, or -1 where MySQL or Redis failed. */
static int
take_result(struct reconciler *r, uint64_t id, enum sync_result result)
{
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


/* Brings the row's version over Redis's. */
static int
raise_locked(struct reconciler *r, uint64_t id)
{
    struct product_row row;
    struct edit edit = { .known = 1 };
    enum sync_result result = sync_product(&r->db, &r->redis, id, GATE_NEWER_ONLY, book_edit, &edit, &row);

    if (result != SYNC_DB_FAILED && result != SYNC_REDIS_FAILED) {
        report_edit(&row, &edit);
    }

    return take_result(r, id, result);
}


/* Returns 0, 1 where the product is to be counted first, -1 where MySQL or Redis failed. */
static int
load(struct reconciler *r, uint64_t id, struct in_flight *count)
{
    struct product_row row;
    enum sync_result result = sync_load(&r->db, &r->redis, id, NULL, NULL, &row, count);

    return result == SYNC_UNCOUNTED ? 1 : take_result(r, id, result);
}


/*
 * Raises the version over Redis's. A damaged register is counted first: its next push would take what is no number for
 * nothing in flight. Returns as load() does.
 */
static int
raise(struct reconciler *r, uint64_t id, int damaged, struct in_flight *count)
{
    int result = damaged ? recount(r, id, count) : 0;

    if (result != 0) {
        return result;
    }

    result = raise_locked(r, id);

    if (result == 0 && flapping_add(&r->flapping, id, r->ticks, clock_ms())) {
        log_error("event=product_restless product=%" PRIu64 " raised=%d leave_ms=%d why=\"MySQL and the gate contradict"
                  " each other again after each repair\"",
                  id, FLAPPING_TICKS, FLAPPING_SUSPEND_MS);
    }

    return result;
}


/* sync_product() proves the loss under the lock, and begins the recovery. */
static int
recover(struct reconciler *r, const struct gate_product *gate)
{
    struct product_row row;

    if (!gate->recovering) {
        return take_result(r, gate->id, sync_product(&r->db, &r->redis, gate->id, GATE_NEWER_ONLY, NULL, NULL, &row));
    }

    r->asked_ms = clock_ms();
    return loss_ask_for_comparison(&r->redis);
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


/* Under load pushes are ordinary: a commit was seen here before its own settle. */
static void
tell(enum reconcile_action action, const struct gate_product *gate, const struct product_row *row)
{
    log_line(action == RECONCILE_PUSH ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN,
             "event=reconciled action=%s product=%" PRIu64 " mysql_version=%" PRIu64 " mysql_stock=%" PRId64
             " redis_version=%" PRId64 " register_stock=%" PRId64 " redis_stock=%" PRId64 " in_flight=%" PRId64,
             action_names[action], gate->id, row->version, row->stock, gate->version, shown(gate->register_stock),
             shown(gate->stock), gate->in_flight);
}


/* The actions that may need a count. count: NULL, or a pass at its end. Returns as load() does. */
static int
act_counted(struct reconciler *r, enum reconcile_action action, uint64_t id, int damaged, struct in_flight *count)
{
    switch (action) {
    case RECONCILE_LOAD:
        return load(r, id, count);
    case RECONCILE_FORGET:
        return forget(r, id, count);
    case RECONCILE_RECOUNT:
        return recount(r, id, count);
    default:
        return raise(r, id, damaged, count);
    }
}


static int
act(struct reconciler *r, enum reconcile_action action, const struct gate_product *gate, const struct product_row *row)
{
    int was_asked = gate->recovering && r->asked_ms > 0 && clock_ms() - r->asked_ms < ASK_AGAIN_MS;

    if (action == RECONCILE_NONE || (action == RECONCILE_RECOVER && was_asked)
        || (action == RECONCILE_RAISE && flapping_is_suspended(&r->flapping, gate->id, clock_ms())))
    {
        return 0;
    }

    if (action != RECONCILE_FORGET) {
        stats_add(STATS_RECONCILED, 1);
        tell(action, gate, row);
    }

    switch (action) {
    case RECONCILE_PUSH:
        return gate_push(&r->redis, row, GATE_NEWER_ONLY) != GATE_PUSH_FAILED ? 0 : -1;
    case RECONCILE_SET_STOCK:
        return gate_push(&r->redis, row, GATE_STOCK_ONLY) != GATE_PUSH_FAILED ? 0 : -1;
    case RECONCILE_CLOSE:
        return close_gone(r, gate->id);
    case RECONCILE_RECOVER:
        return recover(r, gate);
    default:
        break;
    }

    /* An edit by hand; or a loss that others have written over: the records know. */
    if (action == RECONCILE_RAISE && !gate->damaged && gate->register_stock != row->stock
        && loss_ask_for_comparison(&r->redis) == -1)
    {
        return -1;
    }

    int result = act_counted(r, action, gate->id, gate->damaged, NULL);

    if (result == 1) {
        want_count(r, gate->id, action);
    }

    return result == -1 ? -1 : 0;
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


static uint64_t
unix_ms(void)
{
    return (uint64_t) time(NULL) * 1000;
}


/* Compares up to GATE_INSPECT_MOST products. Returns 0; 1: the tick is over; -1: Redis or MySQL failed. */
static int
compare(struct reconciler *r, const uint64_t *ids, size_t n)
{
    struct gate_product gate[GATE_INSPECT_MOST];
    struct product_row rows[GATE_INSPECT_MOST];

    for (size_t i = 0; i < n; i++) {
        gate[i] = (struct gate_product) { .id = ids[i] };
        rows[i] = (struct product_row) { .id = ids[i] };
    }

    uint64_t begun = clock_us();

    if (gate_inspect(&r->redis, gate, n, &r->counts) == -1) {
        return -1;
    }

    uint64_t asked = clock_us();

    if (db_open(&r->db) != DB_OK || product_rows_read(&r->db, rows, n, ROW_NO_LOCK) != DB_OK) {
        return -1;
    }

    for (size_t i = 0; i < n && !stop_requested(); i++) {
        if (gate[i].register_stock != GATE_MISSING) {
            flight_check_see(&r->flight, gate[i].id, gate[i].in_flight);
        }

        if (act(r, reconciler_judge(&gate[i], &rows[i]), &gate[i], &rows[i]) == -1 && skip_product(r, gate[i].id) == -1)
        {
            return -1;
        }
    }

    /* Not Redis' time: what MySQL took, and corrections. */
    int result = rest(r, begun + (clock_us() - asked));

    begun = clock_us();

    if (result != 0 || !r->looks_for_expiring) {
        return result;
    }

    return expiring_buyers(&r->redis, rows, n, unix_ms()) == -1 ? -1 : rest(r, begun);
}


/* Products come and go while they are counted, so the count must be wrong in the same way at two ticks. */
static int
correct_counts(struct reconciler *r)
{
    int64_t right = (int64_t) r->id_count;
    int wrong = r->counts.products != right;
    int sure = wrong && r->wrong_count_before == right;

    r->wrong_count_before = wrong ? right : -1;

    if (!sure && r->queued_more == 0) {
        return 0;
    }

    uint64_t begun = clock_us();
    int corrected = gate_correct_counts(&r->redis, r->counts.products, sure ? right : r->counts.products,
                                        r->queued_more);

    r->queued_more = 0;

    if (corrected > 0) {
        log_warn("event=gate_counts_corrected products=%" PRId64 " loaded=%" PRId64 " queued=%" PRId64,
                 r->counts.products, right, r->counts.queued);
    }

    return corrected < 0 ? -1 : rest(r, begun);
}


static void
suspect(uint64_t id, void *data)
{
    want_count(data, id, RECONCILE_RECOUNT);
}


/* The products that were counted are corrected. Those for which the queue moves too fast are counted again. */
static int
end_count(struct reconciler *r)
{
    size_t left = 0;

    for (size_t i = 0; i < r->exact_count; i++) {
        struct reconciler_wanted w = r->wanted[i];
        int result = act_counted(r, w.action, w.id, w.action == RECONCILE_RAISE, &r->exact);

        if (result == -1 && skip_product(r, w.id) == -1) {
            return -1;
        }

        if (result == 1) {
            r->wanted[left++] = w;
        }
    }

    for (size_t i = r->exact_count; i < r->wanted_count; i++) {
        r->wanted[left++] = r->wanted[i];
    }

    r->wanted_count = left;
    r->exact_count = 0;
    in_flight_free(&r->exact);
    return 0;
}


static void
begin_count(struct reconciler *r)
{
    uint64_t ids[RECONCILER_WANTED];

    for (size_t i = 0; i < r->wanted_count; i++) {
        ids[i] = r->wanted[i].id;
    }

    qsort(ids, r->wanted_count, sizeof(*ids), ids_compare);
    in_flight_begin(&r->exact, ids, r->wanted_count, 1);
    r->exact_count = r->wanted_count;
}


/* One page of the pass that is more urgent. Returns 1: there is more, 0: a pass ended, -1: Redis or MySQL failed. */
static int
read_queue(struct reconciler *r)
{
    if (r->exact_count == 0 && r->wanted_count > 0) {
        begin_count(r);
    }

    if (r->exact_count > 0) {
        int more = in_flight_step(&r->exact, &r->redis);

        return more != 0 ? more : end_count(r);
    }

    int more = r->flight.running ? flight_check_step(&r->flight, &r->redis) : 0;

    if (more == 0 && r->flight.running) {
        r->queued_more = flight_check_judge(&r->flight, r->counts.queued, suspect, r);
    }

    return more;
}


/* Reads the queue until a pass or the interval ends, but always some pages. Returns as rest() does. */
static int
read_pages(struct reconciler *r, uint64_t begun_ms)
{
    int more = 1, result = 0;

    for (unsigned page = 0; more == 1 && result == 0; page++) {
        if (page >= PASS_PAGES && clock_ms() - begun_ms >= r->config->worker.reconcile_interval) {
            return 0;
        }

        uint64_t begun = clock_us();

        more = read_queue(r);
        result = more == -1 ? -1 : rest(r, begun);
    }

    return result;
}


/* Records of days that are over. Returns as rest() does. */
static int
look_for_expiring(struct reconciler *r)
{
    r->looks_for_expiring = r->leads && clock_ms() >= r->expiring_ms;

    if (!r->looks_for_expiring) {
        return 0;
    }

    r->expiring_ms = clock_ms() + EXPIRING_EVERY_MS;

    uint64_t begun = clock_us();
    int gone = expiring_buckets(&r->redis, unix_ms());

    if (gone > 0) {
        log_info("event=buckets_unlinked buckets=%d", gone);
    }

    return gone == -1 ? -1 : rest(r, begun);
}


/* Returns as rest() does. */
static int
tick(struct reconciler *r)
{
    uint64_t begun = clock_us(), begun_ms = clock_ms();

    r->failed = 0;
    r->ticks++;

    int result = loaded_products_read(&r->redis, &r->ids, &r->id_count, &r->id_capacity) == -1 ? -1 : rest(r, begun);

    result = result == 0 ? look_for_expiring(r) : result;

    if (r->leads) {
        flight_check_begin(&r->flight, r->ids, r->id_count);
    }

    for (size_t i = 0; result == 0 && i < r->id_count; i += GATE_INSPECT_MOST) {
        size_t left = r->id_count - i;

        result = compare(r, r->ids + i, left < GATE_INSPECT_MOST ? left : GATE_INSPECT_MOST);
    }

    if (r->failed > 0) {
        log_warn("event=products_not_reconciled products=%" PRIu64, r->failed);
    }

    if (result == 0 && r->leads) {
        result = read_pages(r, begun_ms);
    }

    return result == 0 && r->id_count > 0 ? correct_counts(r) : result;
}


/* Whose turn is it? The first tick is everybody's. Returns 1, 0, or -1 when Redis failed. */
static int
take_turn(struct reconciler *r)
{
    int held = lease_hold(&r->lease, &r->redis);

    r->leads = held == 1;
    r->renewed_ms = clock_ms();
    return held == -1 ? -1 : r->leads || r->ticks == 0;
}


static void *
run(void *data)
{
    struct reconciler *r = data;
    unsigned wait = 0;

    while (!stop_wait(wait)) {
        r->db.error[0] = r->redis.error[0] = '\0';

        uint64_t begun = clock_ms();
        int turn = take_turn(r);

        if (turn == -1 || (turn == 1 && tick(r) == -1)) {
            wait = backoff_next(&r->backoff);
            log_warn("event=reconcile_failed mysql=\"%s\" redis=\"%s\" wait_ms=%u", r->db.error, r->redis.error, wait);
            continue;
        }

        backoff_reset(&r->backoff);

        uint64_t took = clock_ms() - begun, interval = r->config->worker.reconcile_interval;

        wait = took < interval ? (unsigned) (interval - took) : 0;
    }

    if (r->leads) {
        lease_give_back(&r->lease, &r->redis);
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
        .config = config,
        .redis.config = config,
        .db = { .server = &config->db, .actor = "reconciler" },
        .wrong_count_before = -1
    };
    lease_init(&r->lease, "reconciler", config->worker.name);
    return pthread_create(&r->thread, NULL, run, r);
}


void
reconciler_join(struct reconciler *r)
{
    pthread_join(r->thread, NULL);
    redis_close(&r->redis);
    flight_check_free(&r->flight);
    in_flight_free(&r->exact);
    free(r->ids);
}
