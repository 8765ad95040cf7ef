#include "lifecycle/rules.h"

#include <string.h>

/* clang-format off */
#define STAYS(word)       { 0, 0, STOCK_UNCHANGED, OUTCOME_ ## word }
#define TO(to, out, word) { 1, ORDER_ ## to, STOCK_ ## out, OUTCOME_ ## word }
/* clang-format on */

struct rule {
    int moves; /* 0: the order stays what it is */
    enum order_status to;
    enum stock_effect stock;
    enum event_outcome outcome;
};

/* clang-format off */
static const char *const status_names[ORDER_STATUSES] = {
    [ORDER_UNKNOWN] = "unknown",
    [ORDER_PENDING_PAYMENT] = "pending_payment",
    [ORDER_PAID] = "paid",
    [ORDER_COMPLETED] = "completed",
    [ORDER_FAILED] = "failed",
    [ORDER_FAILED_PAYMENT] = "failed_payment",
    [ORDER_CANCELLED] = "cancelled",
    [ORDER_REFUND_PENDING] = "refund_pending",
    [ORDER_REFUNDED] = "refunded",
};
/* clang-format on */

static const char *const event_names[ORDER_EVENTS] = {
    [EVENT_PAYMENT_SUCCEEDED] = "payment_succeeded",
    [EVENT_PAYMENT_FAILED] = "payment_failed",
    [EVENT_PAYMENT_REFUNDED] = "payment_refunded",
    [EVENT_EXPIRE] = "expire",
    [EVENT_CANCEL] = "cancel",
    [EVENT_COMPLETE] = "complete",
    [EVENT_REFUND] = "refund",
};

static const struct {
    const char *name;
    int flagged;
} outcomes[EVENT_OUTCOMES] = {
    [OUTCOME_PAID] = { "paid", 0 },
    [OUTCOME_PAID_LATE] = { "paid_late", 0 },
    [OUTCOME_REFUND_PENDING] = { "refund_pending", 1 },
    [OUTCOME_FAILED_PAYMENT] = { "failed_payment", 0 },
    [OUTCOME_CANCELLED] = { "cancelled", 0 },
    [OUTCOME_COMPLETED] = { "completed", 0 },
    [OUTCOME_REFUNDED] = { "refunded", 0 },
    [OUTCOME_REPEAT] = { "repeat", 0 },
    [OUTCOME_IGNORED] = { "ignored", 0 },
    [OUTCOME_REFUSED] = { "refused", 0 },
    [OUTCOME_PAID_TWICE] = { "paid_twice", 1 },
    [OUTCOME_AMOUNT_MISMATCH] = { "amount_mismatch", 1 },
    [OUTCOME_CURRENCY_MISMATCH] = { "currency_mismatch", 1 },
    [OUTCOME_PARTIAL_REFUND] = { "partial_refund", 1 },
    [OUTCOME_OTHER_PAYMENT] = { "other_payment", 0 },
    [OUTCOME_PAYMENT_REPLACED] = { "payment_replaced", 1 },
    [OUTCOME_WAITS] = { "waits", 0 },
    [OUTCOME_UNKNOWN_ORDER] = { "unknown_order", 1 },
    [OUTCOME_NOT_PAID] = { "not_paid", 1 },
    [OUTCOME_MALFORMED] = { "malformed", 1 },
    [OUTCOME_REJECTED] = { "rejected", 1 },
    [OUTCOME_LOCKED] = { "left", 0 },
    [OUTCOME_ARCHIVED] = { "archived", 1 },
};

