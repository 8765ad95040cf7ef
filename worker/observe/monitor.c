#include "observe/monitor.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/pause.h"
#include "base/stop.h"
#include "failpoint.h"
#include "observe/stats.h"
#include "redis/keys.h"
#include "redis/loaded_products.h"
#include "text/number.h"

#define INTERVAL_MS   1000
#define PAUSE_FACTOR  20 /* a check of the laws that takes 1 s is followed by 20 s without one */
#define PAUSE_MOST_MS 300000


int64_t
monitor_oversold(const struct supply *s)
{
    int64_t beyond = s->stock + s->live - s->supplied;

    if (s->stock < 0) {
        return beyond > 0 ? beyond - s->stock : -s->stock;
    }

    /* A row made by hand has no stock movement yet, and cannot be sold before it has one. */
    return beyond > 0 && (s->booked || s->live > 0) ? beyond : 0;
}


int64_t
monitor_drift(const struct gate_product *gate, const struct supply *supply)
{
    if (gate->register_stock == GATE_MISSING || gate->version < (int64_t) supply->version) {
        return 0;
    }

    int64_t right = supply->stock - gate->in_flight;
    int64_t stock = gate->stock == GATE_MISSING ? 0 : gate->stock;

    return llabs(stock - (right > 0 ? right : 0));
}


static int
read_queue(struct monitor *m, struct monitor_queue *q)
{
    struct redis_args args = { 0 };

    args_script(&args, &checkout_script_monitor, 4);
    key_queue(&args);
    key_dead_letters(&args);
    key_gate(&args);
    key_workers(&args);
    args_text(&args, CONSUMER_GROUP);
    args_number(&args, m->config->worker.dead_after);

    redisReply *reply = EFFECT("monitor.queue", redis_script(&m->redis, &checkout_script_monitor, &args));

    args_free(&args);

    if (reply == NULL) {
        return -1;
    }

    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 7) {
        *q = (struct monitor_queue) {
            .valid = 1,
            .entries = reply_number(reply->element[0], 0),
            .oldest_ms = reply_number(reply->element[1], 0),
            .queued = reply_number(reply->element[2], 0),
            .dead_letters = reply_number(reply->element[3], 0),
            .pending = reply_number(reply->element[4], 0),
            .pending_dead = reply_number(reply->element[5], 0),
            .consumers = reply_number(reply->element[6], 0)
        };
    }

    freeReplyObject(reply);
    return 0;
}


static int
compare_supply(const void *key, const void *item)
{
    uint64_t x = *(const uint64_t *) key, y = ((const struct supply *) item)->product;

    return x < y ? -1 : x > y;
}


static void
add_up(struct monitor_laws *laws, const struct gate_product *gate, size_t n, const struct supply *supplies,
       size_t count)
{
    for (size_t i = 0; i < n; i++) {
        const struct supply *s = count == 0 ? NULL : bsearch(&gate[i].id, supplies, count, sizeof(*s), compare_supply);

        laws->products += gate[i].register_stock != GATE_MISSING;

        if (s != NULL) {
            laws->drift += monitor_drift(&gate[i], s);
            laws->behind += gate[i].register_stock != GATE_MISSING && gate[i].version < (int64_t) s->version;
        }
    }

    for (size_t i = 0; i < count; i++) {
        laws->oversold += monitor_oversold(&supplies[i]);
    }
}


/* Reads Redis, then MySQL: a register comes from a committed row, so the row is never older unless it was lost. */
static int
read_both(struct monitor *m, struct monitor_laws *laws)
{
    uint64_t *ids = NULL;
    size_t n = 0, capacity = 0, count = 0;
    struct supply *supplies = NULL;
    struct gate_product *gate = NULL;
    struct gate_counts counts;
    int result = loaded_products_read(&m->redis, &ids, &n, &capacity);

    gate = memory_resize(NULL, n, sizeof(*gate));

    for (size_t i = 0; i < n; i++) {
        gate[i] = (struct gate_product) { .id = ids[i] };
    }

    for (size_t i = 0; i < n && result == 0; i += GATE_INSPECT_MOST) {
        result = gate_inspect(&m->redis, gate + i, n - i < GATE_INSPECT_MOST ? n - i : GATE_INSPECT_MOST, 0, &counts);
    }

    if (result == 0 && supply_read_all(&m->db, &supplies, &count) != DB_OK) {
        result = -1;
    }

    if (result == 0) {
        add_up(laws, gate, n, supplies, count);
    }

    free(ids);
    free(gate);
    free(supplies);
    return result;
}


