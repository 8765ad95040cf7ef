/*
 * The outbox: outgoing_events are sent to the shop as signed Standard Webhooks (text/signature.h) until it says that it
 * has them. Each is sent at least once; its webhook-id is the same at every try, and the timestamp is that of the try.
 * Events are not in order: the body says when it came to pass.
 *
 * The webhook-id is "evt_<order's identifier>_<what became of it>", as in evt_019aa2f1-…_paid for the type order.paid.
 * An order comes only once to each, so the id is unique, and nothing else gets it after MySQL lost its last commits, as
 * it would a row's number: the shop would take the new event for one that it has.
 *
 *   2xx                        delivered
 *   410, or [events] tries     dead: an error in the log, checkout_outgoing_events_dead, `checkoutctl events`
 *   anything else, no answer   again, after 1 s at first and up to 1 h, with jitter
 */
#ifndef CHECKOUT_WORKER_OUTBOUND_OUTBOX_H
#define CHECKOUT_WORKER_OUTBOUND_OUTBOX_H

#include "outbound/sender.h"

#define OUTBOX_EVENT_PREFIX "evt_"
#define OUTBOX_TYPE_PREFIX  "order."
#define OUTBOX_ID_MAX       (sizeof(OUTBOX_EVENT_PREFIX) + CHECKOUT_IDENTIFIER_LEN + 1 + SENDER_TYPE_MAX)

#define OUTBOX_WAIT_MOST_MS 3600000
#define OUTBOX_GONE         410

enum outbox_verdict {
    OUTBOX_DELIVERED,
    OUTBOX_DEAD,
    OUTBOX_AGAIN
};

/* status 0: no answer. tries: this one included. Pure. */
enum outbox_verdict outbox_judge(long status, unsigned tries, unsigned most_tries);

/* Starts the sender where [events] url is set; else it counts as ended. Returns 0, or an error number. */
int outbox_start(struct sender *s, const struct config *config);

#endif
