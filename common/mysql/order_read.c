#include "mysql/order_read.h"

#include <stdlib.h>
#include <string.h>

#include "order/order_json.h"
#include "text/number.h"

/* A row for each item; one without an item for an order that has none. A stub of the archive is nobody's order. */
static const char select_head[] =
    "SELECT o.user_id, o.status, o.total_price, o.pay_by, o.failure_code, o.payment_id, o.paid_at,"
    " o.created_at, o.updated_at, COALESCE(i.product_id, o.product_id), COALESCE(i.quantity, o.quantity), i.unit_price"
    " FROM orders o LEFT JOIN order_items i ON i.order_identifier = o.order_identifier"
    " WHERE o.archived_at IS NULL AND o.order_identifier = '";

enum column {
    USER_ID,
    STATUS,
    TOTAL_PRICE,
    PAY_BY,
    FAILURE_CODE,
    PAYMENT_ID,
    PAID_AT,
    CREATED_AT,
    UPDATED_AT,
    PRODUCT_ID,
    QUANTITY,
    UNIT_PRICE,
    COLUMNS
};


/* The rows are stored whole, so the first can still be read at the end. */
static void
write_rows(struct sql_result *result, const char *identifier, MYSQL_RES *rows, MYSQL_ROW first)
{
    struct buffer *b = &result->body;
    struct order_json_rest rest = {
        .total_price = first[TOTAL_PRICE],
        .pay_by = first[PAY_BY],
        .failure_code = first[FAILURE_CODE],
        .payment_id = first[PAYMENT_ID],
        .paid_at = first[PAID_AT],
        .created_at = first[CREATED_AT],
        .updated_at = first[UPDATED_AT]
    };

    result->rows = 1;
    result->numbers[ORDER_READ_USER] = number_of_column(first[USER_ID]);
    result->numbers[ORDER_READ_PRODUCT] = number_of_column(first[PRODUCT_ID]);
    order_json_begin(b, identifier, first[STATUS], strlen(first[STATUS]), result->numbers[ORDER_READ_USER]);

    for (MYSQL_ROW row = first; row != NULL && row[PRODUCT_ID] != NULL; row = mysql_fetch_row(rows)) {
        order_json_item(b, row == first, number_of_column(row[PRODUCT_ID]), number_of_column(row[QUANTITY]),
                        row[UNIT_PRICE]);
    }

    order_json_end(b, &rest);
}


enum db_result
order_read(struct db *db, const void *input, struct sql_result *result)
{
    const struct order_read *order = input;
    struct buffer sql = { 0 };
    MYSQL_RES *rows;

    buffer_text(&sql, select_head);
    buffer_add(&sql, order->identifier, CHECKOUT_IDENTIFIER_LEN);
    buffer_format(&sql, "' ORDER BY i.product_id LIMIT %d", ORDER_READ_ITEMS_MAX);

    enum db_result outcome = db_rows(db, &sql, &rows);

    buffer_free(&sql);

    if (outcome != DB_OK) {
        return outcome;
    }

    MYSQL_ROW first = mysql_fetch_row(rows);

    if (first != NULL) {
        write_rows(result, order->identifier, rows, first);
    }

    mysql_free_result(rows);
    return DB_OK;
}
