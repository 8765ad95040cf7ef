#include "observe/laws.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/stop.h"
#include "failpoint.h"
#include "observe/stats.h"
#include "redis/loaded_products.h"
#include "text/number.h"

#define PAUSE_FACTOR  20 /* a check that takes 1 s is followed by 20 s without it */
#define PAUSE_MOST_MS 300000


static const struct {
    const char *name, *help;
} names[LAW_GAUGES] = {
    [LAW_GAUGE_OVERSOLD] = { "oversold_units", "Units sold beyond what was supplied; law 1 wants 0." },
    [LAW_GAUGE_NOT_COUNTED] = { "products_not_counted",
                                "Products whose counters are not whole: law 1 is not checked." },
    [LAW_GAUGE_DRIFT] = { "stock_drift_units",
                          "Units by which gate and MySQL differ at equal versions; law 5 wants 0." },
    [LAW_GAUGE_BEHIND] = { "products_behind", "Products whose push to the gate is on its way." },
    [LAW_GAUGE_LOADED] = { "products_loaded", "Products loaded at the gate." },
    [LAW_GAUGE_UNSETTLED] = { "unsettled_orders",
                              "Accepted orders without a verdict: queue and dead letters; 0 at rest." },
    [LAW_GAUGE_REFUND_PENDING] = { "refund_pending_orders",
                                   "Orders paid that cannot be delivered: money to give back; at most 10000." },
    [LAW_GAUGE_EVENTS_WAITING] = { "payment_events_waiting",
                                   "Payment events that were not applied yet; at most 10000." },
    [LAW_GAUGE_OVERDUE] = { "overdue_orders", "Orders not paid in time that were not cancelled yet; at most 10000." },
};


int64_t
laws_oversold(const struct supply *s)
{
    int64_t beyond = s->state == SUPPLY_COUNTED ? s->stock + s->live - s->supplied : 0;

    if (s->stock < 0) {
        return beyond > 0 ? beyond - s->stock : -s->stock;
    }

    /* A row made by hand has no stock movement yet, and cannot be sold before it has one. */
    return beyond > 0 && (s->supplied != 0 || s->live > 0) ? beyond : 0;
}


int64_t
laws_drift(const struct gate_product *gate, const struct supply *supply)
{
    if (gate->register_stock == GATE_MISSING || gate->version < (int64_t) supply->version) {
        return 0;
    }

    int64_t right = supply->stock - gate->in_flight;
    int64_t stock = gate->stock == GATE_MISSING ? 0 : gate->stock;

    return llabs(stock - (right > 0 ? right : 0));
}


static void
set(struct laws *laws, enum law_gauge gauge, int measured, int64_t value)
{
    struct law_value *v = &laws->values[gauge];

    pthread_mutex_lock(&laws->lock);
    v->valid = measured;

    if (measured) {
        v->measured = 1;
        v->checked_ms = clock_ms();
        v->value = value;
    }

    pthread_mutex_unlock(&laws->lock);
}


/* --- products ----------------------------------------------------------------------------------------------------- */


/* The products at the gate, ids ascending. */
struct gate_view {
    struct gate_product *products;
    size_t count;
};

/* What the rows of MySQL add up to, beside the gate. */
struct sums {
    int64_t oversold, not_counted, counted, drift, behind;
};


/* Returns 0, or -1 when Redis failed. The caller frees products in both cases. */
static int
read_gate(struct laws *laws, struct gate_view *gate)
{
    uint64_t *ids = NULL;
    size_t capacity = 0;
    struct gate_counts counts;
    int result = loaded_products_read(laws->redis, &ids, &gate->count, &capacity);

    gate->products = memory_resize(NULL, gate->count, sizeof(*gate->products));

    for (size_t i = 0; i < gate->count; i++) {
        gate->products[i] = (struct gate_product) { .id = ids[i] };
    }

    free(ids);

    for (size_t i = 0; i < gate->count && result == 0 && !stop_requested(); i += GATE_INSPECT_MOST) {
        size_t left = gate->count - i;

        result = gate_inspect(laws->redis, gate->products + i, left < GATE_INSPECT_MOST ? left : GATE_INSPECT_MOST,
                              &counts);
    }

    return result;
}