/* Orders and events that wait for something. Each count reads an index. */
static int
count_orders(struct monitor *m, struct monitor_laws *laws)
{
    static const char select[] = "SELECT (SELECT COUNT(*) FROM orders WHERE status = 'refund_pending'),"
                                 " (SELECT COUNT(*) FROM payment_events WHERE processed_at IS NULL),"
                                 " (SELECT COUNT(*) FROM orders WHERE status = 'pending_payment' AND pay_by < NOW(3))";
    struct buffer sql = { 0 };
    MYSQL_RES *rows;

    buffer_text(&sql, select);

    enum db_result result = db_open(&m->db);

    if (result == DB_OK) {
        result = EFFECT("monitor.orders", db_rows(&m->db, &sql, &rows));
    }

    buffer_free(&sql);

    if (result != DB_OK) {
        return -1;
    }

    MYSQL_ROW row = mysql_fetch_row(rows);

    if (row != NULL) {
        laws->refund_pending = number_of_signed_column(row[0]);
        laws->events_waiting = number_of_signed_column(row[1]);
        laws->overdue = number_of_signed_column(row[2]);
    }

    mysql_free_result(rows);
    return 0;
}


static void
check_laws(struct monitor *m, const struct monitor_queue *q)
{
    struct monitor_laws laws = { .checked_ms = clock_ms() };

    laws.valid = q->valid && read_both(m, &laws) == 0 && count_orders(m, &laws) == 0;
    laws.unsettled = q->queued + q->dead_letters;

    uint64_t pause = (clock_ms() - laws.checked_ms) * PAUSE_FACTOR, interval = m->config->worker.laws_interval;

    /* A check that failed waited for a server that is away: that is no reason for a long pause. */
    pause = laws.valid ? (pause < PAUSE_MOST_MS ? pause : PAUSE_MOST_MS) : 0;
    m->next_laws_ms = clock_ms() + (pause > interval ? pause : interval);

    if (laws.valid && laws.oversold > 0) {
        log_error("event=law_violated law=oversell units=%" PRId64, laws.oversold);
    }

    pthread_mutex_lock(&m->lock);
    m->laws = laws;
    pthread_mutex_unlock(&m->lock);
}


static void
measure(struct monitor *m)
{
    struct monitor_queue q = { 0 };

    if (read_queue(m, &q) == -1) {
        log_debug("event=monitor_failed redis=\"%s\"", m->redis.error);
    }

    pthread_mutex_lock(&m->lock);

    if (q.valid) {
        m->queue = q;
    } else {
        m->queue.valid = 0;
    }

    pthread_mutex_unlock(&m->lock);

    if (clock_ms() >= m->next_laws_ms) {
        check_laws(m, &q);
    }
}


static void *
run(void *data)
{
    struct monitor *m = data;

    do {
        measure(m);
    } while (!stop_wait(INTERVAL_MS));

    db_close(&m->db);
    db_thread_end();
    atomic_store(&m->ended, 1);
    return NULL;
}


int
monitor_start(struct monitor *m, const struct config *config, const struct consumer_status *consumers, unsigned count)
{
    *m = (struct monitor) {
        .config = config, .consumers = consumers, .count = count, .redis.config = config, .db.server = &config->db
    };
    pthread_mutex_init(&m->lock, NULL);
    return pthread_create(&m->thread, NULL, run, m);
}


void
monitor_join(struct monitor *m)
{
    pthread_join(m->thread, NULL);
    redis_close(&m->redis);
    pthread_mutex_destroy(&m->lock);
}


static unsigned
consumers_waiting(const struct monitor *m, enum consumer_wait what)
{
    unsigned n = 0;

    for (unsigned i = 0; i < m->count; i++) {
        n += atomic_load(&m->consumers[i].waits_for) == (int) what;
    }

    return n;
}


static unsigned
entries_set_aside(const struct monitor *m)
{
    unsigned n = 0;

    for (unsigned i = 0; i < m->count; i++) {
        n += atomic_load(&m->consumers[i].set_aside);
    }

    return n;
}


static void
write_gauge(struct buffer *text, const char *name, const char *help, int64_t value)
{
    buffer_format(text, "# HELP checkout_%s %s\n# TYPE checkout_%s gauge\ncheckout_%s %" PRId64 "\n", name, help, name,
                  name, value);
}


