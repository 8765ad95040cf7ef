/*
 * Payment by a gateway: for each order that waits for its payment, the gateway is asked to take it, and what it
 * answers is kept as a payment event (lifecycle/payments.h applies it). The order's reservation is committed long
 * before, and no lock is held and no transaction is open while the gateway is asked.
 *
 *     POST gateway_url            Authorization: Bearer <secret>, Idempotency-Key: <order identifier>
 *     {"order_identifier":"…","amount":"39.60","currency":"TWD","user_id":7}
 *                                 Order-Status: cancelled (or whatever it is), once the order waits no more
 *
 *     200 {"status":"succeeded","payment_id":"…"}           paid; an "amount" or "currency" that it names counts
 *     200 or 402 {"status":"failed","reason":"…"}           not paid
 *     anything else, no answer                              unknown: asked again, with the same key
 *
 * What is unknown is never taken for either: it is asked again after 1 s at first and up to 5 min, also when the
 * order was cancelled meanwhile, because its money may have been taken: then the payment came late, and the order is
 * paid after all or refund_pending. Such a request says so in Order-Status, for then the gateway shall tell what it
 * decided, and take nothing if it did not; its body is the same, because gateways compare what comes with one key. A
 * gateway that does not heed the header may take the money of that request. An order that was cancelled before the
 * gateway was asked for the first time is not asked for any more. gateway_calls.asked_at tells these apart: it is
 * written with the lease, right before the request, and taken back where nothing of the request left (no connection).
 * It stays where a worker dies between the two.
 *
 * An answer and the end of its call are written in one transaction; the event's id, "<identifier>:succeeded" or
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
    char payment_id[GATEWAY_PAYMENT_ID_MAX + 1];   /* visible ASCII, as are the next two; empty: it names none */
    char amount[32], currency[8];
    char reason[GATEWAY_REASON_MAX + 1];           /* of a failure: letters, digits, _ - . and "_" for others */
    const char *why;                               /* unknown: what is wrong with it; NULL: its status says enough */
};

/* What an answer says; status 0: there was none. Pure. */
void gateway_read(struct gateway_answer *answer, long status, const char *body, size_t len);

/* Starts the sender where a gateway is configured; else it counts as ended. Returns 0, or an error number. */
int gateway_start(struct sender *s, const struct config *config);

#endif
