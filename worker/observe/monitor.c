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

#define INTERVAL_MS 1000
#define SILENT_MOST 64 /* dead consumers that are counted as such */


static int
read_queue(struct monitor *m, struct monitor_queue *q)
{
    struct silent_consumer silent[SILENT_MOST];
    size_t n = peers_silent(m->peers, m->config->worker.dead_after, silent, SILENT_MOST);
    struct redis_args args = { 0 };

    args_script(&args, &checkout_script_monitor, 5);
    key_queue(&args);
    key_dead_letters(&args);
    key_gate(&args);
    key_workers(&args);
    key_recovering(&args);
    args_text(&args, CONSUMER_GROUP);

    for (size_t i = 0; i < n; i++) {
        args_text(&args, silent[i].name);
        args_text(&args, silent[i].value);
    }

    redisReply *reply = EFFECT("monitor.queue", redis_script(&m->redis, &checkout_script_monitor, &args));

    args_free(&args);

    if (reply == NULL) {
        return -1;
    }

    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 8) {
        *q = (struct monitor_queue) {
            .valid = 1,
            .entries = reply_number(reply->element[0], 0),
            .oldest_ms = reply_number(reply->element[1], 0),
            .queued = reply_number(reply->element[2], 0),
            .dead_letters = reply_number(reply->element[3], 0),
            .pending = reply_number(reply->element[4], 0),
            .pending_dead = reply_number(reply->element[5], 0),
            .consumers = reply_number(reply->element[6], 0),
            .recovering = reply_number(reply->element[7], 0)
        };
    }

    freeReplyObject(reply);
    return 0;
}


static void
measure(struct monitor *m)
{
    struct monitor_queue q = { 0 };

    if (read_queue(m, &q) == -1) {
        log_debug("event=monitor_failed redis=\"%s\"", m->redis.error);
    }

    stats_set(STATS_REBUILD,
              q.valid && rebuild_watch_look(&m->rebuild, &m->redis) == 0 ? (int64_t) m->rebuild.seen : -1);
    pthread_mutex_lock(&m->lock);

    if (q.valid) {
        m->queue = q;
    } else {
        m->queue.valid = 0;
    }

    pthread_mutex_unlock(&m->lock);

    laws_measure(&m->laws, q.valid ? q.queued + q.dead_letters : -1);
}


static void *
run(void *data)
{
    struct monitor *m = data;

    do {
        measure(m);
    } while (!stop_wait(INTERVAL_MS));

    laws_close(&m->laws);
    db_thread_end();
    atomic_store(&m->ended, 1);
    return NULL;
}


int
monitor_start(struct monitor *m, const struct config *config, const struct consumer_status *consumers, unsigned count,
              struct peers *peers)
{
    *m = (struct monitor) {
        .config = config, .consumers = consumers, .count = count, .peers = peers, .redis.config = config
    };
    laws_init(&m->laws, config, &m->redis);
    pthread_mutex_init(&m->lock, NULL);
    return pthread_create(&m->thread, NULL, run, m);
}


void
monitor_join(struct monitor *m)
{
    pthread_join(m->thread, NULL);
    laws_free(&m->laws);
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


static unsigned
products_locked(const struct monitor *m)
{
    unsigned n = 0;

    for (unsigned i = 0; i < m->count; i++) {
        unsigned one = atomic_load(&m->consumers[i].locked_products);

        n = one > n ? one : n;
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
    write_gauge(text, "products_recovering", "Products that are not sold until what MySQL lost of them was recovered.",
                q->recovering);
}


void
monitor_write_metrics(struct monitor *m, struct buffer *text)
{
    pthread_mutex_lock(&m->lock);

    struct monitor_queue queue = m->queue;

    pthread_mutex_unlock(&m->lock);

    stats_write(text);
    write_gauge(text, "threads", "Consumers of this process.", m->count);
    write_gauge(text, "waiting_for_mysql", "Consumers of this process that wait for MySQL.",
                consumers_waiting(m, CONSUMER_WAITS_FOR_MYSQL));
    write_gauge(text, "waiting_for_redis", "Consumers of this process that wait for Redis.",
                consumers_waiting(m, CONSUMER_WAITS_FOR_REDIS));
    write_gauge(text, "entries_set_aside", "Entries that failed a check and stay pending; each waits for a person.",
                entries_set_aside(m));
    write_gauge(text, "locked_products", "Products whose row another session holds locked; their orders wait.",
                products_locked(m));
    write_gauge(text, "paused", "1 while this process takes nothing new (SIGUSR1).", pause_requested());
    write_queue(text, &queue);
    laws_write(&m->laws, text);
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
