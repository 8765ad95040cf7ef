/*
 * The words of an order: the request as a buyer sends it, and the record as Redis keeps it.
 *
 * Nothing here allocates, and nothing keeps a pointer after the call unless it says so.
 */
#ifndef CHECKOUT_ORDER_ORDER_H
#define CHECKOUT_ORDER_ORDER_H

#include <stddef.h>
#include <stdint.h>

#include "text/json_fields.h"

struct checkout_order {
    uint64_t product_id; /* 1 .. 2^63 - 1 */
    uint64_t user_id;    /* 1 .. 2^64 - 1 */
    uint32_t quantity;   /* 1 .. max_quantity of the call */
};

struct checkout_order_errors {
    const char *syntax; /* why the body is not a JSON object; NULL when it is. Constant text. */
    size_t offset;      /* where, in bytes from the start of the body */
    enum checkout_field_error product_id;
    enum checkout_field_error quantity;
    enum checkout_field_error user_id;
};

/*
 * Reads {"product_id", "quantity", "user_id"} from a JSON text (RFC 8259, UTF-8); other members are
 * checked and passed over. Integers only: no fraction, exponent, text or sign but a minus, which is too
 * small. max_quantity: 1 .. 2^31 - 1. user_wanted: 0 where the buyer is known otherwise, and then
 * "user_id" is passed over like any other member.
 *
 * Returns 0, or -1 with *errors filled in. *order is whole only when 0 is returned.
 */
int checkout_order_parse(struct checkout_order *order, const char *body, size_t len, uint32_t max_quantity,
                         int user_wanted, struct checkout_order_errors *errors);

/*
 * The record of an order, in a bucket orders:<day> and in the queue:
 *
 *     <status> <reason or "-"> <product id> <quantity> <user id> <time accepted in ms>
 */
struct checkout_record {
    const char *status, *reason; /* point into the text; reason is empty for "-" */
    size_t status_len, reason_len;
    struct checkout_order order;
    uint64_t accepted_ms;
};

#define CHECKOUT_RECORD_MAX 192 /* longest record, in bytes */

/* status and reason: 1 .. 32 and 0 .. 64 characters without a space. Returns the length; no NUL. */
size_t checkout_record_write(char out[CHECKOUT_RECORD_MAX], const char *status, const char *reason,
                             const struct checkout_order *order, uint64_t accepted_ms);

/* Returns 0, or -1 for a text that is no record. */
int checkout_record_parse(struct checkout_record *record, const char *text, size_t len);

#endif
