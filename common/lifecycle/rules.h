/*
 * The life cycle of an order as a table: what each event does to it in each status. Pure; nothing here allocates or
 * blocks. Names that are returned are constant text, never NULL.
 *
 *     pending_payment ─────────► paid ──► completed ──► refunded
 *           │                     ▲ └───────────────────► refunded
 *           │                     │ late payment, if there is stock
 *           ├──► failed_payment ──┤
 *           ├──► cancelled ───────┤
 *     failed ─────────────────────┤
 *                                 ▼ late payment, if there is none
 *                           refund_pending ─────────────► refunded
 *
 * Nothing leads back: of two statuses of one order, the one of higher rank is the later one.
 *
 *     from              to               by                                     units
 *     pending_payment   paid             payment in time                        unchanged
 *     pending_payment   failed_payment   payment failed                         returned
 *     pending_payment   cancelled        expiry, cancellation                   returned
 *     paid              completed        operator                               unchanged
 *     paid              refunded         provider, operator                     returned
 *     completed         refunded         provider, operator                     written off
 *     failed, failed_payment, cancelled:
 *                       paid             late payment, and there is stock        taken
 *                       refund_pending   late payment, and there is none        unchanged
 *     refund_pending    refunded         provider, operator                     unchanged
 *
 * A stub (checkoutctl archive) stays what it is. Money that comes or goes back for it is a person's to look at.
 */
#ifndef CHECKOUT_LIFECYCLE_RULES_H
#define CHECKOUT_LIFECYCLE_RULES_H

#include <stddef.h>

enum order_status {
    ORDER_UNKNOWN, /* MySQL has no such order */
    ORDER_PENDING_PAYMENT,
    ORDER_PAID,
    ORDER_COMPLETED,
    ORDER_FAILED,
    ORDER_FAILED_PAYMENT,
    ORDER_CANCELLED,
    ORDER_REFUND_PENDING,
    ORDER_REFUNDED,
    ORDER_STATUSES
};

enum order_event {
    EVENT_PAYMENT_SUCCEEDED, /* reported by the provider, as are the next two */
    EVENT_PAYMENT_FAILED,
    EVENT_PAYMENT_REFUNDED,
    EVENT_EXPIRE,   /* pay_by has passed */
    EVENT_CANCEL,   /* by the buyer or the operator */
    EVENT_COMPLETE, /* by the operator: the goods are out */
    EVENT_REFUND,   /* by the operator: the money went back */
    ORDER_EVENTS
};

/* What became of an event. The words are kept in payment_events.outcome. */
enum event_outcome {
    OUTCOME_PAID,
    OUTCOME_PAID_LATE,      /* after the order had ended; its stock was taken again */
    OUTCOME_REFUND_PENDING, /* the same without stock: money that has to go back */
    OUTCOME_FAILED_PAYMENT,
    OUTCOME_CANCELLED,
    OUTCOME_COMPLETED,
    OUTCOME_REFUNDED,
    OUTCOME_REPEAT,     /* it is so already; nothing was done */
    OUTCOME_IGNORED,    /* it changes nothing in that status, and nobody has to know */
    OUTCOME_REFUSED,    /* it may not be in that status */
    OUTCOME_PAID_TWICE, /* a second payment: money that has to go back */
    OUTCOME_AMOUNT_MISMATCH,
    OUTCOME_CURRENCY_MISMATCH,
    OUTCOME_PARTIAL_REFUND,   /* less than the whole went back; the order stays as it is */
    OUTCOME_OTHER_PAYMENT,    /* a payment that does not count for the order went back */
    OUTCOME_PAYMENT_REPLACED, /* the payment that counted went back, and another one that came too counts now */
    OUTCOME_WAITS,            /* the order is not there yet, or not paid yet: tried again later */
    OUTCOME_UNKNOWN_ORDER,    /* waited long enough for it */
    OUTCOME_NOT_PAID,         /* a refund that waited long enough for its payment */
    OUTCOME_MALFORMED,        /* the event's body cannot be used */
    OUTCOME_REJECTED,         /* MySQL refuses its data */
    OUTCOME_LOCKED,           /* another session has the order's lock; nothing was done */
    OUTCOME_ARCHIVED,         /* the order is a stub, its data is in the archive; nothing was done */
    EVENT_OUTCOMES
};

/* What is known when the decision is made. */
struct order_facts {
    int archived;       /* a stub: status and identifier are all that is left of it */
    int due;            /* pay_by has passed */
    int currency_right; /* of payment events, as are the next five */
    int amount_right;
    int same_payment;   /* it names the payment that the order counts; also where either names none */
    int paid_twice;     /* there is another payment of it that did not go back */
    int too_old;        /* has waited long enough */
    int stock_suffices; /* for a late payment */
    int without_items;  /* a tombstone: nothing was ever sold */
};

enum stock_effect {
    STOCK_UNCHANGED,
    STOCK_RETURNED,   /* the units can be sold again */
    STOCK_TAKEN,      /* the units are taken again */
    STOCK_WRITTEN_OFF /* the units are with the buyer, and no longer in a live order */
};

struct lifecycle_decision {
    enum order_status status; /* from now on */
    enum stock_effect stock;
    enum event_outcome outcome;
};

/*
 * Decides what an event does to an order in that status (ORDER_UNKNOWN too). facts: never NULL; of an event that is no
 * payment only `due` and `archived` count. Where nothing changes, the decision has the status as it was and
 * STOCK_UNCHANGED.
 */
struct lifecycle_decision lifecycle_decide(enum order_status status, enum order_event event,
                                           const struct order_facts *facts);

/* Returns 1 where a person has to act (money that must go back, an event that nobody can use), else 0. */
int outcome_is_flagged(enum event_outcome outcome);

/* Returns 1 where an order in that status holds units of its product, else 0; as ORDER_SQL_LIVE (order/order_sql.h). */
int order_is_live(enum order_status status);

/* Of two statuses of one order the one of higher rank is the later one. lua/record.lua has the same ranks. */
int order_status_rank(enum order_status status);

/* The words that tables, records and metrics have for them: "pending_payment", "expire", "paid_late". */
const char *order_status_name(enum order_status status);
const char *order_event_name(enum order_event event);
const char *event_outcome_name(enum event_outcome outcome);

/* Returns the status of that name, or ORDER_UNKNOWN for another text. text: len bytes, no NUL needed. */
enum order_status order_status_parse(const char *text, size_t len);

#endif
