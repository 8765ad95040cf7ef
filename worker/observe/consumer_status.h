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

enum consumer_wait {
    CONSUMER_WAITS_NOT,
    CONSUMER_WAITS_FOR_REDIS,
    CONSUMER_WAITS_FOR_MYSQL
};

struct consumer_status {
    char name[CONSUMER_NAME_SIZE]; /* of the consumer in the consumer group, unique among all processes */
    atomic_int waits_for;          /* enum consumer_wait: what failed last and was not reached again yet */
    atomic_uint set_aside; /* entries for which a check failed (intake/set_aside.h), as far as it remembers them */
    atomic_uint locked_products; /* whose entries wait until the row is free (intake/locked_products.h) */
};

#endif
