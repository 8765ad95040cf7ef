#include "observe/heartbeat.h"

#include <errno.h>

#include "base/log.h"
#include "base/clock.h"
#include "redis/stream.h"


/* Three beats fit into the time after which a silent consumer counts as dead. */
static unsigned
interval_ms(const struct heart *h)
{
    return h->config->worker.dead_after / 3;
}


/* Returns 1 when the heart has to stop. */
static int
rest(struct heart *h)
{
    struct timespec until = clock_after(interval_ms(h));

    pthread_mutex_lock(&h->lock);

    while (!h->stopping && pthread_cond_timedwait(&h->woken, &h->lock, &until) != ETIMEDOUT) {
        /* woken for nothing: wait for the rest */
    }

    int stopping = h->stopping;

    pthread_mutex_unlock(&h->lock);
    return stopping;
}


static void
beat_all(struct heart *h)
{
    for (unsigned i = 0; i < h->count; i++) {
        /* Nothing is taken over here: the consumer that works asks for that itself. */
        redisReply *reply = stream_beat(&h->redis, h->consumers[i].name, h->config->worker.dead_after, 0);

        if (reply == NULL) {
            log_debug("event=heartbeat_failed consumer=%s error=\"%s\"", h->consumers[i].name, h->redis.error);
            return;
        }

        freeReplyObject(reply);
    }
}


static void
leave_all(struct heart *h)
{
    for (unsigned i = 0; i < h->count; i++) {
        if (stream_leave(&h->redis, h->consumers[i].name, h->config->worker.dead_after) == -1) {
            log_warn("event=leave_failed consumer=%s error=\"%s\"", h->consumers[i].name, h->redis.error);
            return;
        }
    }
}


static void *
run(void *data)
{
    struct heart *h = data;

    do {
        beat_all(h);
    } while (!rest(h));

    leave_all(h);
    atomic_store(&h->ended, 1);
    return NULL;
}


int
heart_start(struct heart *h, const struct config *config, const struct consumer_status *consumers,
              unsigned count)
{
    *h = (struct heart) { .config = config, .consumers = consumers, .count = count, .redis.config = config };
    pthread_mutex_init(&h->lock, NULL);
    clock_cond_init(&h->woken);
    return pthread_create(&h->thread, NULL, run, h);
}


void
heart_stop(struct heart *h)
{
    pthread_mutex_lock(&h->lock);
    h->stopping = 1;
    pthread_cond_signal(&h->woken);
    pthread_mutex_unlock(&h->lock);
}


void
heart_join(struct heart *h)
{
    pthread_join(h->thread, NULL);
    redis_close(&h->redis);
    pthread_cond_destroy(&h->woken);
    pthread_mutex_destroy(&h->lock);
}
