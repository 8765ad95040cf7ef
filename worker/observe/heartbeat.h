/*
 * The heartbeat: one thread that reports all consumers of the process as alive (common/lua/heartbeat.lua), so that a
 * long wait for MySQL does not make a consumer look dead, and listens to those of other processes (observe/peers.h).
 * When it stops it reports that its own left, and other processes may take over their entries at once.
 *
 * The main thread starts, stops and joins it. The thread has a connection to Redis of its own, and reads only names and
 * atomics of the consumers. What a beat says is in redis/beats.h.
 */
#ifndef CHECKOUT_WORKER_OBSERVE_HEARTBEAT_H
#define CHECKOUT_WORKER_OBSERVE_HEARTBEAT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/config.h"
#include "observe/consumer_status.h"
#include "observe/peers.h"
#include "redis/connection.h"

struct heartbeat {
    const struct config *config;             /* not owned */
    const struct consumer_status *consumers; /* not owned */
    unsigned count;
    struct peers *peers; /* not owned */
    pthread_t thread;
    atomic_int ended; /* 1: the thread is about to return */
    pthread_mutex_t lock;
    pthread_cond_t woken;
    int stopping;                  /* under lock */
    struct redis_connection redis; /* the thread's */
};

/*
 * Starts the thread, which fills in `peers`. config, peers and consumers (count of them, with their names) must outlive
 * it. Returns 0, or an error number of errno.h: neither stop nor join it then.
 */
int heartbeat_start(struct heartbeat *h, const struct config *config, const struct consumer_status *consumers,
                    unsigned count, struct peers *peers);

/*
 * Makes the thread report that all consumers left, and end. Call it when they have ended or will not end: it does not
 * wait for the stop of base/stop.h. Does not block.
 */
void heartbeat_stop(struct heartbeat *h);

/*
 * After heartbeat_stop(), else it waits for ever: waits for the thread's end, which may wait for Redis, and frees what
 * it owned.
 */
void heartbeat_join(struct heartbeat *h);

#endif
