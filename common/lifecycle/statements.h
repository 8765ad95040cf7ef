/*
 * The statements of a batch of changes (lifecycle/plan.h): collected while it is decided, then sent. statements_send()
 * alone blocks; a buffer that fails makes it return DB_RETRY. What is added is copied. Nothing may be NULL.
 */
#ifndef CHECKOUT_LIFECYCLE_STATEMENTS_H
#define CHECKOUT_LIFECYCLE_STATEMENTS_H

#include "lifecycle/plan.h"
#include "mysql/db.h"

/* Empties what was collected for the last batch. */
void statements_begin(struct change_batch *batch);

/* A row of stock_movements: the units of one item that move because of a change. effect is not STOCK_UNCHANGED. */
void statements_add_movement(struct change_batch *batch, const struct order_change *change,
                             const struct changed_item *item, enum order_status from, enum stock_effect stock);

/* The event for the shop of an order's new status, where batch->writes_events and the status has one. */
void statements_add_event(struct change_batch *batch, const struct changed_order *order);

/*
 * Sends all in the caller's transaction, which holds the locks of the batch's products and orders, and brings
 * batch->products to what will be committed. Blocks for two statements. Returns DB_OK, DB_RETRY, DB_POISON, or
 * DB_AGAIN, also where a row was not as the plan assumed. Anything but DB_OK: roll back.
 */
enum db_result statements_send(struct change_batch *batch, struct db *db);

#endif