static int
compare_product(const void *key, const void *item)
{
    uint64_t x = *(const uint64_t *) key, y = ((const struct gate_product *) item)->id;

    return x < y ? -1 : x > y;
}


static void
add_row(struct sums *sums, const struct supply *row, const struct gate_view *gate)
{
    const struct gate_product *g = NULL;

    if (gate->count > 0) {
        g = bsearch(&row->product, gate->products, gate->count, sizeof(*g), compare_product);
    }

    sums->oversold += laws_oversold(row);
    sums->counted += row->state == SUPPLY_COUNTED;
    sums->not_counted += row->state != SUPPLY_COUNTED;

    if (g != NULL) {
        sums->drift += laws_drift(g, row);
        sums->behind += g->register_stock != GATE_MISSING && g->version < (int64_t) row->version;
    }
}


static enum db_result
read_rows(struct laws *laws, const struct gate_view *gate, struct sums *sums)
{
    struct supply *rows = memory_resize(NULL, SUPPLY_ROWS_MOST, sizeof(*rows));
    size_t n = SUPPLY_ROWS_MOST;
    uint64_t after = 0;
    enum db_result result = db_open(&laws->db);

    while (result == DB_OK && n == SUPPLY_ROWS_MOST && !stop_requested()) {
        result = supply_rows_read(&laws->db, after, rows, SUPPLY_ROWS_MOST, &n);

        for (size_t i = 0; result == DB_OK && i < n; i++) {
            add_row(sums, &rows[i], gate);
            after = rows[i].product;
        }
    }

    free(rows);
    return result;
}


/* Reads Redis, then MySQL: a register comes from a committed row, so the row is never older unless it was lost. */
static int
check_products(struct laws *laws)
{
    struct gate_view gate = { 0 };
    struct sums sums = { 0 };
    int redis = read_gate(laws, &gate) == 0;
    int64_t loaded = 0;

    if (!redis) {
        gate.count = 0;
    }

    for (size_t i = 0; i < gate.count; i++) {
        loaded += gate.products[i].register_stock != GATE_MISSING;
    }

    int mysql = read_rows(laws, &gate, &sums) == DB_OK;

    free(gate.products);

    if (stop_requested()) {
        return 0;
    }

    /* Where no product was counted, nobody knows. */
    set(laws, LAW_GAUGE_OVERSOLD, mysql && (sums.counted > 0 || sums.not_counted == 0 || sums.oversold > 0),
        sums.oversold);
    set(laws, LAW_GAUGE_NOT_COUNTED, mysql, sums.not_counted);
    set(laws, LAW_GAUGE_DRIFT, mysql && redis, sums.drift);
    set(laws, LAW_GAUGE_BEHIND, mysql && redis, sums.behind);
    set(laws, LAW_GAUGE_LOADED, redis, loaded);

    if (mysql && sums.oversold > 0) {
        log_error("event=law_violated law=oversell units=%" PRId64, sums.oversold);
    }

    return mysql && redis ? 0 : -1;
}


/* --- orders and events -------------------------------------------------------------------------------------------- */


/* Counts the rows of a statement that ends after the first STATS_COUNT_MOST; it reads an index. */
static int
count_rows(struct laws *laws, enum law_gauge gauge, const char *rows)
{
    struct buffer sql = { 0 };
    MYSQL_RES *result;
    enum db_result outcome = db_open(&laws->db);
    int64_t count = 0;

    buffer_format(&sql, "SELECT COUNT(*) FROM (SELECT 1 FROM %s LIMIT %d) counted", rows, STATS_COUNT_MOST);

    if (outcome == DB_OK) {
        outcome = EFFECT("laws.count", db_rows(&laws->db, &sql, &result));
    }

    buffer_free(&sql);

    if (outcome == DB_OK) {
        MYSQL_ROW row = mysql_fetch_row(result);

        count = row != NULL ? number_of_signed_column(row[0]) : 0;
        mysql_free_result(result);
    }

    set(laws, gauge, outcome == DB_OK, count);
    return outcome == DB_OK ? 0 : -1;
}


