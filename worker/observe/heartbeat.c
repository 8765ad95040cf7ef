#include "observe/heartbeat.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "redis/stream.h"


/*
 * A consumer counts as dead after `dead_after` without a heartbeat. A sixth of it allows for some that come late, and
 * others know soon after `dead_after` that it is over.
 */
static unsigned
interval_ms(const struct heartbeat *h)
{
    return h->config->worker.dead_after / 6;
}


/* Waits for the next heartbeat. Returns 1 when heartbeat_stop() was called, else 0. */
static int
wait_interval(struct heartbeat *h)
{
    struct timespec until = clock_after(interval_ms(h));

    pthread_mutex_lock(&h->lock);

    while (!h->stopping && pthread_cond_timedwait(&h->woken, &h->lock, &until) != ETIMEDOUT) {
        /* a spurious wakeup (pthread_cond_timedwait(3p)): wait for the remaining time */
    }

    int stopping = h->stopping;

    pthread_mutex_unlock(&h->lock);
    return stopping;
}


/* Takes over no entries: each consumer asks for those itself, when it can work on them. */
static redisReply *
send_one(struct heartbeat *h, const struct consumer_status *consumer, int look)
{
    int reaches = consumer_reaches_mysql(consumer, clock_ms());
    struct heartbeat_call call = { .consumer = consumer->name, .reaches_mysql = reaches, .strays_after = "-" };

    return look ? stream_look(&h->redis, consumer->name, reaches) : stream_heartbeat(&h->redis, &call);
}


/* Frees the reply. Returns 0, or -1 where there is none. */
static int
take(struct heartbeat *h, redisReply *reply, const char *name)
{
    if (reply == NULL) {
        log_debug("event=heartbeat_failed consumer=%s error=\"%s\"", name, h->redis.error);
        peers_forget(h->peers);
        return -1;
    }

    const redisReply *beats = stream_beats(reply);

    if (beats != NULL && beats->elements > 0) {
        peers_look(h->peers, beats, clock_ms());
    }

    freeReplyObject(reply);
    return 0;
}


/* The first one's also brings those of all others; where all are away, a call without a beat does. */
static void
send_all(struct heartbeat *h)
{
    int looked = 0;

    for (unsigned i = 0; i < h->count; i++) {
        const struct consumer_status *consumer = &h->consumers[i];

        if (atomic_load(&consumer->is_away)) {
            continue;
        }

        if (take(h, send_one(h, consumer, !looked), consumer->name) == -1) {
            return;
        }

        looked = 1;
    }

    if (!looked) {
        (void) take(h, stream_look(&h->redis, "", 0), "");
    }
}


static void
leave_all(struct heartbeat *h)
{
    for (unsigned i = 0; i < h->count; i++) {
        if (stream_leave(&h->redis, h->consumers[i].name) == -1) {
            log_warn("event=leave_failed consumer=%s error=\"%s\"", h->consumers[i].name, h->redis.error);
            return;
        }
    }
}


static void *
run(void *data)
{
    struct heartbeat *h = data;

    do {
        send_all(h);
    } while (!wait_interval(h));

    leave_all(h);
    atomic_store(&h->ended, 1);
    return NULL;
}


int
heartbeat_start(struct heartbeat *h, const struct config *config, const struct consumer_status *consumers,
                unsigned count, struct peers *peers)
{
    *h = (struct heartbeat) {
        .config = config, .consumers = consumers, .count = count, .peers = peers, .redis.config = config
    };
    pthread_mutex_init(&h->lock, NULL);
    clock_cond_init(&h->woken);
    return pthread_create(&h->thread, NULL, run, h);
}


void
heartbeat_stop(struct heartbeat *h)
{
    pthread_mutex_lock(&h->lock);
    h->stopping = 1;
    pthread_cond_signal(&h->woken);
    pthread_mutex_unlock(&h->lock);
}


void
heartbeat_join(struct heartbeat *h)
{
    pthread_join(h->thread, NULL);
    redis_close(&h->redis);
    pthread_cond_destroy(&h->woken);
    pthread_mutex_destroy(&h->lock);
}
