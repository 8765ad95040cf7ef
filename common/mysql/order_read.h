/*
 * Reads an order and its items of MySQL's rows, as the JSON of order/order_json.h.
 */
#ifndef CHECKOUT_MYSQL_ORDER_READ_H
#define CHECKOUT_MYSQL_ORDER_READ_H

#include "mysql/sql_job.h"
#include "order/identifier.h"

#define ORDER_READ_ITEMS_MAX 100 /* items of one order; more are left out */

struct order_read {
    char identifier[CHECKOUT_IDENTIFIER_LEN]; /* checked before (order/identifier.h): it stands in the statement */
};

/* sql_result.numbers */
enum order_read_number {
    ORDER_READ_USER,
    ORDER_READ_PRODUCT /* of the first item; 0: none */
};

/*
 * A job (mysql/sql_job.h) on an open connection; input is a struct order_read. Blocks for one statement; takes no lock.
 * DB_OK: result->rows is 1, or 0 when MySQL has no such order (yet, or only its stub), and then there is no body;
 * result->numbers: enum order_read_number. Else db->code and db->error are set.
 */
enum db_result order_read(struct db *db, const void *input, struct sql_result *result);

#endif
