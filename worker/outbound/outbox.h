/*
 * The outbox: rows of outgoing_events are sent to the shop as signed Standard Webhooks (standardwebhooks.com; signed by
 * text/signature.h) until it acknowledges them. Each event is sent at least once. Its webhook-id is the same at every
 * try; the timestamp is that of the try. Events may arrive out of order; the time of each is in its body.
 *
 * The webhook-id is "evt_<order identifier>_<what happened>", such as evt_019aa2f1-…_paid for the type order.paid. An
 * order has one event of a type at most, so the id is unique. A row's number would not be: after MySQL lost its last
 * commits it would be given to another event, which the shop would take for a repeat.
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

/* status: HTTP's, 0: no answer. tries: made so far, this one included. most_tries: [events] tries. Pure. */
enum outbox_verdict outbox_judge(long status, unsigned tries, unsigned most_tries);

/*
 * Starts the sender where [events] url is set; elsewhere s stays as it is and sender_ended() holds. Returns 0, or an
 * error number of errno.h.
 */
int outbox_start(struct sender *s, const struct config *config);

#endif
