/*
 * Applies payment events: rows of payment_events (what providers and gateways reported) are read, applied to their
 * orders, and closed with an outcome, in one transaction. An event is locked meanwhile, and other processes skip it.
 *
 * An event that comes before its order waits: it is tried again after 500 ms, then less and less often, at last once a
 * minute. After PAYMENTS_WAIT_HOURS it is given up and flagged. New events and waiting events do not hold up each
 * other.
 *
 * An event that cannot be applied for another reason (a lock that somebody keeps, a trigger that refuses the order) is
 * tried again in the same way, for as long as it takes: it is never given up for that.
 */
#ifndef CHECKOUT_WORKER_LIFECYCLE_PAYMENTS_H
#define CHECKOUT_WORKER_LIFECYCLE_PAYMENTS_H

#include "lifecycle/change_thread.h"

#define PAYMENTS_WAIT_HOURS    48
#define PAYMENTS_WAIT_FIRST_MS 500
#define PAYMENTS_WAIT_MOST_MS  60000

/* For change_thread_start(). */
extern const struct change_thread_kind payments_kind;

/*
 * Milliseconds until the next try of an event that was tried `tries` times before: 500 doubled each time, 60,000 at
 * most. Pure.
 */
unsigned payments_wait_ms(unsigned tries);

#endif
