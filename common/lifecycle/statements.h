/*
 * The statements of a batch of changes (lifecycle/change.h): collected while it is decided, then sent.
 */
#ifndef CHECKOUT_LIFECYCLE_STATEMENTS_H
#define CHECKOUT_LIFECYCLE_STATEMENTS_H

#include "lifecycle/change.h"

void life_write_begin(struct life *life);

/* A line of the book: the units of one item that move because of a change. */
void life_write_movement(struct life *life, const struct life_change *change, const struct life_item *item,
                         enum life_status from, enum life_stock stock);

/* What the shop is told of an order's new status, where it is told at all. */
void life_write_outgoing(struct life *life, const struct life_order *order);

/* Sends all, and brings life->products to what will be committed. */
enum db_result life_write(struct life *life, struct db *db);

#endif
