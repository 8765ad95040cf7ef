/*
 * What a consumer (intake/consumer.h) reports of itself to the monitor and to the heartbeat.
 *
 * The daemon owns one for each consumer, from before the first thread starts until all have been joined. The consumer's
 * start writes `name`; after that only the atomics change. No lock is needed.
 */
#ifndef CHECKOUT_WORKER_OBSERVE_CONSUMER_STATUS_H
#define CHECKOUT_WORKER_OBSERVE_CONSUMER_STATUS_H

#include <stdatomic.h>

#define CONSUMER_NAME_SIZE 160

/* A consumer asks MySQL so often at least, also an idle one, and its heartbeats say so for a while. */
#define CONSUMER_ASKS_MS  2000
#define CONSUMER_FRESH_MS 5000

enum consumer_wait {
    CONSUMER_WAITS_NOT,
    CONSUMER_WAITS_FOR_REDIS,
    CONSUMER_WAITS_FOR_MYSQL
};

struct consumer_status {
    char name[CONSUMER_NAME_SIZE]; /* of the consumer in the consumer group, unique among all processes */
    atomic_int waits_for;          /* enum consumer_wait: what failed last and was not reached again yet */
    atomic_ullong mysql_answered;  /* clock_ms(): when MySQL answered it last; at first, when it was started */
    atomic_int mysql_failed;       /* 1: MySQL was not reached at the last try */
    atomic_int is_away;            /* 1: it handed back what it held, and sends no heartbeat until it reaches MySQL */
    atomic_uint set_aside; /* entries for which a check failed (intake/set_aside.h), as far as it remembers them */
    atomic_uint locked_products; /* whose entries wait until the row is free (intake/locked_products.h) */
};

/* Does MySQL answer it, as far as is known at `now` of clock_ms()? Returns 1 or 0. Any thread. */
static inline int
consumer_reaches_mysql(const struct consumer_status *status, unsigned long long now)
{
    return !atomic_load(&status->mysql_failed) && now - atomic_load(&status->mysql_answered) < CONSUMER_FRESH_MS;
}

#endif