static void
write_queue(struct buffer *text, const struct monitor_queue *q)
{
    write_gauge(text, "redis_up", "1 while Redis answers this worker.", q->valid);
    write_gauge(text, "queue_entries", "Entries in the queue, those being worked on included.", q->entries);
    write_gauge(text, "queue_orders", "Orders in the queue, by the gate's count.", q->queued);
    buffer_format(text,
                  "# HELP checkout_queue_oldest_seconds Age of the oldest job.\n"
                  "# TYPE checkout_queue_oldest_seconds gauge\n"
                  "checkout_queue_oldest_seconds %g\n",
                  (double) q->oldest_ms / 1000);
    write_gauge(text, "pending_entries", "Entries read by consumers and not settled.", q->pending);
    write_gauge(text, "pending_dead_entries", "Entries of dead consumers, to be taken over.", q->pending_dead);
    write_gauge(text, "consumers", "Consumers alive in all processes.", q->consumers);
    write_gauge(text, "dead_letters", "Entries in the dead-letter queue; each waits for a person.", q->dead_letters);
}


static void
write_laws(struct buffer *text, const struct monitor_laws *l)
{
    write_gauge(text, "laws_checked", "1 when the laws could be checked at the last try.", l->valid);

    /* A gauge that nobody could measure is left out: a stale 0 would mean "in order". */
    if (!l->valid) {
        return;
    }

    write_gauge(text, "oversold_units", "Units sold beyond what was supplied; law 1 wants 0.", l->oversold);
    write_gauge(text, "stock_drift_units", "Units by which gate and MySQL differ at equal versions; law 5 wants 0.",
                l->drift);
    write_gauge(text, "unsettled_orders", "Accepted orders without a verdict: queue and dead letters; 0 at rest.",
                l->unsettled);
    write_gauge(text, "products_behind", "Products whose push to the gate is on its way.", l->behind);
    write_gauge(text, "refund_pending_orders", "Orders that were paid and cannot be delivered: money to give back.",
                l->refund_pending);
    write_gauge(text, "payment_events_waiting", "Payment events that were not applied yet.", l->events_waiting);
    write_gauge(text, "overdue_orders", "Orders not paid in time that were not cancelled yet.", l->overdue);
    write_gauge(text, "products_loaded", "Products loaded at the gate.", l->products);
    buffer_format(text,
                  "# HELP checkout_laws_age_seconds Time since the laws were checked.\n"
                  "# TYPE checkout_laws_age_seconds gauge\ncheckout_laws_age_seconds %g\n",
                  (double) (clock_ms() - l->checked_ms) / 1000);
}


void
monitor_write_metrics(struct monitor *m, struct buffer *text)
{
    pthread_mutex_lock(&m->lock);

    struct monitor_queue queue = m->queue;
    struct monitor_laws laws = m->laws;

    pthread_mutex_unlock(&m->lock);

    stats_write(text);
    write_gauge(text, "threads", "Consumers of this process.", m->count);
    write_gauge(text, "waiting_for_mysql", "Consumers of this process that wait for MySQL.",
                consumers_waiting(m, CONSUMER_WAITS_FOR_MYSQL));
    write_gauge(text, "waiting_for_redis", "Consumers of this process that wait for Redis.",
                consumers_waiting(m, CONSUMER_WAITS_FOR_REDIS));
    write_gauge(text, "entries_set_aside", "Entries that failed a check and stay pending; each waits for a person.",
                entries_set_aside(m));
    write_gauge(text, "paused", "1 while this process takes nothing new (SIGUSR1).", pause_requested());
    write_queue(text, &queue);
    write_laws(text, &laws);
}


int
monitor_write_health(struct monitor *m, struct buffer *text)
{
    unsigned mysql = consumers_waiting(m, CONSUMER_WAITS_FOR_MYSQL);
    unsigned redis = consumers_waiting(m, CONSUMER_WAITS_FOR_REDIS);
    const char *status = stop_requested()    ? "stopping"
                         : mysql + redis > 0 ? "waiting"
                         : pause_requested() ? "paused"
                                             : "ok";

    buffer_format(text, "{\"status\":\"%s\",\"consumers\":%u,\"waiting_for_mysql\":%u,\"waiting_for_redis\":%u}\n",
                  status, m->count, mysql, redis);
    return strcmp(status, "ok") == 0;
}