/* Payments that succeeded or went back depend on more than the status: functions below. */
static const struct rule rules[ORDER_STATUSES][ORDER_EVENTS] = {
    [ORDER_UNKNOWN] = {
        [EVENT_PAYMENT_FAILED] = STAYS(WAITS),
        [EVENT_EXPIRE]         = STAYS(IGNORED),
        [EVENT_CANCEL]         = STAYS(UNKNOWN_ORDER),
        [EVENT_COMPLETE]       = STAYS(UNKNOWN_ORDER),
        [EVENT_REFUND]         = STAYS(UNKNOWN_ORDER),
    },
    [ORDER_PENDING_PAYMENT] = {
        [EVENT_PAYMENT_FAILED] = TO(FAILED_PAYMENT, RETURNED, FAILED_PAYMENT),
        [EVENT_EXPIRE]         = TO(CANCELLED, RETURNED, CANCELLED),
        [EVENT_CANCEL]         = TO(CANCELLED, RETURNED, CANCELLED),
        [EVENT_COMPLETE]       = STAYS(REFUSED),
        [EVENT_REFUND]         = STAYS(REFUSED),
    },
    [ORDER_PAID] = {
        [EVENT_PAYMENT_FAILED] = STAYS(IGNORED),
        [EVENT_EXPIRE]         = STAYS(IGNORED),
        [EVENT_CANCEL]         = STAYS(REFUSED),
        [EVENT_COMPLETE]       = TO(COMPLETED, UNCHANGED, COMPLETED),
        [EVENT_REFUND]         = TO(REFUNDED, RETURNED, REFUNDED),
    },
    [ORDER_COMPLETED] = {
        [EVENT_PAYMENT_FAILED] = STAYS(IGNORED),
        [EVENT_EXPIRE]         = STAYS(IGNORED),
        [EVENT_CANCEL]         = STAYS(REFUSED),
        [EVENT_COMPLETE]       = STAYS(REPEAT),
        [EVENT_REFUND]         = TO(REFUNDED, WRITTEN_OFF, REFUNDED),
    },
    [ORDER_FAILED] = {
        [EVENT_PAYMENT_FAILED] = STAYS(IGNORED),
        [EVENT_EXPIRE]         = STAYS(IGNORED),
        [EVENT_CANCEL]         = STAYS(REFUSED),
        [EVENT_COMPLETE]       = STAYS(REFUSED),
        [EVENT_REFUND]         = STAYS(REFUSED),
    },
    [ORDER_FAILED_PAYMENT] = {
        [EVENT_PAYMENT_FAILED] = STAYS(REPEAT),
        [EVENT_EXPIRE]         = STAYS(IGNORED),
        [EVENT_CANCEL]         = STAYS(REFUSED),
        [EVENT_COMPLETE]       = STAYS(REFUSED),
        [EVENT_REFUND]         = STAYS(REFUSED),
    },
    [ORDER_CANCELLED] = {
        [EVENT_PAYMENT_FAILED] = STAYS(IGNORED),
        [EVENT_EXPIRE]         = STAYS(IGNORED),
        [EVENT_CANCEL]         = STAYS(REPEAT),
        [EVENT_COMPLETE]       = STAYS(REFUSED),
        [EVENT_REFUND]         = STAYS(REFUSED),
    },
    [ORDER_REFUND_PENDING] = {
        [EVENT_PAYMENT_FAILED] = STAYS(IGNORED),
        [EVENT_EXPIRE]         = STAYS(IGNORED),
        [EVENT_CANCEL]         = STAYS(REFUSED),
        [EVENT_COMPLETE]       = STAYS(REFUSED),
        [EVENT_REFUND]         = TO(REFUNDED, UNCHANGED, REFUNDED),
    },
    [ORDER_REFUNDED] = {
        [EVENT_PAYMENT_FAILED] = STAYS(IGNORED),
        [EVENT_EXPIRE]         = STAYS(IGNORED),
        [EVENT_CANCEL]         = STAYS(REFUSED),
        [EVENT_COMPLETE]       = STAYS(REFUSED),
        [EVENT_REFUND]         = STAYS(REPEAT),
    },
};


static struct lifecycle_decision
unchanged(enum order_status status, enum event_outcome outcome)
{
    return (struct lifecycle_decision) { .status = status, .stock = STOCK_UNCHANGED, .outcome = outcome };
}


static struct lifecycle_decision
by_table(enum order_status status, enum order_event event)
{
    const struct rule *r = &rules[status][event];

    return r->moves ? (struct lifecycle_decision) { r->to, r->stock, r->outcome } : unchanged(status, r->outcome);
}


/* The order is not what the event needs it to be; it may become that. */
static struct lifecycle_decision
wait_for(enum order_status status, const struct order_facts *facts, enum event_outcome at_last)
{
    return unchanged(status, facts->too_old ? at_last : OUTCOME_WAITS);
}


/*
 * Money came. The price of a tombstone was never fixed: where today's price is another one, there is nothing to
 * sell at that amount, and the money goes back.
 */
