/*
 * The event order.failed for the shop: an order that failed before it could be paid (out of stock, its product gone,
 * rejected, dropped). It is written in the transaction that writes the failed order, where [events] url is configured.
 * The form of its row is lifecycle/outgoing_event.h, as of all other events of an order.
 */
#ifndef CHECKOUT_WORKER_INTAKE_FAILED_EVENT_H
#define CHECKOUT_WORKER_INTAKE_FAILED_EVENT_H

#include "base/config.h"
#include "intake/batch.h"
#include "text/buffer.h"

/* Adds the values of its row, as outgoing_event_add_values() does. code: orders.failure_code. Pure. */
void failed_event_values(struct buffer *sql, const struct config *config, const struct order *o, const char *code);

#endif
