/*
 * Counts of what this process did, for /metrics. Every function is safe to call from every thread.
 *
 * Histograms are Prometheus's: a bucket counts what is at most its bound (prometheus.io, "Exposition formats").
 */
#ifndef CHECKOUT_WORKER_OBSERVE_STATS_H
#define CHECKOUT_WORKER_OBSERVE_STATS_H

#include <stdint.h>

#include "text/buffer.h"
#include "lifecycle/rules.h"

enum stats_count {
    STATS_BATCHES,          /* settled */
    STATS_ENTRIES,          /* of the queue, settled by this process */
    STATS_TAKEN_OVER,       /* entries, from dead consumers */
    STATS_BURIED,           /* entries that were no job */
    STATS_LOST,             /* entries deleted before they were settled */
    STATS_RECONCILED,       /* products put right at the gate, ordinary pushes included */
    STATS_EVENTS_DELIVERED, /* outgoing events that the shop has */
    STATS_EVENTS_FAILED,    /* attempts at them that will be repeated */
    STATS_EVENTS_DEAD,      /* given up */
    STATS_GATEWAY_SUCCEEDED,
    STATS_GATEWAY_FAILED,
    STATS_GATEWAY_UNKNOWN,  /* attempts without an answer */
    STATS_COUNTS
};

void stats_add(enum stats_count count, uint64_t n);
uint64_t stats_read(enum stats_count count);

enum stats_gauge {
    STATS_OUTGOING_WAITING, /* outgoing events that the shop was not told of yet */
    STATS_OUTGOING_DEAD,
    STATS_GATEWAY_OPEN,     /* orders that the gateway gave no answer for yet */
    STATS_GAUGES
};

/* What was last seen in MySQL; -1: it could not be seen, and is left out. */
void stats_set(enum stats_gauge gauge, int64_t value);

/* A batch of so many orders was settled. */
void stats_batch(uint64_t orders);

/* One of its orders: "pending_payment", "repeated", "dead_letter", "idempotency_conflict" or orders.failure_code. */
void stats_verdict(const char *verdict);

/* A transaction that was committed. */
void stats_commit(uint64_t microseconds);

/* A transaction that has to run again, with MySQL's error number (0: none, or the connection failed). */
void stats_mysql_retry(unsigned code);

/* A call of Redis that failed and is made again; settle = 1: it was the settle script. */
void stats_redis_retry(int settle);

/* What became of an event in an order's life; LIFE_EVENTS: one that names no order. */
void stats_outcome(enum life_event event, enum life_outcome outcome);

/* Adds it all as Prometheus text. */
void stats_write(struct buffer *text);

#endif