static int
check_refund_pending(struct laws *laws)
{
    return count_rows(laws, LAW_GAUGE_REFUND_PENDING,
                      "orders FORCE INDEX (orders_unpaid) WHERE status = 'refund_pending'");
}


static int
check_events_waiting(struct laws *laws)
{
    return count_rows(laws, LAW_GAUGE_EVENTS_WAITING,
                      "payment_events FORCE INDEX (payment_events_due) WHERE processed_at IS NULL");
}


static int
check_overdue(struct laws *laws)
{
    return count_rows(laws, LAW_GAUGE_OVERDUE,
                      "orders FORCE INDEX (orders_unpaid) WHERE status = 'pending_payment' AND pay_by < NOW(3)");
}


static int
check_unsettled(struct laws *laws)
{
    set(laws, LAW_GAUGE_UNSETTLED, laws->unsettled >= 0, laws->unsettled);
    return 0;
}


/* --- when --------------------------------------------------------------------------------------------------------- */


static const struct {
    const char *name;
    int (*run)(struct laws *laws); /* sets its gauges. Returns 0, or -1: a server failed */
} checks[LAW_CHECKS] = {
    [LAW_CHECK_PRODUCTS] = { "products", check_products },
    [LAW_CHECK_UNSETTLED] = { "unsettled", check_unsettled },
    [LAW_CHECK_REFUND_PENDING] = { "refund_pending", check_refund_pending },
    [LAW_CHECK_EVENTS_WAITING] = { "events_waiting", check_events_waiting },
    [LAW_CHECK_OVERDUE] = { "overdue", check_overdue },
};


/*
 * A check that failed because a server is away is tried again after the interval; one that the server ended itself made
 * it work, and waits as one that succeeded.
 */
static uint64_t
pause_after(const struct laws *laws, int failed, uint64_t took_ms)
{
    int away = failed && (laws->db.code == 0 || (laws->db.code >= 2000 && laws->db.code < 3000));
    uint64_t pause = away ? 0 : took_ms * PAUSE_FACTOR, interval = laws->config->worker.laws_interval;

    pause = pause < PAUSE_MOST_MS ? pause : PAUSE_MOST_MS;
    return pause > interval ? pause : interval;
}


static void
run_check(struct laws *laws, enum law_check check)
{
    uint64_t begun = clock_ms();

    laws->db.error[0] = '\0';
    laws->db.code = 0;

    int failed = checks[check].run(laws) == -1;
    uint64_t pause = pause_after(laws, failed, clock_ms() - begun);

    if (failed) {
        log_warn("event=check_failed check=%s mysql=\"%s\" redis=\"%s\" wait_ms=%" PRIu64, checks[check].name,
                 laws->db.error, laws->redis->error, pause);
    }

    laws->next_ms[check] = clock_ms() + pause;
}


/* Without Redis, nobody can know who has the lease; whoever had it, or never asked with success, goes on. */
static int
is_mine(struct laws *laws)
{
    uint64_t now = clock_ms();

    if (laws->lease_ms == 0 || now - laws->lease_ms >= LEASE_RENEW_MS) {
        int held = lease_hold(&laws->lease, laws->redis);

        laws->held = held == -1 ? laws->held : held;
        laws->lease_ms = now;
    }

    return laws->held;
}


