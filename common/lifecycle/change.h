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

#include "text/buffer.h"
#include "mysql/db.h"
#include "order/identifier.h"
#include "lifecycle/rules.h"
#include "text/money.h"
#include "mysql/product_row.h"

#define CHANGE_BATCH_MAX          256    /* changes of one batch */
#define PAYMENT_ID_MAX    255
#define CHANGE_ITEMS_MIN    64     /* items of one order, at least that many */

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

struct order_change {
    char identifier[CHECKOUT_IDENTIFIER_LEN + 1];
    enum order_event event;
    uint64_t user;                           /* the order must be of this buyer, else it is unknown; 0: of anybody */
    const char *code;                        /* orders.failure_code, of an event that ends the order; not owned */
    const char *reason;                      /* of the stock movement; not owned */

    char payment_id[PAYMENT_ID_MAX + 1];    /* of payment events, as are the next three; empty: none */
    uint64_t amount;                         /* hundredths */
    char currency[MONEY_CURRENCY_LEN + 1];
    int too_old;                             /* it has waited long enough for its order */

    enum event_outcome outcome;               /* what became of it; set by change_batch_apply(), as is the next */
    size_t order;                            /* index of its order */
};

struct changed_order {
    char identifier[CHECKOUT_IDENTIFIER_LEN + 1];
    enum order_status before, status;         /* as locked, and as written; ORDER_UNKNOWN: no row */
    int left;                                /* not looked at: somebody else has its lock, or its product's */
    enum order_status seen;                   /* of batch.c alone, as are the next three: as read without a lock */
    int product_left, was_read, moves_stock;
    uint64_t user, product, quantity;        /* asked for; of the last item where the row does not say */
    size_t items;                            /* 0: a tombstone */
    int64_t taken;                           /* units of `product` that the buyer holds more (or less) than before */
    char code[65];                           /* orders.failure_code; empty: none */
    char payment_id[PAYMENT_ID_MAX + 1];
    uint64_t total;                          /* hundredths */

    char now[24];                            /* by the database's clock, "2026-11-21T06:30:00.123" */
    int due;                                 /* ORDER_IS_OVERDUE; looked at only for EVENT_EXPIRE */
    int total_known;
    char second_payment[PAYMENT_ID_MAX + 1];    /* another one that came and did not go back; looked at for refunds */
    int paid_now;                            /* a change of this batch was about its money */
    int new_payment, new_total, new_item;    /* what has to be written beside the status */
};

struct changed_item {
    size_t order;                            /* index of its order */
    uint64_t product;
    uint32_t quantity;
    size_t place;                            /* index of its product; PRODUCT_NOT_LOCKED: not locked */
};

#define PRODUCT_NOT_LOCKED ((size_t) -1)

struct stock_delta {
    int64_t delta;                           /* change of its stock */
};

struct change_batch {
    char currency[MONEY_CURRENCY_LEN + 1];   /* of all orders */
    int writes_events;                        /* 1: outgoing_events are written */
    int skip_locked;                         /* 1: orders whose locks somebody else has are left */

    struct order_change *changes;
    size_t count, capacity;

    struct changed_order *orders;               /* of the changes, identifiers ascending */
    size_t order_count;
    struct changed_item *items;
    size_t item_count, item_capacity;
    struct product_row *products;            /* ids ascending; after change_batch_apply() as they will be committed */
    struct stock_delta *deltas;             /* beside products */
    size_t product_count;

    struct buffer sql, movements, new_items, outgoing;
};

/* capacity: 1 .. CHANGE_BATCH_MAX changes in one batch. NULL: no memory. */
struct change_batch *change_batch_create(size_t capacity);
void change_batch_free(struct change_batch *batch);

/* Forgets the changes of the last batch. */
void change_batch_clear(struct change_batch *batch);

/* Room for one more change, empty but for identifier and event; NULL: the batch is full. */
struct order_change *change_batch_add(struct change_batch *batch, const char *identifier, enum order_event event);

/*
 * Decides and writes all changes, in their order. Anything but DB_OK: roll back; with DB_AGAIN the same transaction can
 * be run again at once.
 */
enum db_result change_batch_apply(struct change_batch *batch, struct db *db);

/* An order whose status changed. */
int order_status_changed(const struct changed_order *order);

#endif
