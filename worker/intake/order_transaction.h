/*
 * The transaction that turns a batch into orders and tombstones (failed orders, with their reason).
 *
 *   lock all products in id order -> read which identifiers have a verdict -> decide -> write -> COMMIT
 *
 * Safe to run again at any moment, also where the answer to the last COMMIT was lost: what was committed is found as
 * a verdict.
 *
 * A batch whose data MySQL refuses is halved until each order at fault is alone; that one gets a tombstone, or becomes
 * a dead letter if not even a tombstone can be written. But where several orders are refused and not one row of the
 * batch could be written, the tables are at fault (a column was changed) and not the orders: no tombstone is written,
 * and the batch waits.
 *
 * After an error that mysql/error_class.h does not list the batch waits, as after an outage. When it comes back
 * SUSPICIOUS_RUNS times, the batch is probed in halves: if some of its orders can be committed, those that cannot are
 * treated as refused; if none can, all wait on. So an unknown error costs an order only beside others that it spares.
 *
 * An order that is refused alone is tried [worker] tries times in all before it gets its tombstone.
 *
 * A duplicate key means that another worker was first: the transaction runs again and finds that one's verdicts. One
 * that stays is a unique key of the shop's own, and counts as refused data. So that the tombstone does not meet the
 * same key, it is tried without product and quantity, too.
 *
 * A lock is waited for LOCK_WAIT_S: two workers on one product take turns. When that is over, the caller is told which
 * products' rows are locked, and goes on without them.
 *
 * Before anything of a product is written it is looked whether MySQL has lost commits of it (redis/loss.h): once for
 * each product, session and epoch, under its lock. Then nothing of the batch is committed, and the caller leaves the
 * orders of these products in the queue until they have been recovered (repair/recovery.h).
 */
#ifndef CHECKOUT_WORKER_INTAKE_ORDER_TRANSACTION_H
#define CHECKOUT_WORKER_INTAKE_ORDER_TRANSACTION_H

#include "base/config.h"
#include "base/identifier_table.h"
#include "intake/batch.h"
#include "intake/decide.h"
#include "intake/locked_products.h"
#include "mysql/db.h"
#include "redis/loss.h"
#include "text/buffer.h"

#define SUSPICIOUS_RUNS 3

struct order_list {
    struct order **orders;
    size_t count, capacity;
};

/*
 * Memory and state of one consumer's transactions. Set db, redis, config, and on_begun with its data; all else zero.
 * Belongs to one thread.
 */
struct order_transaction {
    struct db *db;                  /* not owned */
    struct redis_connection *redis; /* not owned */
    const struct config *config;    /* not owned */
    int64_t epoch;                  /* of the gate, as it was read before the batch's entries; set by the caller */
    void (*on_begun)(void *data);   /* NULL: nobody; called in each transaction once MySQL began it, before any lock */
    void *data;
    struct buffer sql, items;
    struct identifier_table found;
    size_t *leaders;
    struct stored_verdict *stored;
    size_t capacity;
    struct product_row *locked; /* as read under the lock */
    struct product_row *after;  /* as the decision leaves them */
    int64_t *left;              /* for the check of the decision: stock by the orders' quantities */
    size_t locked_capacity;
    size_t waited_for; /* after ORDERS_LOCKED: so many of `after` are products whose rows others hold, ids ascending */

    struct loss_cache losses; /* products that this session may change */
    unsigned char *closed;    /* after ORDERS_HELD: 1 for those of batch->products that are being recovered */
    size_t held;              /* how many: nothing was committed for that */

    int inconsistent;          /* a check failed in this run: the transaction was rolled back */
    unsigned unknown_runs;     /* runs in sequence that ended with an unlisted error */
    struct order_list stuck;   /* orders that a probe found at fault */
    struct order_list refused; /* orders whose data MySQL refuses, each tried alone */
    size_t rows_inserted;      /* by the attempt under way */
    size_t rows_committed;     /* since the last batch ended: proof that MySQL takes orders */
    size_t probe_commits, probe_failures;
};

enum order_result {
    ORDERS_COMMITTED, /* every order has its verdict, and the batch's products are as committed */
    ORDERS_HELD,      /* products of the batch are being recovered (tx->closed): run it again without their entries */
    ORDERS_WAIT,      /* MySQL failed (db->code, db->error): run the same batch again later */
    ORDERS_LOCKED,    /* rows of tx->after[0 .. waited_for) are locked: run the batch again without these products */
    /*
     * batch_check_decided() failed (intake/batch_check.h), and the transaction under way was rolled back: do not run or
     * settle these entries together again. The second check, before settling, is the consumer's (intake/consumer.h).
     */
    ORDERS_INCONSISTENT
};

/*
 * Gives every order of the batch its verdict, in one transaction or in several. The batch must be complete
 * (batch_complete()). After each other result than ORDERS_COMMITTED a part of the orders may be committed; run again
 * they are found as verdicts. Blocks on MySQL, up to [mysql] timeout for each statement, and holds the locks of the
 * batch's products while a transaction is open.
 */
enum order_result order_transaction_run(struct order_transaction *tx, struct batch *batch);

/* Returns 1 where the last SUSPICIOUS_RUNS runs failed with an unlisted error, so that the next is a probe; else 0. */
int order_transaction_is_suspicious(const struct order_transaction *tx);

/* Frees the memory; db stays open. */
void order_transaction_free(struct order_transaction *tx);

#endif
