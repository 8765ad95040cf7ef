/*
 * Fuzzer of the order's request and record (libFuzzer). What the strict reader takes, cJSON must take too,
 * with the same numbers as far as a double holds them; a record that is read is written back as it was.
 */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "order/order.h"

#define EXACT_IN_A_DOUBLE ((uint64_t) 1 << 53)


static void
expect_number(const cJSON *object, const char *name, uint64_t value)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    if (!cJSON_IsNumber(item) || (value < EXACT_IN_A_DOUBLE && item->valuedouble != (double) value)) {
        abort();
    }
}


static void
try_request(const char *text, size_t size)
{
    struct checkout_order order;
    struct checkout_order_errors errors;
    cJSON *object;

    if (checkout_order_parse(&order, text, size, 1000, 1, &errors) != 0) {
        if (errors.offset > size) {
            abort();
        }

        return;
    }

    object = cJSON_ParseWithLength(text, size);

    if (object == NULL && memmem(text, size, "\\u", 2) != NULL) {
        return; /* a lone surrogate: RFC 8259 lets it pass, cJSON does not */
    }

    if (order.quantity < 1 || order.quantity > 1000 || order.product_id == 0 || order.user_id == 0) {
        abort();
    }

    expect_number(object, "product_id", order.product_id);
    expect_number(object, "quantity", order.quantity);
    expect_number(object, "user_id", order.user_id);
    cJSON_Delete(object);
}


static void
try_record(const char *text, size_t size)
{
    struct checkout_record record;
    char status[33], reason[65], again[CHECKOUT_RECORD_MAX];

    if (checkout_record_parse(&record, text, size) != 0 || record.status_len > 32 || record.reason_len > 64) {
        return;
    }

    memcpy(status, record.status, record.status_len);
    status[record.status_len] = '\0';
    memcpy(reason, record.reason, record.reason_len);
    reason[record.reason_len] = '\0';

    if (strlen(status) != record.status_len || strlen(reason) != record.reason_len) {
        return; /* a NUL inside: never written by us, harmless to read */
    }

    if (checkout_record_write(again, status, reason, &record.order, record.accepted_ms) != size
        || memcmp(again, text, size) != 0)
    {
        abort();
    }
}


int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    try_request((const char *) data, size);
    try_record((const char *) data, size);
    return 0;
}
