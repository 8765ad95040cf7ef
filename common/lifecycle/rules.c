#include "lifecycle/rules.h"

#include <string.h>

#define STAYS(word)       { 0, 0, LIFE_STOCK_STAYS, LIFE_OUT_ ## word }
#define TO(to, out, word) { 1, LIFE_ ## to, LIFE_STOCK_ ## out, LIFE_OUT_ ## word }

struct rule {
    int moves;                 /* 0: the order stays what it is */
    enum life_status to;
    enum life_stock stock;
    enum life_outcome outcome;
};

static const char *const status_names[LIFE_STATUSES] = {
    [LIFE_UNKNOWN] = "unknown",
    [LIFE_PENDING_PAYMENT] = "pending_payment",
    [LIFE_PAID] = "paid",
    [LIFE_COMPLETED] = "completed",
    [LIFE_FAILED] = "failed",
    [LIFE_FAILED_PAYMENT] = "failed_payment",
    [LIFE_CANCELLED] = "cancelled",
    [LIFE_REFUND_PENDING] = "refund_pending",
    [LIFE_REFUNDED] = "refunded",
};

static const char *const event_names[LIFE_EVENTS] = {
    [LIFE_PAYMENT_SUCCEEDED] = "payment_succeeded",
    [LIFE_PAYMENT_FAILED] = "payment_failed",
    [LIFE_PAYMENT_REFUNDED] = "payment_refunded",
    [LIFE_EXPIRE] = "expire",
    [LIFE_CANCEL] = "cancel",
    [LIFE_COMPLETE] = "complete",
    [LIFE_REFUND] = "refund",
};

static const struct { const char *name; int flagged; } outcomes[LIFE_OUTCOMES] = {
    [LIFE_OUT_PAID] = { "paid", 0 },
    [LIFE_OUT_PAID_LATE] = { "paid_late", 0 },
    [LIFE_OUT_REFUND_PENDING] = { "refund_pending", 1 },
    [LIFE_OUT_FAILED_PAYMENT] = { "failed_payment", 0 },
    [LIFE_OUT_CANCELLED] = { "cancelled", 0 },
    [LIFE_OUT_COMPLETED] = { "completed", 0 },
    [LIFE_OUT_REFUNDED] = { "refunded", 0 },
    [LIFE_OUT_REPEAT] = { "repeat", 0 },
    [LIFE_OUT_IGNORED] = { "ignored", 0 },
    [LIFE_OUT_REFUSED] = { "refused", 0 },
    [LIFE_OUT_PAID_TWICE] = { "paid_twice", 1 },
    [LIFE_OUT_AMOUNT_MISMATCH] = { "amount_mismatch", 1 },
    [LIFE_OUT_CURRENCY_MISMATCH] = { "currency_mismatch", 1 },
    [LIFE_OUT_PARTIAL_REFUND] = { "partial_refund", 1 },
    [LIFE_OUT_OTHER_PAYMENT] = { "other_payment", 0 },
    [LIFE_OUT_PAYMENT_REPLACED] = { "payment_replaced", 1 },
    [LIFE_OUT_WAITS] = { "waits", 0 },
    [LIFE_OUT_UNKNOWN_ORDER] = { "unknown_order", 1 },
    [LIFE_OUT_NOT_PAID] = { "not_paid", 1 },
    [LIFE_OUT_MALFORMED] = { "malformed", 1 },
    [LIFE_OUT_REJECTED] = { "rejected", 1 },
    [LIFE_OUT_LEFT] = { "left", 0 },
};

