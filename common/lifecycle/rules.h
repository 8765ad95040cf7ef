/*
 * The order's life as a table: what each event does to an order in each status. Pure; nothing here allocates.
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
 */
#ifndef CHECKOUT_LIFECYCLE_RULES_H
#define CHECKOUT_LIFECYCLE_RULES_H

#include <stddef.h>

enum life_status {
    LIFE_UNKNOWN,              /* MySQL has no such order */
    LIFE_PENDING_PAYMENT,
    LIFE_PAID,
    LIFE_COMPLETED,
    LIFE_FAILED,
    LIFE_FAILED_PAYMENT,
    LIFE_CANCELLED,
    LIFE_REFUND_PENDING,
    LIFE_REFUNDED,
    LIFE_STATUSES
};

enum life_event {
    LIFE_PAYMENT_SUCCEEDED,    /* the provider's word, as are the next two */
    LIFE_PAYMENT_FAILED,
    LIFE_PAYMENT_REFUNDED,
    LIFE_EXPIRE,               /* pay_by has passed */
    LIFE_CANCEL,               /* by the buyer or the operator */
    LIFE_COMPLETE,             /* by the operator: the goods are out */
    LIFE_REFUND,               /* by the operator: the money went back */
    LIFE_EVENTS
};

/* What became of an event. The words are kept in payment_events.outcome. */
enum life_outcome {
    LIFE_OUT_PAID,
    LIFE_OUT_PAID_LATE,        /* after the order had ended; its stock was taken again */
    LIFE_OUT_REFUND_PENDING,   /* the same without stock: money that has to go back */
    LIFE_OUT_FAILED_PAYMENT,
    LIFE_OUT_CANCELLED,
    LIFE_OUT_COMPLETED,
    LIFE_OUT_REFUNDED,
    LIFE_OUT_REPEAT,           /* it is so already; nothing was done */
    LIFE_OUT_IGNORED,          /* it changes nothing in that status, and nobody has to know */
    LIFE_OUT_REFUSED,          /* it may not be in that status */
    LIFE_OUT_PAID_TWICE,       /* a second payment: money that has to go back */
    LIFE_OUT_AMOUNT_MISMATCH,
    LIFE_OUT_CURRENCY_MISMATCH,
    LIFE_OUT_PARTIAL_REFUND,   /* less than the whole went back; the order stays as it is */
    LIFE_OUT_OTHER_PAYMENT,    /* a payment that does not count for the order went back */
    LIFE_OUT_PAYMENT_REPLACED, /* the payment that counted went back, and another one that came too counts now */
    LIFE_OUT_WAITS,            /* the order is not there yet, or not paid yet: asked again later */
    LIFE_OUT_UNKNOWN_ORDER,    /* waited long enough for it */
    LIFE_OUT_NOT_PAID,         /* a refund that waited long enough for its payment */
    LIFE_OUT_MALFORMED,        /* the event's body says nothing that can be used */
    LIFE_OUT_REJECTED,         /* MySQL refuses what it says */
    LIFE_OUT_LEFT,             /* somebody else has the order's lock; nothing was done */
    LIFE_OUTCOMES
};

/* What is known when the decision is made. */
struct life_facts {
    int due;                   /* pay_by has passed */
    int currency_right;        /* of payment events, as are the next five */
    int amount_right;
    int same_payment;          /* it names the payment that the order counts; also where either names none */
    int paid_twice;            /* there is another payment of it that did not go back */
    int too_old;               /* has waited long enough */
    int stock_suffices;        /* for a late payment */
    int without_items;         /* a tombstone: nothing was ever sold */
};

enum life_stock {
    LIFE_STOCK_STAYS,
    LIFE_STOCK_BACK,           /* the units can be sold again */
    LIFE_STOCK_TAKEN,          /* the units are taken again */
    LIFE_STOCK_WRITTEN_OFF     /* the units are with the buyer, and no longer in a live order */
};

struct life_step {
    enum life_status status;   /* from now on */
    enum life_stock stock;
    enum life_outcome outcome;
};

struct life_step life_decide(enum life_status status, enum life_event event, const struct life_facts *facts);

/* Has somebody to look at it: money, or an event nobody can use? */
int life_is_flagged(enum life_outcome outcome);

/* Does an order in that status hold units of its product? */
int life_is_live(enum life_status status);

/* Of two statuses of one order the one of higher rank is the later one; common/lua/record.lua has the same ranks. */
int life_rank(enum life_status status);

const char *life_status_name(enum life_status status);
const char *life_event_name(enum life_event event);
const char *life_outcome_name(enum life_outcome outcome);

/* LIFE_UNKNOWN for a text that is no status. */
enum life_status life_status_read(const char *text, size_t len);

#endif
