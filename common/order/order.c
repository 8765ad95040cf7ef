/*
 * The order's request and record, read and written without allocation.
 *
 * The request is read by a strict reader (text/json_fields.h): it runs once per request at the edge and must tell 2^53
 * + 1 from 2^53, an integer from 1.0, and a repeated member from a single one, which a general reader that stores
 * numbers as doubles cannot.
 */
#include "order/order.h"

#include <string.h>

#include "text/number.h"


int
checkout_order_parse(struct checkout_order *order, const char *body, size_t len, uint32_t max_quantity, int user_wanted,
                     struct checkout_order_errors *errors)
{
    struct checkout_json_fault fault;
    struct checkout_field fields[3] = {
        { .name = "product_id", .min = 1, .max = INT64_MAX },
        { .name = "quantity", .min = 1, .max = max_quantity },
        { .name = "user_id", .min = 1, .max = UINT64_MAX },
    };
    int result = checkout_json_fields(fields, user_wanted ? 3 : 2, body, len, &fault);

    errors->syntax = fault.syntax;
    errors->offset = fault.offset;
    errors->product_id = fields[0].error;
    errors->quantity = fields[1].error;
    errors->user_id = fields[2].error;

    if (result != 0) {
        return -1;
    }

    order->product_id = fields[0].value;
    order->quantity = (uint32_t) fields[1].value;
    order->user_id = fields[2].value;
    return 0;
}


static char *
write_word(char *out, const char *word, size_t max)
{
    size_t n = strnlen(word, max);

    memcpy(out, word, n);
    return out + n;
}


size_t
checkout_record_write(char out[CHECKOUT_RECORD_MAX], const char *status, const char *reason,
                      const struct checkout_order *order, uint64_t accepted_ms)
{
    char *p = write_word(out, status, 32);

    *p++ = ' ';
    p = write_word(p, reason[0] == '\0' ? "-" : reason, 64);
    *p++ = ' ';
    p = number_write(p, order->product_id);
    *p++ = ' ';
    p = number_write(p, order->quantity);
    *p++ = ' ';
    p = number_write(p, order->user_id);
    *p++ = ' ';
    p = number_write(p, accepted_ms);

    return (size_t) (p - out);
}


/* The next word of a record; its length, 0 when there is none. */
static size_t
next_word(const char **word, const char **at, const char *end)
{
    const char *p = *at;

    while (p < end && *p != ' ') {
        p++;
    }

    *word = *at;
    *at = p < end ? p + 1 : p;
    return (size_t) (p - *word);
}


int
checkout_record_parse(struct checkout_record *record, const char *text, size_t len)
{
    const char *at = text, *end = text + len, *word;
    uint64_t numbers[4];

    if (len > CHECKOUT_RECORD_MAX) {
        return -1;
    }

    record->status_len = next_word(&record->status, &at, end);
    record->reason_len = next_word(&record->reason, &at, end);

    if (record->status_len == 0 || record->reason_len == 0) {
        return -1;
    }

    if (record->reason_len == 1 && record->reason[0] == '-') {
        record->reason_len = 0;
    }

    for (int i = 0; i < 4; i++) {
        size_t n = next_word(&word, &at, end);

        if (number_parse(&numbers[i], word, n, i == 1 ? UINT32_MAX : UINT64_MAX) != 0) {
            return -1;
        }
    }

    if (at != end || (len > 0 && text[len - 1] == ' ')) {
        return -1;
    }

    record->order.product_id = numbers[0];
    record->order.quantity = (uint32_t) numbers[1];
    record->order.user_id = numbers[2];
    record->accepted_ms = numbers[3];
    return 0;
}
