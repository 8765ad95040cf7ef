/*
 * The transaction that turns a batch of jobs into orders and tombstones.
 *
 *   lock all products in id order -> read which identifiers have a verdict -> decide -> write -> COMMIT
 *
 * Safe to run again at any moment, also when nobody knows whether the last COMMIT was done: what is there
 * already is found as a verdict. A batch whose data MySQL refuses is halved until the order at fault is
 * alone; that one gets a tombstone, or is dead if not even a tombstone can be written.
 */
#ifndef CHECKOUT_ORDER_TX_H
#define CHECKOUT_ORDER_TX_H

#include "batch.h"
#include "db.h"
#include "decide.h"
#include "identifiers.h"

/* Room for one transaction, used again by the next. One thread's. */
struct order_tx {
    struct db *db;                      /* not owned */
    struct buffer sql, items;
    struct identifiers found;
    size_t *leaders;
    struct stored_verdict *stored;
    size_t capacity;
    struct product_row *locked;         /* as read under the lock */
    struct product_row *after;          /* as the decision leaves them */
    size_t locked_capacity;
};

/*
 * Gives every order of the batch its verdict and fills in its products as committed. Returns DB_OK when all is
 * committed; else db->error says why, and the same batch has to be run again later. Never DB_POISON.
 */
enum db_result order_tx_run(struct order_tx *tx, struct batch *batch);

void order_tx_free(struct order_tx *tx);

#endif
