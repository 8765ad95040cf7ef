/*
 * The first and the last step of a recovery: which products it recovers, and which of them can be sold again.
 */
#ifndef CHECKOUT_WORKER_REPAIR_RECOVERY_PRODUCTS_H
#define CHECKOUT_WORKER_REPAIR_RECOVERY_PRODUCTS_H

#include "repair/recovery_context.h"
#include "repair/sync.h"

/*
 * Fills in r->products with what is in the set `products:recovering`, each claimed for r->owner. Blocks: a call of
 * Redis for each LOSS_LOOK_MOST products. Returns RECOVERY_DONE or RECOVERY_FAILED.
 */
enum recovery_result recovery_claim(struct recovery *r);

/*
 * Opens each product for which all is explained: under its lock, no record was left over, and its stock is the one that
 * the register had, or has more units by what is in flight at most (where its row came anew, or records alone proved
 * the loss, there is no stock to compare). Its version becomes greater than the register's and is pushed. The others
 * stay closed; an error line names each. Blocks. Returns any enum recovery_result.
 */
enum recovery_result recovery_open_products(struct recovery *r);

/*
 * An operator says that MySQL is right as it is: under the product's lock its version becomes greater than the
 * register's, and units that no movement explains are booked; then it is pushed, and sold again. Blocks. Returns
 * SYNC_PUSHED; SYNC_UP_TO_DATE: it is not being recovered; SYNC_NOT_PUSHED: committed, do it again; SYNC_NO_PRODUCT,
 * SYNC_DB_FAILED, SYNC_REDIS_FAILED: nothing was done. *row is the row as committed.
 */
enum sync_result recovery_open_by_hand(struct db *db, struct redis_connection *conn, uint64_t id,
                                       struct product_row *row);

#endif
