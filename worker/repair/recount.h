/*
 * The recount: one thread per process that counts each product's orders and movements anew (mysql/supply_count.h), and
 * so finds out whether its counters are right. One process at a time does it, by the lease "recount" (redis/lease.h).
 *
 * Product by product, ids ascending, on the replica of [mysql] replica_host or replica_socket where one is configured,
 * else on the primary: in one snapshot of each product, in pages, never under a lock, with a pause after each page of
 * RECOUNT_PAUSE_FACTOR times what it took. Each statement is ended by the server after RECOUNT_STATEMENT_MS. A product
 * is due [worker] recount_interval after it was counted last (products.counted_at), so that another process goes on
 * where one ended.
 *
 * A product that is not yet counted gets the difference added to its counters. A difference that is found later is
 * not taken back by the program, since either the counters or the orders are wrong: it is an error line
 * (law=counters) and the gauge checkout_counter_drift_units, at every pass, until `checkoutctl audit --repair` adds it.
 *
 * A failure ends the count of one product; after a growing pause the next one follows.
 */
#ifndef CHECKOUT_WORKER_REPAIR_RECOUNT_H
#define CHECKOUT_WORKER_REPAIR_RECOUNT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/config.h"
#include "mysql/supply_count.h"
#include "redis/lease.h"

#define RECOUNT_STATEMENT_MS 5000
#define RECOUNT_PAUSE_FACTOR 4 /* a fifth of one connection's time */

struct recount {
    const struct config *config; /* not owned */
    pthread_t thread;
    atomic_int ended;
    struct redis_connection redis; /* all below is the thread's */
    struct db_server primary_server, reader_server;
    struct db primary, reader; /* reader: the replica, or the primary once more */
    struct lease lease;
    uint64_t lease_ms; /* when it was asked for last */
    int held;
    uint64_t page_us; /* when the page under way began, by clock_us() */
    unsigned wait_ms; /* of the last failure; 0: none */

    struct supply *rows; /* a page of products */
    int64_t drift;       /* units by which counters differ, found in this pass */
    uint64_t failed;     /* products that could not be counted in this pass */
};

/*
 * Starts the thread. config must outlive it. It ends when the stop is requested (base/stop.h), after the page in hand,
 * and then sets `ended`. Returns 0, or an error number of pthread_create(3): do not join it then.
 */
int recount_start(struct recount *r, const struct config *config);

/* After stop_request(), else it waits for ever: waits for the thread's end, and frees what it owned. */
void recount_join(struct recount *r);

#endif
