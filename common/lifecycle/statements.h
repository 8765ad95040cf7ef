/*
 * The statements of a batch of changes (lifecycle/change.h): collected while it is decided, then sent.
 */
#ifndef CHECKOUT_LIFECYCLE_STATEMENTS_H
#define CHECKOUT_LIFECYCLE_STATEMENTS_H

#include "lifecycle/plan.h"
#include "mysql/db.h"

void statements_begin(struct change_batch *batch);

/* A line of the book: the units of one item that move because of a change. */
void statements_add_movement(struct change_batch *batch, const struct order_change *change, const struct changed_item *item,
                         enum order_status from, enum stock_effect stock);

/* What the shop is told of an order's new status, where it is told at all. */
void statements_add_event(struct change_batch *batch, const struct changed_order *order);

/* Sends all, and brings batch->products to what will be committed. */
enum db_result statements_send(struct change_batch *batch, struct db *db);

#endif
