/*
 * The transaction that turns a batch of jobs into orders and tombstones.
 *
 *   lock all products in id order -> read which identifiers have a verdict -> decide -> write -> COMMIT
 *
 * Safe to run again at any moment, also when nobody knows whether the last COMMIT was done: what is there
 * already is found as a verdict. A batch whose data MySQL refuses is halved until each order at fault is
 * alone; that one gets a tombstone, or is dead if not even a tombstone can be written. But where several orders are
 * refused and not one row of the batch could be written, the tables are at fault (a column was changed) and not the
 * orders: nobody gets a tombstone, and the batch waits.
 *
 * An error that no list knows is taken for the environment's, and the batch waits. When it comes back
 * SUSPICIOUS_RUNS times, the batch is probed in halves: if others of its orders can be committed, those that cannot are
 * at fault themselves and are treated as refused; if none can, all wait on.
 */
#ifndef CHECKOUT_WORKER_INTAKE_ORDER_TRANSACTION_H
#define CHECKOUT_WORKER_INTAKE_ORDER_TRANSACTION_H

#include "intake/batch.h"
#include "text/buffer.h"
#include "base/config.h"
#include "mysql/db.h"
#include "intake/decide.h"
#include "base/identifier_table.h"

#define SUSPICIOUS_RUNS 3

struct order_list {
    struct order **orders;
    size_t count, capacity;
};

/* Room for one transaction, used again by the next. One thread's. */
struct order_tx {
    struct db *db;                      /* not owned */
    const struct config *config;        /* not owned */
    struct buffer sql, items;
    struct identifiers found;
    size_t *leaders;
    struct stored_verdict *stored;
    size_t capacity;
    struct product_row *locked;         /* as read under the lock */
    struct product_row *after;          /* as the decision leaves them */
    size_t locked_capacity;

    unsigned unknown_runs;              /* runs in sequence that ended with an error of no list */
    struct order_list stuck;            /* orders that a probe found at fault */
    struct order_list refused;          /* orders whose data MySQL refuses, each tried alone */
    size_t rows_inserted;               /* by the attempt under way */
    size_t rows_committed;              /* since a batch was last done with: proof that MySQL takes orders */
    size_t probe_commits, probe_failures;
};

/*
 * Gives every order of the batch its verdict and fills in its products as committed. Returns DB_OK when all is
 * committed; else db->error says why, and the same batch has to be run again later. Never DB_POISON.
 */
enum db_result order_tx_run(struct order_tx *tx, struct batch *batch);

/* Has the batch failed so often for no known reason that it is probed? */
int order_tx_is_suspicious(const struct order_tx *tx);

void order_tx_free(struct order_tx *tx);

#endif
