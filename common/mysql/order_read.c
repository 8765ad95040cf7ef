#include "mysql/order_read.h"

#include <stdlib.h>
#include <string.h>

#include "text/json_text.h"

/* A row for each item; one without an item for an order that has none. */
static const char select_head[] =
    "SELECT o.user_id, o.status, o.total_price, o.pay_by, o.failure_code, o.payment_id, o.paid_at,"
    " o.created_at, o.updated_at, COALESCE(i.product_id, o.product_id), COALESCE(i.quantity, o.quantity), i.unit_price"
    " FROM orders o LEFT JOIN order_items i ON i.order_identifier = o.order_identifier"
    " WHERE o.order_identifier = '";

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


static uint64_t
to_number(const char *text)
{
    return text != NULL ? strtoull(text, NULL, 10) : 0;
}


/* ,"name":"text" */
static void
add_text(struct buffer *b, const char *name, const char *text)
{
    buffer_format(b, ",\"%s\":", name);

    if (text == NULL) {
        buffer_text(b, "null");
    } else {
        json_text_string(b, text, strlen(text));
    }
}


/* MySQL writes 2026-11-21 06:30:00.123; the session's zone is UTC. */
static void
add_time(struct buffer *b, const char *name, const char *time)
{
    const char *space = time != NULL ? strchr(time, ' ') : NULL;

    if (space == NULL) {
        add_text(b, name, NULL);
    } else {
        buffer_format(b, ",\"%s\":\"%.*sT%sZ\"", name, (int) (space - time), time, space + 1);
    }
}


static void
add_head(struct buffer *b, const char *identifier, const char *status, size_t status_len, uint64_t user_id)
{
    buffer_format(b, "{\"data\":{\"order_identifier\":\"%.*s\",\"status\":", CHECKOUT_IDENTIFIER_LEN, identifier);
    json_text_string(b, status, status_len);
    buffer_text(b, ",\"user_id\":");
    buffer_number(b, user_id);
    buffer_text(b, ",\"items\":[");
}


/* price: decimal text, or NULL */
static void
add_item(struct buffer *b, uint64_t product_id, uint64_t quantity, const char *price)
{
    buffer_text(b, "{\"product_id\":");
    buffer_number(b, product_id);
    buffer_text(b, ",\"quantity\":");
    buffer_number(b, quantity);
    add_text(b, "unit_price", price);
    buffer_text(b, "}");
}


static void
write_rows(struct sql_result *result, const char *identifier, MYSQL_RES *rows, MYSQL_ROW first)
{
    struct buffer *b = &result->body;

    add_head(b, identifier, first[STATUS], strlen(first[STATUS]), to_number(first[USER_ID]));
    result->rows = 1;
    result->numbers[ORDER_READ_USER] = to_number(first[USER_ID]);
    result->numbers[ORDER_READ_PRODUCT] = to_number(first[PRODUCT_ID]);

    for (MYSQL_ROW row = first; row != NULL && row[PRODUCT_ID] != NULL; row = mysql_fetch_row(rows)) {
        buffer_text(b, row != first ? "," : "");
        add_item(b, to_number(row[PRODUCT_ID]), to_number(row[QUANTITY]), row[UNIT_PRICE]);
    }

    buffer_text(b, "]");
    /* The rows are stored whole, so the first can still be read. */
    add_text(b, "total_price", first[TOTAL_PRICE]);
    add_time(b, "pay_by", first[PAY_BY]);
    add_text(b, "failure_code", first[FAILURE_CODE]);
    add_text(b, "payment_id", first[PAYMENT_ID]);
    add_time(b, "paid_at", first[PAID_AT]);
    add_time(b, "created_at", first[CREATED_AT]);
    add_time(b, "updated_at", first[UPDATED_AT]);
    buffer_text(b, "}}");
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


void
order_read_record(struct buffer *b, const char *identifier, const struct checkout_record *record)
{
    add_head(b, identifier, record->status, record->status_len, record->order.user_id);
    add_item(b, record->order.product_id, record->order.quantity, NULL);
    buffer_text(b, "],\"total_price\":null,\"pay_by\":null,\"failure_code\":");

    if (record->reason_len == 0) {
        buffer_text(b, "null");
    } else {
        json_text_string(b, record->reason, record->reason_len);
    }

    buffer_text(b, ",\"payment_id\":null,\"paid_at\":null,\"created_at\":null,\"updated_at\":null}}");
}
