/*
 * Notices: what Redis still has to be told of a change of an order (status, units of the buyer), as rows of table
 * gate_notices. A row is written in the transaction that changes the order, and goes once Redis was told
 * (common/lua/transition.lua): by whoever changed the order, or else by the sweep of any worker (lifecycle/notices.h).
 * So whatever dies between commit and telling, Redis hears of it. Told twice, the order's record shows that it was
 * told.
 *
 * Every change of an order that has a row writes one, and so does a cancellation of an order in the queue. A worker's
 * verdicts write none: their entry stays in the queue until settle.lua told Redis.
 *
 * Pure, but for the connection's quoting; buffers may fail.
 */
#ifndef CHECKOUT_LIFECYCLE_GATE_NOTICE_H
#define CHECKOUT_LIFECYCLE_GATE_NOTICE_H

#include "lifecycle/plan.h"

/*
 * Adds to sql the statement that inserts the notices of all orders of the batch that changed, divided by ";" from what
 * is in sql; nothing where none did.
 */
void gate_notices_insert(const struct change_batch *batch, struct buffer *sql);

/*
 * Adds to sql statements that delete the notices of the orders with told[i] set that changed, divided by ";" (also from
 * what is in sql); nothing where there are none. told: order_count bytes.
 */
void gate_notices_delete(const struct change_batch *batch, const unsigned char *told, struct buffer *sql);

#endif
