/*
 * Cancels orders that were not paid in time (pay_by, by the database's clock), and gives their stock back.
 *
 * Candidates are found without a lock, then locked, products before orders. A round skips what another session has
 * locked, so that sales come first; after several rounds that found everything locked, one waits for the locks.
 *
 * It goes through them by (pay_by, identifier). Those that cannot be changed now (locked, refused, of a product that is
 * being recovered, Redis away) are looked at again after a second, and after up to a minute while all of them stay so;
 * what becomes overdue meanwhile does not wait for that.
 */
#ifndef CHECKOUT_WORKER_LIFECYCLE_EXPIRY_H
#define CHECKOUT_WORKER_LIFECYCLE_EXPIRY_H

#include "lifecycle/change_thread.h"

/* For change_thread_start(). */
extern const struct change_thread_kind expiry_kind;

#endif
