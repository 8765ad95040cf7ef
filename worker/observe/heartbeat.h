/*
 * The heart: one thread that says "alive" for all consumers of the process, on a connection of its own, so
 * that a long wait for MySQL does not make a consumer look dead. When it stops it says that they left,
 * and others may take their entries at once.
 */
#ifndef CHECKOUT_WORKER_OBSERVE_HEARTBEAT_H
#define CHECKOUT_WORKER_OBSERVE_HEARTBEAT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/config.h"
#include "observe/consumer_status.h"
#include "redis/connection.h"

struct heart {
    const struct config *config;       /* not owned */
    const struct consumer_status *consumers;   /* not owned */
    unsigned count;
    pthread_t thread;
    atomic_int ended;
    pthread_mutex_t lock;
    pthread_cond_t woken;
    int stopping;                      /* under lock */
    struct redis_conn redis;
};

int heart_start(struct heart *h, const struct config *config, const struct consumer_status *consumers,
                  unsigned count);

/* It says that all consumers left, and ends. To be called when they have ended, or will not end. */
void heart_stop(struct heart *h);

/* After heart_stop(): joins the thread and frees what it owned. */
void heart_join(struct heart *h);

#endif
