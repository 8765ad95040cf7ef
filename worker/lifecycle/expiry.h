/*
 * Cancels orders that were not paid in time (pay_by, by the database's clock), and gives their stock back.
 *
 * Candidates are found without a lock, then locked, products before orders; what somebody else has locked is left for
 * the next look, so that the sale goes first. Only where the same products were left time after time are they waited
 * for.
 */
#ifndef CHECKOUT_WORKER_LIFECYCLE_EXPIRY_H
#define CHECKOUT_WORKER_LIFECYCLE_EXPIRY_H

#include "lifecycle/change_thread.h"

extern const struct life_kind expiry_kind;

#endif
