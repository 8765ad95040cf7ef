/*
 * The reconciler: one thread per process that compares products at the gate with their rows in MySQL, at start and then
 * every interval, and corrects the gate. Several processes may do it at once: every step is a versioned push, or
 * happens under the product's lock.
 *
 * Redis is always read before MySQL: a register's version comes from a committed row, so a row read later
 * is never older than it, unless MySQL lost commits.
 *
 * A failure of one product does not stop the others: a tick ends early only when a connection is lost.
 *
 * Rows are read without a lock and in no transaction; RECONCILE_PUSH, SET_STOCK and RECOUNT are calls of Redis alone.
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
#include "repair/flapping.h"
#include "text/buffer.h"

enum reconcile_action {
    RECONCILE_NONE,
    RECONCILE_PUSH,      /* MySQL is newer */
    RECONCILE_RAISE,     /* the register contradicts MySQL, or is damaged: lock, raise the version, push */
    RECONCILE_SET_STOCK, /* the stock key does not follow from the register */
    RECONCILE_LOAD,      /* the register is gone, the stock key is left: load, counting what is in flight */
    RECONCILE_CLOSE,     /* MySQL has no such product (any more) */
    RECONCILE_RECOUNT    /* in_flight is not the sum over queue and dead letters */
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

    uint64_t *ids; /* products with a register or a stock key, ascending, distinct */
    size_t id_count, id_capacity;
    struct buffer suspects;        /* ids (8 bytes each) whose in_flight was wrong at this tick */
    struct buffer suspects_before; /* and at the tick before */
    struct gate_counts counts;     /* as the last call of inspect read them */
    struct flapping flapping;      /* products whose version had to be raised at tick after tick */
    uint64_t ticks;
    uint64_t failed;            /* products that could not be corrected at this tick */
    uint64_t redis_us;          /* time that this tick kept Redis busy with scans and sums */
    int64_t loaded;             /* registers seen at this tick */
    int64_t wrong_count_before; /* what `loaded` was when the count of products was wrong; -1: it was right */
};

/*
 * Starts the thread. config must outlive it. It ends when the stop is requested (base/stop.h), after the product in
 * hand, and then sets `ended`. Returns 0, or an error number of pthread_create(3): do not join it then.
 */
int reconciler_start(struct reconciler *r, const struct config *config);

/* After stop_request(), else it waits for ever: waits for the thread's end, and frees what it owned. */
void reconciler_join(struct reconciler *r);

#endif
