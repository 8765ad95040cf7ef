/*
 * Payment by a gateway: for each order that waits for its payment, the gateway is asked to take it, and its answer is
 * kept as a payment event (lifecycle/payments.h applies it). The order is committed long before. No lock is held and no
 * transaction is open while the gateway is asked.
 *
 *     POST gateway_url            Authorization: Bearer <secret>, Idempotency-Key: <order identifier>
 *     {"order_identifier":"…","amount":"39.60","currency":"TWD","user_id":7}
 *                                 Order-Status: cancelled (or another), once the order does not wait for payment
 *
 *     200 {"status":"succeeded","payment_id":"…"}           paid; an "amount" or "currency" in it counts
 *     200 or 402 {"status":"failed","reason":"…"}           not paid
 *     anything else, no answer                              unknown: asked again, with the same key
 *
 * An unknown result is never taken for either: the gateway is asked again, after 1 s at first and up to 5 min. So it is
 * when the order was cancelled meanwhile, for its money may have been taken: the payment is then late, and the order
 * becomes paid after all, or refund_pending. Such a request carries the header Order-Status: the gateway shall report
 * what it decided, and take no money if it decided nothing. The body stays the same, because gateways compare the
 * bodies that come with one key. A gateway that ignores the header may take the money of that request.
 *
 * An order that was cancelled before the gateway was asked for the first time is not asked for. gateway_calls.asked_at
 * shows that: it is written with the lease, right before the request, and removed where no byte of the request was sent
 * (no connection). It stays where a worker dies between the two.
 *
 * An answer and the end of its call are written in one transaction. The event's id, "<identifier>:succeeded" or
 * "<identifier>:failed", makes one event of an answer that was given twice.
 */
#ifndef CHECKOUT_WORKER_OUTBOUND_GATEWAY_H
#define CHECKOUT_WORKER_OUTBOUND_GATEWAY_H

#include "outbound/sender.h"

#define GATEWAY_WAIT_MOST_MS   300000
#define GATEWAY_PAYMENT_ID_MAX 255
#define GATEWAY_REASON_MAX     64

enum gateway_outcome {
    GATEWAY_UNKNOWN,
    GATEWAY_SUCCEEDED,
    GATEWAY_FAILED
};

struct gateway_answer {
    enum gateway_outcome outcome;
    char payment_id[GATEWAY_PAYMENT_ID_MAX + 1]; /* visible ASCII, as are the next two; empty: not in the answer */
    char amount[32], currency[8];
    char reason[GATEWAY_REASON_MAX + 1]; /* of a failure: letters, digits, _ - . and "_" for others */
    const char *why;                     /* unknown: what is wrong, constant text; NULL: the status */
};

/* Reads an answer. status: HTTP's, 0: there was none. body: may be NULL where len is 0. Fills all of *answer. Pure. */
void gateway_read(struct gateway_answer *answer, long status, const char *body, size_t len);

/*
 * Starts the sender where [payment] gateway_url is set; elsewhere s stays as it is and sender_ended() holds. Returns 0,
 * or an error number of errno.h.
 */
int gateway_start(struct sender *s, const struct config *config);

#endif
