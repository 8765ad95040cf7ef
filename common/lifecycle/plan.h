/*
 * A batch of changes of orders, and what the rules (lifecycle/rules.h) make of it: new statuses, and units of stock
 * that move. Pure: no call of a server; change_batch_create() alone allocates.
 *
 * A struct change_batch is one thread's, is used again batch after batch, and owns its arrays. Texts of a change marked
 * "not owned" must live until the batch is done. lifecycle/change.h fills in what MySQL holds, and writes what was
 * planned.
 */
#ifndef CHECKOUT_LIFECYCLE_PLAN_H
#define CHECKOUT_LIFECYCLE_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "lifecycle/rules.h"
#include "mysql/product_row.h"
#include "order/identifier.h"
#include "text/buffer.h"
#include "text/money.h"

#define CHANGE_BATCH_MAX 256 /* changes of one batch */
#define PAYMENT_ID_MAX   255 /* bytes, without a NUL */
#define CHANGE_ITEMS_MIN 64  /* items that one order may have at least */

struct order_change {
    char identifier[CHECKOUT_IDENTIFIER_LEN + 1];
    enum order_event event;
    uint64_t user;      /* the order must be of this buyer, else it is unknown; 0: of anybody */
    const char *code;   /* orders.failure_code, of an event that ends the order; not owned */
    const char *reason; /* of the stock movement; not owned */

    char payment_id[PAYMENT_ID_MAX + 1]; /* of payment events, as are the next three; empty: none */
    uint64_t amount;                     /* hundredths */
    char currency[MONEY_CURRENCY_LEN + 1];
    int too_old; /* it has waited long enough for its order */

    enum event_outcome outcome; /* what became of it; set by change_batch_apply(), as is the next */
    size_t order;               /* index of its order */
};

struct changed_order {
    char identifier[CHECKOUT_IDENTIFIER_LEN + 1];
    enum order_status before, status; /* as locked, and as written; ORDER_UNKNOWN: no row */
    int passed_over;                  /* another session has its lock, or its product's; or the gate knows more of it */
    enum order_status seen;           /* of change.c alone, as are the next three: as read without a lock */
    int product_passed_over, was_read, moves_stock;
    uint64_t user, product, quantity; /* asked for; of the last item where the row has none */
    size_t items;                     /* 0: a tombstone */
    int64_t taken;                    /* units of `product` that the buyer holds more (or less) than before */
    char code[65];                    /* orders.failure_code; empty: none */
    char payment_id[PAYMENT_ID_MAX + 1];
    uint64_t total; /* hundredths */

    char now[24]; /* by the database's clock, "2026-11-21T06:30:00.123" */
    int archived; /* 1: a stub (checkoutctl archive): no buyer, product, price or item */
    int due;      /* ORDER_IS_OVERDUE; set only for EVENT_EXPIRE */
    int total_known;
    char second_payment[PAYMENT_ID_MAX + 1]; /* another one that came and did not go back; read for refunds */
    int paid_now;                            /* a change of this batch was about its money */
    int new_payment, new_total, new_item;    /* what has to be written beside the status */
};

struct changed_item {
    size_t order; /* index of its order */
    uint64_t product;
    uint32_t quantity;
    size_t place; /* index of its product; PRODUCT_NOT_LOCKED: not locked */
};

#define PRODUCT_NOT_LOCKED ((size_t) -1)

/* What a batch changes of a product. Units that come back and units that go may add up to 0: it moved all the same. */
struct stock_delta {
    int64_t delta;    /* change of its stock */
    int64_t live;     /* change of the units in live orders */
    int64_t supplied; /* change of the units supplied: those written off */
    int moved;        /* 1: units of an order moved */
};

struct change_batch;

/*
 * Looks whether the gate knows more than MySQL, which then has lost commits. Called by change_batch_apply() when the
 * batch's products and orders are locked and before anything is decided; sets passed_over of orders that must not be
 * changed now, and counts in batch->behind those of which it knows for certain. Only orders whose moves_stock is set
 * need a look. Returns DB_OK, or DB_RETRY with db->error set.
 */
typedef enum db_result (*change_look)(struct change_batch *batch, struct db *db, void *data);

struct change_batch {
    char currency[MONEY_CURRENCY_LEN + 1]; /* of all orders */
    int writes_events;                     /* 1: outgoing_events are written */
    const char *actor;                     /* of stock movements; not owned; NULL: nobody says */
    int skip_locked;                       /* 1: orders whose locks another session has are passed over */

    struct order_change *changes;
    size_t count, capacity;

    struct changed_order *orders; /* of the changes, identifiers ascending */
    size_t order_count;
    struct changed_item *items;
    size_t item_count, item_capacity;
    struct product_row *products; /* ids ascending; after change_batch_apply() as they will be committed */
    struct stock_delta *deltas;   /* beside products */
    size_t product_count;

    change_look look; /* NULL: nobody looks; kept by change_batch_clear(), as is the next */
    void *look_data;  /* not owned */
    size_t behind;    /* orders of which the gate knows more than MySQL, set by look */

    int inconsistent; /* set by change_batch_apply(): units were to move of a product that is not locked */

    struct buffer sql, movements, new_items, outgoing;
};

/* capacity: changes in one batch, 1 .. CHANGE_BATCH_MAX. change_batch_free() frees it. NULL: no memory. */
struct change_batch *change_batch_create(size_t capacity);

/* Frees the batch and all that it owns. NULL is fine. */
void change_batch_free(struct change_batch *batch);

/* Empties the batch for the next changes; keeps memory, currency, writes_events and skip_locked. */
void change_batch_clear(struct change_batch *batch);

/*
 * Adds a change, empty but for identifier (CHECKOUT_IDENTIFIER_LEN characters, copied) and event, for the caller to
 * fill in. Returns it, owned by the batch, or NULL: the batch is full.
 */
struct order_change *change_batch_add(struct change_batch *batch, const char *identifier, enum order_event event);

/* Returns 1 where the order's status is no longer the one that was locked, else 0. */
int order_status_changed(const struct changed_order *order);

/* Called while changes are decided, in their order; the batch shows what was decided so far. Neither may be NULL. */
struct plan_listener {
    /* The units of one item move because of a change; effect is not STOCK_UNCHANGED. */
    void (*movement)(struct change_batch *batch, const struct order_change *change, const struct changed_item *item,
                     enum order_status from, enum stock_effect effect);

    /* The order has a new status. */
    void (*status_changed)(struct change_batch *batch, const struct changed_order *order);
};

/*
 * Decides all changes, in their order, from what was read and locked: sets their outcome, the orders' status and what
 * else has to be written, and the change of each product's stock. listener: never NULL; called back only from here.
 *
 * Returns 0, or -1 where units would move of a product that is not locked (the caller's mistake): what was decided so
 * far must not be written then.
 */
int plan_changes(struct change_batch *batch, const struct plan_listener *listener);

#endif
