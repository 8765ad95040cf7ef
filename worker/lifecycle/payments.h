/*
 * Applies payment_events: what providers and gateways said is read from the inbox, done to the orders, and written down
 * as the event's outcome, in one transaction. An event is locked while it is worked on and passed over by others.
 *
 * An event before its order waits: it is looked at again after 500 ms, then less and less often, every minute at last;
 * after PAYMENT_WAIT_HOURS it is given up, flagged. Events that wait keep no others waiting, nor the other way round.
 *
 * An event that cannot be applied for another reason (a lock that somebody keeps, a trigger that refuses its order) is put
 * off in the same way, for as long as it takes: it is never given up for that.
 */
#ifndef CHECKOUT_WORKER_LIFECYCLE_PAYMENTS_H
#define CHECKOUT_WORKER_LIFECYCLE_PAYMENTS_H

#include "lifecycle/change_thread.h"

#define PAYMENT_WAIT_HOURS    48
#define PAYMENT_WAIT_FIRST_MS 500
#define PAYMENT_WAIT_MOST_MS  60000

extern const struct life_kind payment_kind;

/* Milliseconds until an event that was tried so often is tried again. Pure. */
unsigned payment_wait_ms(unsigned tries);

#endif
