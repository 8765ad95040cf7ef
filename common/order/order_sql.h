/*
 * Rows of the tables orders and order_items, as text of SQL: the one place that knows their columns. Pure; the buffer
 * may fail.
 */
#ifndef CHECKOUT_ORDER_ORDER_SQL_H
#define CHECKOUT_ORDER_ORDER_SQL_H

#include <stdint.h>

#include "text/buffer.h"

/* For IN (…): the statuses of orders that hold units, those of order_is_live() (lifecycle/rules.h). */
#define ORDER_SQL_LIVE "'pending_payment', 'paid', 'completed'"

/*
 * For IN (…): the statuses of orders that have come to their end, and may be archived. A completed order is both: its
 * units were supplied and are sold.
 */
#define ORDER_SQL_FINISHED "'completed', 'failed', 'failed_payment', 'cancelled', 'refunded'"

/*
 * For IN (…): the kinds of stock_movements whose sum is what was supplied of a product: law 1. An archive movement
 * takes along what was supplied by rows that were moved away, less what they sold.
 */
#define ORDER_SQL_SUPPLY "'load', 'adjust', 'archive'"

/* Before one row or several, divided by commas. */
#define ORDER_SQL_INSERT \
    "INSERT INTO orders (order_identifier, user_id, status, failure_code, total_price, pay_by, product_id, quantity)" \
    " VALUES "
#define ORDER_SQL_INSERT_ITEMS "INSERT INTO order_items (order_identifier, product_id, quantity, unit_price) VALUES "

/* Behind the rows of ORDER_SQL_INSERT: an order that has a row keeps it as it is; ROW_COUNT() is then 0. */
#define ORDER_SQL_KEEP " ON DUPLICATE KEY UPDATE order_identifier = orders.order_identifier"

/* A tombstone: the row of an order that ended before any unit was sold: no items, no price, no time to pay. */
struct tombstone {
    const char *identifier;           /* CHECKOUT_IDENTIFIER_LEN characters that were checked; no NUL needed */
    const char *status;               /* of an order that ended: "failed", "cancelled". Is escaped */
    const char *failure_code;         /* "": NULL. Is escaped */
    uint64_t user, product, quantity; /* as asked for; product 0: it is left out, with the quantity (NULL) */
};

/* Adds "(…)" for ORDER_SQL_INSERT. */
void order_sql_add_tombstone(struct buffer *sql, const struct tombstone *tombstone);

/* Adds "(…)" for ORDER_SQL_INSERT_ITEMS. unit_price: a decimal number, not escaped. */
void order_sql_add_item(struct buffer *sql, const char *identifier, uint64_t product, uint64_t quantity,
                        const char *unit_price);

#endif
