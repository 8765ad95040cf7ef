/*
 * Counts of what this process did, for /metrics. They live as long as the process and begin at 0.
 *
 * All functions but stats_write() may be called by every thread and under every lock; none blocks. Metrics' names and
 * meanings: docs/operations.md. Histograms are those of Prometheus: a bucket counts the values that are at most its
 * bound (prometheus.io, "Exposition formats").
 */
#ifndef CHECKOUT_WORKER_OBSERVE_STATS_H
#define CHECKOUT_WORKER_OBSERVE_STATS_H

#include <stdint.h>

#include "lifecycle/rules.h"
#include "text/buffer.h"

enum stats_count {
    STATS_BATCHES,           /* settled */
    STATS_ENTRIES,           /* of the queue, settled by this process */
    STATS_TAKEN_OVER,        /* entries, from dead consumers */
    STATS_BURIED,            /* entries that cannot be read, moved to the dead letters */
    STATS_LOST,              /* entries deleted before they were settled */
    STATS_RECONCILED,        /* products corrected at the gate, ordinary pushes included */
    STATS_EVENTS_DELIVERED,  /* outgoing events that the shop acknowledged */
    STATS_EVENTS_FAILED,     /* attempts to deliver one that will be repeated */
    STATS_EVENTS_DEAD,       /* outgoing events given up */
    STATS_GATEWAY_SUCCEEDED, /* payments that the gateway took */
    STATS_GATEWAY_FAILED,    /* payments that the gateway refused */
    STATS_GATEWAY_UNKNOWN,   /* requests to the gateway without an answer */
    STATS_COUNTS
};

/* Adds n to a count. */
void stats_add(enum stats_count count, uint64_t n);

/* Returns what was added so far. */
uint64_t stats_read(enum stats_count count);

#define STATS_COUNT_MOST 10000 /* rows that a gauge counts at most: it says "so many, or more" */

enum stats_gauge {
    STATS_OUTGOING_WAITING, /* outgoing events that are not delivered yet */
    STATS_OUTGOING_DEAD,    /* outgoing events given up */
    STATS_GATEWAY_OPEN,     /* orders whose payment the gateway did not decide yet */
    STATS_COUNTER_DRIFT,    /* units by which counters differ from what was counted, in the last whole recount */
    STATS_NOTICES_WAITING,  /* changes of orders that the gate is not told of yet; 10000: that many or more */
    STATS_NOTICES_AGE,      /* seconds since the oldest of them was committed; 0: there is none */
    STATS_REBUILD,          /* enum rebuild_seen */
    STATS_GAUGES
};

/* Sets what MySQL, or the gate, held when it was read last; -1: it could not be read, and stats_write() leaves the
 * gauge out. */
void stats_set(enum stats_gauge gauge, int64_t value);

/* Returns the milliseconds since it was set to something but -1; -1: never. *name: the metric's, without checkout_. */
int64_t stats_age_ms(enum stats_gauge gauge, const char **name);

/* A batch of so many orders was settled. */
void stats_batch(uint64_t orders);

/*
 * One order of such a batch. verdict: "pending_payment", "repeated", "dead_letter", "idempotency_conflict", or a reason
 * of orders.failure_code ("out_of_stock", "product_gone", "rejected"); any other text is not counted.
 */
void stats_verdict(const char *verdict);

/* A transaction with new orders was committed in so many microseconds. */
void stats_commit(uint64_t microseconds);

/*
 * A transaction has to run again. code: MySQL's error number, or 0: none, or the connection failed. Sources: MySQL
 * Reference Manual, "Server Error Message Reference"; MariaDB, "MariaDB Error Code Reference".
 */
void stats_mysql_retry(unsigned code);

/* A call of Redis failed and is made again. settle 1: it was the settle script. */
void stats_redis_retry(int settle);

/* Counts the outcome of an event of an order. event ORDER_EVENTS: the event names no order. */
void stats_outcome(enum order_event event, enum event_outcome outcome);

/* Appends everything as Prometheus text. Any thread; only `text` needs the caller's care. */
void stats_write(struct buffer *text);

#endif
