/*
 * The event order.failed for the shop: an order that failed before it could be paid (out of stock, its product gone,
 * rejected, dropped). It is written in the transaction that writes the failed order, where [events] url is configured.
 * The other events of an order are written by lifecycle/statements.h, in the same form.
 */
#ifndef CHECKOUT_WORKER_INTAKE_FAILED_EVENT_H
#define CHECKOUT_WORKER_INTAKE_FAILED_EVENT_H

#include "base/config.h"
#include "intake/batch.h"
#include "text/buffer.h"

#define FAILED_EVENT_INSERT "INSERT INTO outgoing_events (order_identifier, type, body) "

/* Adds the values of its row, for VALUES (…) or SELECT …. code: orders.failure_code, letters and underscores. */
void failed_event_values(struct buffer *sql, const struct config *config, const struct order *o, const char *code);

#endif