static struct lifecycle_decision
succeeded(enum order_status status, const struct order_facts *facts)
{
    int late = status == ORDER_FAILED || status == ORDER_FAILED_PAYMENT || status == ORDER_CANCELLED;

    if (status == ORDER_UNKNOWN) {
        return wait_for(status, facts, OUTCOME_UNKNOWN_ORDER);
    }

    if (status != ORDER_PENDING_PAYMENT && !late && facts->same_payment) {
        return unchanged(status, OUTCOME_REPEAT);
    }

    if (!facts->currency_right) {
        return unchanged(status, OUTCOME_CURRENCY_MISMATCH);
    }

    if (!facts->amount_right && !(late && facts->without_items)) {
        return unchanged(status, OUTCOME_AMOUNT_MISMATCH);
    }

    if (status != ORDER_PENDING_PAYMENT && !late) {
        return unchanged(status, OUTCOME_PAID_TWICE);
    }

    if (status == ORDER_PENDING_PAYMENT) {
        return (struct lifecycle_decision) { ORDER_PAID, STOCK_UNCHANGED, OUTCOME_PAID };
    }

    if (facts->stock_suffices && facts->amount_right) {
        return (struct lifecycle_decision) { ORDER_PAID, STOCK_TAKEN, OUTCOME_PAID_LATE };
    }

    return (struct lifecycle_decision) { ORDER_REFUND_PENDING, STOCK_UNCHANGED, OUTCOME_REFUND_PENDING };
}


/* Money went back. Events may come in any order, so that of the payment itself may still be on its way. */
static struct lifecycle_decision
refunded(enum order_status status, const struct order_facts *facts)
{
    if (status == ORDER_UNKNOWN) {
        return wait_for(status, facts, OUTCOME_UNKNOWN_ORDER);
    }

    if (status == ORDER_REFUNDED) {
        return unchanged(status, facts->same_payment ? OUTCOME_REPEAT : OUTCOME_OTHER_PAYMENT);
    }

    if (status != ORDER_PAID && status != ORDER_COMPLETED && status != ORDER_REFUND_PENDING) {
        return wait_for(status, facts, OUTCOME_NOT_PAID);
    }

    if (!facts->same_payment) {
        return unchanged(status, OUTCOME_OTHER_PAYMENT);
    }

    if (!facts->currency_right) {
        return unchanged(status, OUTCOME_CURRENCY_MISMATCH);
    }

    if (!facts->amount_right) {
        return unchanged(status, OUTCOME_PARTIAL_REFUND);
    }

    /* The provider took one of two back: the goods are paid all the same. */
    return facts->paid_twice ? unchanged(status, OUTCOME_PAYMENT_REPLACED) : by_table(status, EVENT_REFUND);
}


/* What came or was sold cannot be looked up any more. A payment that failed, or time that ran out, changes nothing. */
static int
needs_its_data(enum order_event event)
{
    return event != EVENT_PAYMENT_FAILED && event != EVENT_EXPIRE;
}


struct lifecycle_decision
lifecycle_decide(enum order_status status, enum order_event event, const struct order_facts *facts)
{
    if (facts->archived && status != ORDER_UNKNOWN && needs_its_data(event)) {
        return unchanged(status, OUTCOME_ARCHIVED);
    }

    switch (event) {
    case EVENT_PAYMENT_SUCCEEDED:
        return succeeded(status, facts);
    case EVENT_PAYMENT_REFUNDED:
        return refunded(status, facts);
    case EVENT_PAYMENT_FAILED:
        return status == ORDER_UNKNOWN ? wait_for(status, facts, OUTCOME_UNKNOWN_ORDER) : by_table(status, event);
    case EVENT_EXPIRE:
        return facts->due ? by_table(status, event) : unchanged(status, OUTCOME_IGNORED);
    default:
        return by_table(status, event);
    }
}


int
outcome_is_flagged(enum event_outcome outcome)
{
    return outcomes[outcome].flagged;
}


int
order_is_live(enum order_status status)
{
    return status == ORDER_PENDING_PAYMENT || status == ORDER_PAID || status == ORDER_COMPLETED;
}


int
order_status_rank(enum order_status status)
{
    /* clang-format off */
    static const int ranks[ORDER_STATUSES] = {
        [ORDER_UNKNOWN] = 0,
        [ORDER_PENDING_PAYMENT] = 1,
        [ORDER_FAILED] = 2,
        [ORDER_FAILED_PAYMENT] = 2,
        [ORDER_CANCELLED] = 2,
        [ORDER_PAID] = 3,
        [ORDER_REFUND_PENDING] = 3,
        [ORDER_COMPLETED] = 4,
        [ORDER_REFUNDED] = 5,
    };
    /* clang-format on */

    return ranks[status];
}


const char *
order_status_name(enum order_status status)
{
    return status_names[status];
}


const char *
order_event_name(enum order_event event)
{
    return event_names[event];
}


const char *
event_outcome_name(enum event_outcome outcome)
{
    return outcomes[outcome].name;
}


enum order_status
order_status_parse(const char *text, size_t len)
{
    for (enum order_status s = ORDER_PENDING_PAYMENT; s < ORDER_STATUSES; s++) {
        if (strlen(status_names[s]) == len && memcmp(status_names[s], text, len) == 0) {
            return s;
        }
    }

    return ORDER_UNKNOWN;
}
