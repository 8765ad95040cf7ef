/*
 * The reconciler: compares products at the gate with their rows in MySQL, and corrects the gate. One process does it
 * for all, by lease; each looks once at its start, so that what a crash left is put right at once. Several may do it at
 * the same time: every step is a versioned push, or happens under the product's lock.
 *
 * A tick goes through all loaded products, in pages of GATE_INSPECT_MOST: one script call, one SELECT. After each call
 * it rests for RECONCILER_REST times as long as Redis was busy with it, so it takes no more than 1 / (1 +
 * RECONCILER_REST) of Redis' time, however many products there are; with very many a tick takes longer than the
 * interval. What is left of the interval goes into the pass over the queue that checks what is in flight
 * (repair/flight_check.h).
 *
 * Redis is always read before MySQL: a register's version comes from a committed row, so a row read later
 * is never older than it, unless MySQL lost commits.
 *
 * Every few minutes a tick also takes away large keys that would expire soon (repair/expiring.h).
 *
 * A failure of one product does not stop the others: a tick ends early only when a connection or the lease is lost.
 *
 * Rows are read without a lock and in no transaction; PUSH, SET_STOCK, RECOUNT and FORGET are calls of Redis alone.
 * RAISE, LOAD and CLOSE go through repair/sync.h, which says what happens under the row's lock and how long it blocks.
 */
#ifndef CHECKOUT_WORKER_REPAIR_RECONCILER_H
#define CHECKOUT_WORKER_REPAIR_RECONCILER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/backoff.h"
#include "base/config.h"
#include "mysql/db.h"
#include "redis/connection.h"
#include "redis/gate.h"
#include "redis/lease.h"
#include "repair/flapping.h"
#include "repair/flight_check.h"

enum reconcile_action {
    RECONCILE_NONE,
    RECONCILE_PUSH,      /* MySQL is newer */
    RECONCILE_RECOVER,   /* the register is newer: prove under the lock that MySQL lost commits, begin the recovery */
    RECONCILE_RAISE,     /* the register contradicts MySQL, or is damaged: lock, raise the version, push */
    RECONCILE_SET_STOCK, /* the stock key does not follow from the register */
    RECONCILE_LOAD,      /* the register is gone, the stock key is left: load, counting what is in flight */
    RECONCILE_CLOSE,     /* MySQL has no such product (any more) */
    RECONCILE_FORGET,    /* the register is gone: no longer counted as loaded, once nothing is in flight of it */
    RECONCILE_RECOUNT    /* in_flight is not the sum over queue and dead letters, as several passes have shown */
};

#define RECONCILER_REST   49
#define RECONCILER_WANTED 256

/* A product that has to be counted before it can be corrected. */
struct reconciler_wanted {
    uint64_t id;
    enum reconcile_action action; /* LOAD, FORGET, RECOUNT, or RAISE for a damaged register */
};

/* Returns the first correction that the product needs, or RECONCILE_NONE. row: read after gate. Pure. */
enum reconcile_action reconciler_judge(const struct gate_product *gate, const struct product_row *row);

struct reconciler {
    const struct config *config; /* not owned */
    pthread_t thread;
    atomic_int ended;
    struct redis_connection redis;
    struct db db;
    struct backoff backoff;
    struct lease lease;
    int leads;           /* this tick is done under the lease */
    uint64_t renewed_ms; /* when the lease was renewed last, by clock_ms() */

    uint64_t *ids; /* products that count as loaded, ascending, distinct */
    size_t id_count, id_capacity;
    struct gate_counts counts;  /* as the last call of inspect read them */
    uint64_t asked_ms;          /* when a comparison of the records was last asked for; 0: never */
    struct flapping flapping;   /* products whose version had to be raised at tick after tick */
    struct flight_check flight; /* the pass that finds what is counted wrongly */
    int64_t queued_more;        /* to be added to the gate's count of queued orders, by that pass */

    struct reconciler_wanted wanted[RECONCILER_WANTED]; /* more are taken at a later tick */
    size_t wanted_count;
    struct in_flight exact; /* the pass that counts the first `exact_count` of them; 0: none is under way */
    size_t exact_count;

    uint64_t expiring_ms; /* when keys that would expire are looked for again, by clock_ms() */
    int looks_for_expiring;

    uint64_t ticks;
    uint64_t failed;  /* products that could not be corrected at this tick */
    uint64_t owed_us; /* rest that is still to be taken */
    int64_t
        wrong_count_before; /* the right count of products, where it was wrong at the tick before; -1: it was right */
};

/*
 * Starts the thread. config must outlive it. It ends when the stop is requested (base/stop.h), after the product in
 * hand, and then sets `ended`. Returns 0, or an error number of pthread_create(3): do not join it then.
 */
int reconciler_start(struct reconciler *r, const struct config *config);

/* After stop_request(), else it waits for ever: waits for the thread's end, and frees what it owned. */
void reconciler_join(struct reconciler *r);

#endif
