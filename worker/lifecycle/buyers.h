/*
 * The buyers' counts at the gate: one thread for each process, of which one at a time works, by lease.
 *
 *   - every second: products whose buyers are to be counted anew are counted (repair/buyers_wanted.h);
 *   - every second: is Redis still the one that it was? Where its run id or replication id changed, it may have gone
 *     back: a replica took over, or it was started again, and the last that it was told is lost. Then the buyers of all
 *     products with a limit are counted again, once the orders that moved since have been told again.
 *
 * How far back. Each second the field `seen` of the hash `gate` gets Redis' identity and MySQL's time. What Redis lost
 * is the end of what it was told, so what was told before the time that it still has is there. Orders that moved since
 * then, and a minute before, are told again: so their records say what their rows say, which the count relies on. What
 * was told later than a minute after its commit, and then lost, is not among them; its notice went once it was told.
 *
 * The main thread starts and joins it; it alone uses its connections and buffers.
 */
#ifndef CHECKOUT_WORKER_LIFECYCLE_BUYERS_H
#define CHECKOUT_WORKER_LIFECYCLE_BUYERS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/backoff.h"
#include "base/config.h"
#include "lifecycle/plan.h"
#include "mysql/db.h"
#include "redis/connection.h"
#include "redis/lease.h"

#define BUYERS_RETELL_PAGE 256 /* orders told again by one call of Redis */

struct buyers {
    const struct config *config; /* not owned */
    pthread_t thread;
    atomic_int ended;
    struct redis_connection redis;
    struct redis_args args;
    struct db db;
    struct lease lease;
    uint64_t leased; /* when it was asked for last, by clock_ms(); 0: never */
    int holds_lease;
    int64_t epoch; /* of the gate, when db was last known to be on the right server */
    int unwatched; /* 1: it was logged that Redis does not say who it is */
    struct backoff backoff;
    struct buffer sql;
    struct changed_order *orders; /* BUYERS_RETELL_PAGE of them */
    struct product_row *products;
};

/* config must outlive the thread. Returns 0, or an error number of errno.h: do not join it then. */
int buyers_start(struct buyers *b, const struct config *config);

/* Waits for the thread's end and frees what it owned. The stop must have been requested. */
void buyers_join(struct buyers *b);

#endif
