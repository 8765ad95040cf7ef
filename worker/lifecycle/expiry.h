/*
 * Cancels orders that were not paid in time (pay_by, by the database's clock), and gives their stock back.
 *
 * Candidates are found without a lock, then locked, products before orders. A round skips what another session has
 * locked, so that sales come first; after several rounds that found everything locked, one waits for the locks.
 */
#ifndef CHECKOUT_WORKER_LIFECYCLE_EXPIRY_H
#define CHECKOUT_WORKER_LIFECYCLE_EXPIRY_H

#include "lifecycle/change_thread.h"

/* For change_thread_start(). */
extern const struct change_thread_kind expiry_kind;

#endif