/* Payments that succeeded or went back depend on more than the status: functions below. */
static const struct rule rules[LIFE_STATUSES][LIFE_EVENTS] = {
    [LIFE_UNKNOWN] = {
        [LIFE_PAYMENT_FAILED] = STAYS(WAITS),
        [LIFE_EXPIRE]         = STAYS(IGNORED),
        [LIFE_CANCEL]         = STAYS(UNKNOWN_ORDER),
        [LIFE_COMPLETE]       = STAYS(UNKNOWN_ORDER),
        [LIFE_REFUND]         = STAYS(UNKNOWN_ORDER),
    },
    [LIFE_PENDING_PAYMENT] = {
        [LIFE_PAYMENT_FAILED] = TO(FAILED_PAYMENT, BACK, FAILED_PAYMENT),
        [LIFE_EXPIRE]         = TO(CANCELLED, BACK, CANCELLED),
        [LIFE_CANCEL]         = TO(CANCELLED, BACK, CANCELLED),
        [LIFE_COMPLETE]       = STAYS(REFUSED),
        [LIFE_REFUND]         = STAYS(REFUSED),
    },
    [LIFE_PAID] = {
        [LIFE_PAYMENT_FAILED] = STAYS(IGNORED),
        [LIFE_EXPIRE]         = STAYS(IGNORED),
        [LIFE_CANCEL]         = STAYS(REFUSED),
        [LIFE_COMPLETE]       = TO(COMPLETED, STAYS, COMPLETED),
        [LIFE_REFUND]         = TO(REFUNDED, BACK, REFUNDED),
    },
    [LIFE_COMPLETED] = {
        [LIFE_PAYMENT_FAILED] = STAYS(IGNORED),
        [LIFE_EXPIRE]         = STAYS(IGNORED),
        [LIFE_CANCEL]         = STAYS(REFUSED),
        [LIFE_COMPLETE]       = STAYS(REPEAT),
        [LIFE_REFUND]         = TO(REFUNDED, WRITTEN_OFF, REFUNDED),
    },
    [LIFE_FAILED] = {
        [LIFE_PAYMENT_FAILED] = STAYS(IGNORED),
        [LIFE_EXPIRE]         = STAYS(IGNORED),
        [LIFE_CANCEL]         = STAYS(REFUSED),
        [LIFE_COMPLETE]       = STAYS(REFUSED),
        [LIFE_REFUND]         = STAYS(REFUSED),
    },
    [LIFE_FAILED_PAYMENT] = {
        [LIFE_PAYMENT_FAILED] = STAYS(REPEAT),
        [LIFE_EXPIRE]         = STAYS(IGNORED),
        [LIFE_CANCEL]         = STAYS(REFUSED),
        [LIFE_COMPLETE]       = STAYS(REFUSED),
        [LIFE_REFUND]         = STAYS(REFUSED),
    },
    [LIFE_CANCELLED] = {
        [LIFE_PAYMENT_FAILED] = STAYS(IGNORED),
        [LIFE_EXPIRE]         = STAYS(IGNORED),
        [LIFE_CANCEL]         = STAYS(REPEAT),
        [LIFE_COMPLETE]       = STAYS(REFUSED),
        [LIFE_REFUND]         = STAYS(REFUSED),
    },
    [LIFE_REFUND_PENDING] = {
        [LIFE_PAYMENT_FAILED] = STAYS(IGNORED),
        [LIFE_EXPIRE]         = STAYS(IGNORED),
        [LIFE_CANCEL]         = STAYS(REFUSED),
        [LIFE_COMPLETE]       = STAYS(REFUSED),
        [LIFE_REFUND]         = TO(REFUNDED, STAYS, REFUNDED),
    },
    [LIFE_REFUNDED] = {
        [LIFE_PAYMENT_FAILED] = STAYS(IGNORED),
        [LIFE_EXPIRE]         = STAYS(IGNORED),
        [LIFE_CANCEL]         = STAYS(REFUSED),
        [LIFE_COMPLETE]       = STAYS(REFUSED),
        [LIFE_REFUND]         = STAYS(REPEAT),
    },
};


static struct life_step
stay(enum life_status status, enum life_outcome outcome)
{
    return (struct life_step) { .status = status, .stock = LIFE_STOCK_STAYS, .outcome = outcome };
}


static struct life_step
by_table(enum life_status status, enum life_event event)
{
    const struct rule *r = &rules[status][event];

    return r->moves ? (struct life_step) { r->to, r->stock, r->outcome } : stay(status, r->outcome);
}


/* The order is not what the event needs it to be; it may become that. */
static struct life_step
wait_for(enum life_status status, const struct life_facts *facts, enum life_outcome at_last)
{
    return stay(status, facts->too_old ? at_last : LIFE_OUT_WAITS);
}


/*
 * Money came. The price of a tombstone was never fixed: where today's price is another one, there is nothing to
 * sell at that amount, and the money goes back.
 */
