/*
 * Events for the shop: rows of outgoing_events, the one place that knows their form. Pure.
 *
 *     {"type":"order.paid","timestamp":"2026-11-21T06:30:00.123Z","data":{"order_identifier","user_id","status",
 *      "product_id","quantity","total_price","currency","payment_id","failure_code"}}
 *
 * docs/lifecycle.md describes it for the shop.
 */
#ifndef CHECKOUT_LIFECYCLE_OUTGOING_EVENT_H
#define CHECKOUT_LIFECYCLE_OUTGOING_EVENT_H

#include <stdint.h>

#include "text/buffer.h"

/* Before VALUES (…), (…) or SELECT …. */
#define OUTGOING_EVENTS_INSERT "INSERT INTO outgoing_events (order_identifier, type, body) "

/* SQL: the database's clock, "2026-11-21T06:30:00.123000"; the first 23 characters are used. The session is in UTC. */
#define OUTGOING_EVENT_NOW "DATE_FORMAT(NOW(3), '%Y-%m-%dT%H:%i:%s.%f')"

/* Texts end with a NUL, and none is kept. Identifier, type and status are words of our own and are not escaped. */
struct outgoing_event {
    const char *identifier;    /* its first CHECKOUT_IDENTIFIER_LEN characters count */
    const char *type, *status; /* "order.paid", "paid" */
    const char *now;           /* as OUTGOING_EVENT_NOW gives it; NULL: the clock at the INSERT */
    uint64_t user, product, quantity;
    uint64_t total;                                   /* hundredths */
    const char *currency, *payment_id, *failure_code; /* "": null */
};

/* Adds the values of a row: three, divided by commas, without parentheses. The buffer may fail. */
void outgoing_event_add_values(struct buffer *sql, const struct outgoing_event *event);

#endif
