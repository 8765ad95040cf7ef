/*
 * Parts of SQL statements that several files need of the tables orders and order_items. Constant text.
 */
#ifndef CHECKOUT_ORDER_ORDER_SQL_H
#define CHECKOUT_ORDER_ORDER_SQL_H

/* For IN (…): the statuses of orders that hold units, those of order_is_live() (lifecycle/rules.h). */
#define ORDER_SQL_LIVE "'pending_payment', 'paid', 'completed'"

/* A row without items: an order that failed or was cancelled before it had any. The values follow in brackets. */
#define ORDER_SQL_TOMBSTONE \
    "INSERT INTO orders (order_identifier, user_id, status, failure_code, product_id, quantity) VALUES "

/* Ends such a statement where the row may be there already: it stays as it is. */
#define ORDER_SQL_KEEP " ON DUPLICATE KEY UPDATE order_identifier = orders.order_identifier"

#endif