static struct life_step
succeeded(enum life_status status, const struct life_facts *facts)
{
    int late = status == LIFE_FAILED || status == LIFE_FAILED_PAYMENT || status == LIFE_CANCELLED;

    if (status == LIFE_UNKNOWN) {
        return wait_for(status, facts, LIFE_OUT_UNKNOWN_ORDER);
    }

    if (status != LIFE_PENDING_PAYMENT && !late && facts->same_payment) {
        return stay(status, LIFE_OUT_REPEAT);
    }

    if (!facts->currency_right) {
        return stay(status, LIFE_OUT_CURRENCY_MISMATCH);
    }

    if (!facts->amount_right && !(late && facts->without_items)) {
        return stay(status, LIFE_OUT_AMOUNT_MISMATCH);
    }

    if (status != LIFE_PENDING_PAYMENT && !late) {
        return stay(status, LIFE_OUT_PAID_TWICE);
    }

    if (status == LIFE_PENDING_PAYMENT) {
        return (struct life_step) { LIFE_PAID, LIFE_STOCK_STAYS, LIFE_OUT_PAID };
    }

    if (facts->stock_suffices && facts->amount_right) {
        return (struct life_step) { LIFE_PAID, LIFE_STOCK_TAKEN, LIFE_OUT_PAID_LATE };
    }

    return (struct life_step) { LIFE_REFUND_PENDING, LIFE_STOCK_STAYS, LIFE_OUT_REFUND_PENDING };
}


/* Money went back. Events may come in any order, so that of the payment itself may still be on its way. */
static struct life_step
refunded(enum life_status status, const struct life_facts *facts)
{
    if (status == LIFE_UNKNOWN) {
        return wait_for(status, facts, LIFE_OUT_UNKNOWN_ORDER);
    }

    if (status == LIFE_REFUNDED) {
        return stay(status, facts->same_payment ? LIFE_OUT_REPEAT : LIFE_OUT_OTHER_PAYMENT);
    }

    if (status != LIFE_PAID && status != LIFE_COMPLETED && status != LIFE_REFUND_PENDING) {
        return wait_for(status, facts, LIFE_OUT_NOT_PAID);
    }

    if (!facts->same_payment) {
        return stay(status, LIFE_OUT_OTHER_PAYMENT);
    }

    if (!facts->currency_right) {
        return stay(status, LIFE_OUT_CURRENCY_MISMATCH);
    }

    if (!facts->amount_right) {
        return stay(status, LIFE_OUT_PARTIAL_REFUND);
    }

    /* The provider took one of two back: the goods are paid all the same. */
    return facts->paid_twice ? stay(status, LIFE_OUT_PAYMENT_REPLACED) : by_table(status, LIFE_REFUND);
}


struct life_step
life_decide(enum life_status status, enum life_event event, const struct life_facts *facts)
{
    switch (event) {
    case LIFE_PAYMENT_SUCCEEDED:
        return succeeded(status, facts);
    case LIFE_PAYMENT_REFUNDED:
        return refunded(status, facts);
    case LIFE_PAYMENT_FAILED:
        return status == LIFE_UNKNOWN ? wait_for(status, facts, LIFE_OUT_UNKNOWN_ORDER) : by_table(status, event);
    case LIFE_EXPIRE:
        return facts->due ? by_table(status, event) : stay(status, LIFE_OUT_IGNORED);
    default:
        return by_table(status, event);
    }
}


int
life_is_flagged(enum life_outcome outcome)
{
    return outcomes[outcome].flagged;
}


int
life_is_live(enum life_status status)
{
    return status == LIFE_PENDING_PAYMENT || status == LIFE_PAID || status == LIFE_COMPLETED;
}


int
life_rank(enum life_status status)
{
    static const int ranks[LIFE_STATUSES] = {
        [LIFE_UNKNOWN] = 0,
        [LIFE_PENDING_PAYMENT] = 1,
        [LIFE_FAILED] = 2,
        [LIFE_FAILED_PAYMENT] = 2,
        [LIFE_CANCELLED] = 2,
        [LIFE_PAID] = 3,
        [LIFE_REFUND_PENDING] = 3,
        [LIFE_COMPLETED] = 4,
        [LIFE_REFUNDED] = 5,
    };

    return ranks[status];
}


const char *
life_status_name(enum life_status status)
{
    return status_names[status];
}


const char *
life_event_name(enum life_event event)
{
    return event_names[event];
}


const char *
life_outcome_name(enum life_outcome outcome)
{
    return outcomes[outcome].name;
}


enum life_status
life_status_read(const char *text, size_t len)
{
    for (enum life_status s = LIFE_PENDING_PAYMENT; s < LIFE_STATUSES; s++) {
        if (strlen(status_names[s]) == len && memcmp(status_names[s], text, len) == 0) {
            return s;
        }
    }

    return LIFE_UNKNOWN;
}
