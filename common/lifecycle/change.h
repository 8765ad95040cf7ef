/*
 * Changes in the lives of orders: a batch of them in one transaction of MySQL.
 *
 *   read items -> lock products in id order -> lock orders in identifier order -> decide each (lifecycle/rules.h)
 *   -> write statuses, stock, movements, outgoing events
 *
 * A payment of an order that waits for it moves no stock, so its product is not locked, and does not hold up the sale;
 * where the order's lock then shows another status than was read before, all begins again.
 *
 * change_batch_apply() runs inside the caller's transaction and changes nothing outside it; the caller begins, commits,
 * and then tells the gate (transition.lua). Products come before orders in every transaction of the project; whoever wants
 * other locks as well takes them before. Every update says from which status it goes, and which stock it leaves.
 *
 * A struct change_batch is one thread's, is used again batch after batch, and owns its arrays. Texts of a change marked "not
 * owned" must live until the batch is done.
 */
#ifndef CHECKOUT_LIFECYCLE_CHANGE_H
#define CHECKOUT_LIFECYCLE_CHANGE_H

#include "lifecycle/plan.h"
#include "mysql/db.h"

/*
 * The condition of an order `o` that is not paid and may be ended for it. Money in time is money that came before
 * pay_by, not money that was looked at before: an order waits for the events of its own that are not applied, and for
 * the oldest one that nobody has read, which may be its. A refund that waits for its payment keeps no order.
 */
#define ORDER_IS_OVERDUE \
    "o.status = 'pending_payment' AND o.pay_by < NOW(3) AND o.pay_by < COALESCE((SELECT n.received_at" \
    " FROM payment_events n FORCE INDEX (payment_events_due) WHERE n.processed_at IS NULL AND n.next_try_at IS NULL" \
    " ORDER BY n.received_at LIMIT 1), NOW(3)) AND NOT EXISTS (SELECT 1 FROM payment_events w" \
    " WHERE w.order_identifier = o.order_identifier AND w.processed_at IS NULL AND w.type NOT LIKE '%refunded')"

/*
 * Decides and writes all changes, in their order. Anything but DB_OK: roll back; with DB_AGAIN the same transaction can
 * be run again at once.
 */
enum db_result change_batch_apply(struct change_batch *batch, struct db *db);

#endif
