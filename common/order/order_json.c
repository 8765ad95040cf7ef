#include "order/order_json.h"

#include <string.h>

#include "text/json_text.h"


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


/* ,"name":"2026-11-21T06:30:00.123Z" */
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


void
order_json_begin(struct buffer *b, const char *identifier, const char *status, size_t status_len, uint64_t user_id)
{
    buffer_format(b, "{\"data\":{\"order_identifier\":\"%.*s\",\"status\":", CHECKOUT_IDENTIFIER_LEN, identifier);
    json_text_string(b, status, status_len);
    buffer_text(b, ",\"user_id\":");
    buffer_number(b, user_id);
    buffer_text(b, ",\"items\":[");
}


void
order_json_item(struct buffer *b, int first, uint64_t product_id, uint64_t quantity, const char *unit_price)
{
    buffer_text(b, first ? "{\"product_id\":" : ",{\"product_id\":");
    buffer_number(b, product_id);
    buffer_text(b, ",\"quantity\":");
    buffer_number(b, quantity);
    add_text(b, "unit_price", unit_price);
    buffer_text(b, "}");
}


void
order_json_end(struct buffer *b, const struct order_json_rest *rest)
{
    buffer_text(b, "]");
    add_text(b, "total_price", rest->total_price);
    add_time(b, "pay_by", rest->pay_by);
    add_text(b, "failure_code", rest->failure_code);
    add_text(b, "payment_id", rest->payment_id);
    add_time(b, "paid_at", rest->paid_at);
    add_time(b, "created_at", rest->created_at);
    add_time(b, "updated_at", rest->updated_at);
    buffer_text(b, "}}");
}


void
order_json_record(struct buffer *b, const char *identifier, const struct checkout_record *record)
{
    char reason[CHECKOUT_RECORD_MAX + 1];
    struct order_json_rest rest = { .failure_code = record->reason_len > 0 ? reason : NULL };

    memcpy(reason, record->reason, record->reason_len);
    reason[record->reason_len] = '\0';

    order_json_begin(b, identifier, record->status, record->status_len, record->order.user_id);
    order_json_item(b, 1, record->order.product_id, record->order.quantity, NULL);
    order_json_end(b, &rest);
}