void
laws_measure(struct laws *laws, int64_t unsettled)
{
    laws->unsettled = unsettled;

    if (!is_mine(laws)) {
        for (int i = 0; i < LAW_GAUGES; i++) {
            set(laws, (enum law_gauge) i, 0, 0);
        }

        return;
    }

    for (int i = 0; i < LAW_CHECKS && !stop_requested(); i++) {
        if (clock_ms() >= laws->next_ms[i]) {
            run_check(laws, (enum law_check) i);
        }
    }
}


/* --- in and out --------------------------------------------------------------------------------------------------- */


void
laws_init(struct laws *laws, const struct config *config, struct redis_connection *redis)
{
    *laws = (struct laws) { .config = config, .redis = redis, .server = config->db, .held = 1 };
    laws->server.statement_timeout = config_statement_timeout(config, LAWS_STATEMENT_MS);
    laws->db.server = &laws->server;
    lease_init(&laws->lease, "laws", config->worker.name);
    pthread_mutex_init(&laws->lock, NULL);
}


void
laws_close(struct laws *laws)
{
    if (laws->held) {
        lease_give_back(&laws->lease, laws->redis);
    }

    db_close(&laws->db);
}


void
laws_free(struct laws *laws)
{
    pthread_mutex_destroy(&laws->lock);
}


static void
write_age(struct buffer *text, int *any, const char *name, uint64_t age_ms)
{
    if (!*any) {
        buffer_text(text, "# HELP checkout_checked_age_seconds Time since a gauge was measured last.\n"
                          "# TYPE checkout_checked_age_seconds gauge\n");
        *any = 1;
    }

    buffer_format(text, "checkout_checked_age_seconds{gauge=\"%s\"} %g\n", name, (double) age_ms / 1000);
}


static void
write_ages(struct buffer *text, const struct law_value *values)
{
    uint64_t now = clock_ms();
    int any = 0;

    for (int i = 0; i < LAW_GAUGES; i++) {
        if (values[i].measured) {
            write_age(text, &any, names[i].name, now - values[i].checked_ms);
        }
    }

    for (int i = 0; i < STATS_GAUGES; i++) {
        const char *name;
        int64_t age = stats_age_ms((enum stats_gauge) i, &name);

        if (age >= 0) {
            write_age(text, &any, name, (uint64_t) age);
        }
    }
}


/* The two metrics of all gauges together: whether all could be measured, and when the one was that is oldest. */
static void
write_whole(struct buffer *text, const struct law_value *values)
{
    uint64_t oldest = UINT64_MAX;
    int valid = 1, held = 0;

    for (int i = 0; i < LAW_GAUGES; i++) {
        held |= values[i].measured;
        valid &= values[i].valid;
        oldest = values[i].valid && values[i].checked_ms < oldest ? values[i].checked_ms : oldest;
    }

    buffer_format(text,
                  "# HELP checkout_laws_checked 1 when this process could check all laws at the last try.\n"
                  "# TYPE checkout_laws_checked gauge\ncheckout_laws_checked %d\n",
                  valid);

    if (valid && held) {
        buffer_format(text,
                      "# HELP checkout_laws_age_seconds Time since the laws were checked.\n"
                      "# TYPE checkout_laws_age_seconds gauge\ncheckout_laws_age_seconds %g\n",
                      (double) (clock_ms() - oldest) / 1000);
    }
}


void
laws_write(struct laws *laws, struct buffer *text)
{
    struct law_value values[LAW_GAUGES];

    pthread_mutex_lock(&laws->lock);

    for (int i = 0; i < LAW_GAUGES; i++) {
        values[i] = laws->values[i];
    }

    pthread_mutex_unlock(&laws->lock);
    write_whole(text, values);

    /* A gauge that nobody could measure is left out: a stale 0 would mean "in order". */
    for (int i = 0; i < LAW_GAUGES; i++) {
        if (values[i].valid) {
            buffer_format(text, "# HELP checkout_%s %s\n# TYPE checkout_%s gauge\ncheckout_%s %" PRId64 "\n",
                          names[i].name, names[i].help, names[i].name, names[i].name, values[i].value);
        }
    }

    write_ages(text, values);
}
