/*
 * An order as JSON, for requests that ask for its status: made of MySQL's rows (mysql/order_read.h) or of the gate's
 * record.
 * Both have the same members, null where the source does not know:
 *
 *     {"data":{"order_identifier","status","user_id","items":[{"product_id","quantity","unit_price"}],"total_price",
 *      "pay_by","failure_code","payment_id","paid_at","created_at","updated_at"}}
 *
 * Money is text as MySQL writes it, times are UTC as in 2026-11-21T06:30:00.123Z. An order that failed has the item
 * that was asked for, without a price.
 *
 * Nothing here blocks or keeps a pointer. The buffer may fail (text/buffer.h). Call order_json_begin(), then
 * order_json_item() for each item, then order_json_end(); or order_json_record() alone.
 */
#ifndef CHECKOUT_ORDER_ORDER_JSON_H
#define CHECKOUT_ORDER_ORDER_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "order/identifier.h"
#include "order/order.h"
#include "text/buffer.h"

/* Where the status begins in the text; it ends before the next quote. */
#define ORDER_JSON_STATUS_AT \
    (sizeof("{\"data\":{\"order_identifier\":\"\",\"status\":\"") - 1 + CHECKOUT_IDENTIFIER_LEN)

/* Texts closed by a NUL; NULL: null. Times as MySQL writes them, 2026-11-21 06:30:00.123, in UTC. */
struct order_json_rest {
    const char *total_price, *pay_by, *failure_code, *payment_id, *paid_at, *created_at, *updated_at;
};

/* identifier: CHECKOUT_IDENTIFIER_LEN characters that were checked. status: any bytes. */
void order_json_begin(struct buffer *b, const char *identifier, const char *status, size_t status_len,
                      uint64_t user_id);

/* first: 1 for an order's first item. unit_price: decimal text, or NULL. */
void order_json_item(struct buffer *b, int first, uint64_t product_id, uint64_t quantity, const char *unit_price);

/* Closes the text with the other members. */
void order_json_end(struct buffer *b, const struct order_json_rest *rest);

/* The whole text, of the gate's record. */
void order_json_record(struct buffer *b, const char *identifier, const struct checkout_record *record);

#endif
