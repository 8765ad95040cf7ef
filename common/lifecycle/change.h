/*
 * A batch of changes of orders (lifecycle/plan.h) in one transaction of MySQL.
 *
 *   read items -> lock products in id order -> lock orders in identifier order -> look at the gate, where units may
 * move (batch->look) -> decide each (lifecycle/rules.h) -> write statuses, stock, movements, outgoing events
 *
 * A payment of an order that waits for it moves no stock, so its product is not locked, and does not hold up the sale;
 * where the order's lock then shows another status than was read before, all begins again.
 *
 * change_batch_apply() runs inside the caller's transaction and changes nothing outside it; the caller begins, commits,
 * and then informs the gate (transition.lua). Products come before orders in every transaction of the project; whoever
 * wants other locks as well takes them before. Every update says from which status it goes, and which stock it leaves.
 */
#ifndef CHECKOUT_LIFECYCLE_CHANGE_H
#define CHECKOUT_LIFECYCLE_CHANGE_H

#include "lifecycle/plan.h"
#include "mysql/db.h"

/*
 * The condition of an order `o` that was not paid in time and may be cancelled for it. What counts is when the payment
 * event came in, not when it is applied. So the order is kept:
 *   - while an event of its own waits to be applied, but for a refund, which brings no money;
 *   - while the oldest event that was never tried came in at or before its pay_by: it may be this order's.
 */
#define ORDER_IS_OVERDUE \
    "o.status = 'pending_payment' AND o.pay_by < NOW(3) AND o.pay_by < COALESCE((SELECT n.received_at" \
    " FROM payment_events n FORCE INDEX (payment_events_due) WHERE n.processed_at IS NULL AND n.next_try_at IS NULL" \
    " ORDER BY n.received_at LIMIT 1), NOW(3)) AND NOT EXISTS (SELECT 1 FROM payment_events w" \
    " WHERE w.order_identifier = o.order_identifier AND w.processed_at IS NULL AND w.type NOT LIKE '%refunded')"

/*
 * Decides and writes all changes, in their order; batch stays the caller's. A transaction is open on db, which holds no
 * lock of a product or an order yet. Blocks for up to eight statements, and for locks as long as the session waits for
 * one. The locks of products and orders are held until the transaction ends.
 *
 * DB_OK: outcome and order of each change are set, and what was decided is written; the caller commits. Else the caller
 * rolls back, and outcomes mean nothing. DB_AGAIN: the same transaction can be run again at once. DB_RETRY: later; also
 * with batch->inconsistent set, where the program is wrong and nothing was written.
 * DB_POISON: MySQL refuses the data of one of the changes, or they have more items than the batch can hold.
 */
enum db_result change_batch_apply(struct change_batch *batch, struct db *db);

#endif
