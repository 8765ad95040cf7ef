/*
 * An order as JSON, for who asks for its status: of MySQL's rows, or of the gate's record. Both have the same members,
 * null where the source does not know:
 *
 *     {"data":{"order_identifier","status","user_id","items":[{"product_id","quantity","unit_price"}],"total_price",
 *      "pay_by","failure_code","payment_id","paid_at","created_at","updated_at"}}
 *
 * Money is text as MySQL writes it, times are UTC as in 2026-11-21T06:30:00.123Z. An order that failed has the item
 * that was asked for, without a price.
 */
#ifndef CHECKOUT_MYSQL_ORDER_READ_H
#define CHECKOUT_MYSQL_ORDER_READ_H

#include "order/identifier.h"
#include "order/order.h"
#include "mysql/sql_job.h"

#define ORDER_READ_ITEMS_MAX 100   /* items of one order that are told */

/* Where the status begins in the text; it ends before the next quote. */
#define ORDER_READ_STATUS_AT \
    (sizeof("{\"data\":{\"order_identifier\":\"\",\"status\":\"") - 1 + CHECKOUT_IDENTIFIER_LEN)

struct order_read {
    char identifier[CHECKOUT_IDENTIFIER_LEN];   /* one that was checked: it stands in the statement */
};

/* sql_result.numbers */
enum order_read_number {
    ORDER_READ_USER,
    ORDER_READ_PRODUCT       /* of the first item; 0: none */
};

/* input: struct order_read. result->rows: 1, or 0 when MySQL has no such order (yet), and then there is no body. */
enum db_result order_read(struct db *db, const void *input, struct sql_result *result);

/* The same of a record. The buffer may fail. */
void order_read_record(struct buffer *b, const char *identifier, const struct checkout_record *record);

#endif
