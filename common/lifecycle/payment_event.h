/*
 * A provider's payment event, read from its raw body. Pure; amounts are read from the digits of the text.
 *
 * Sources: docs/lifecycle.md for the project's own form; https://docs.stripe.com/api/events for Stripe's.
 */
#ifndef CHECKOUT_LIFECYCLE_PAYMENT_EVENT_H
#define CHECKOUT_LIFECYCLE_PAYMENT_EVENT_H

#include "lifecycle/plan.h"

#define PAYMENT_TYPE_MAX 64

enum payment_event_kind {
    PAYMENT_EVENT_CHANGE,   /* `event` happened to an order */
    PAYMENT_EVENT_OTHER,    /* well formed, and about no order: another type, or no order named */
    PAYMENT_EVENT_MALFORMED /* no JSON, or it lacks what its type needs */
};

struct payment_event {
    enum payment_event_kind kind;
    char type[PAYMENT_TYPE_MAX + 1];              /* as in the body; empty: none there */
    char identifier[CHECKOUT_IDENTIFIER_LEN + 1]; /* empty: the body names no order */
    enum order_event event;
    char payment_id[PAYMENT_ID_MAX + 1];
    uint64_t amount; /* hundredths */
    char currency[MONEY_CURRENCY_LEN + 1];
};

/* Events of this provider are a rebuild's (rebuild_payments.c), which does not know which payment it was. */
#define PAYMENT_BY_GATE "gate"

/*
 * Reads a body of len bytes, which may hold anything; fills in all of *event. provider: "stripe", or any other for the
 * project's own form ("standard", "gateway", PAYMENT_BY_GATE).
 */
void payment_event_read(struct payment_event *event, const char *provider, const char *body, size_t len);

#endif
