/*
 * A part of the step over records: a payment that the gate knows of and MySQL lost.
 */
#ifndef CHECKOUT_WORKER_REPAIR_REBUILD_PAYMENTS_H
#define CHECKOUT_WORKER_REPAIR_REBUILD_PAYMENTS_H

#include "repair/rebuild_context.h"

/*
 * Writes the payment into the inbox of payment events again. p is copied. One that MySQL refuses, or whose product is
 * gone, is counted and named, and is no failure. Returns REBUILD_DONE or REBUILD_DB_FAILED.
 */
enum rebuild_result rebuild_payment(struct rebuild *r, const struct rebuild_payment *p);

#endif
