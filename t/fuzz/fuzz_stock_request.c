/*
 * Fuzzer of the request that sets a stock (libFuzzer). What the strict reader takes, cJSON must take too, with the same
 * name, number and answers; and what reaches a statement is what its column takes.
 */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "order/stock_request.h"

#define EXACT_IN_A_DOUBLE ((uint64_t) 1 << 53)


static void
expect(int right)
{
    if (!right) {
        abort();
    }
}


static void
expect_number(const cJSON *object, const char *name, uint64_t value)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    expect(cJSON_IsNumber(item) && (value >= EXACT_IN_A_DOUBLE || item->valuedouble == (double) value));
}


/* Valid UTF-8 without control characters, 1 to 255 characters. */
static void
expect_name(const char *name)
{
    size_t characters = 0;

    for (const unsigned char *p = (const unsigned char *) name; *p != '\0'; p++) {
        expect(*p >= 0x20);
        characters += (*p & 0xc0) != 0x80;
    }

    expect(characters >= 1 && characters <= STOCK_REQUEST_NAME_MAX);
}


static void
expect_price(const char *price)
{
    size_t whole = strspn(price, "0123456789");

    if (price[0] == '\0') {
        return;
    }

    expect(whole >= 1 && whole <= STOCK_REQUEST_PRICE_DIGITS);

    if (price[whole] != '\0') {
        size_t cents = strspn(price + whole + 1, "0123456789");

        expect(price[whole] == '.' && cents >= 1 && cents <= 2 && price[whole + 1 + cents] == '\0');
    }
}


static void
expect_same(const struct stock_request *request, const char *text, size_t size)
{
    cJSON *object = cJSON_ParseWithLength(text, size);

    if (object == NULL && memmem(text, size, "\\u", 2) != NULL) {
        return; /* a lone surrogate elsewhere: RFC 8259 lets it pass, cJSON does not */
    }

    const cJSON *name = cJSON_GetObjectItemCaseSensitive(object, "product_name");

    expect(cJSON_IsString(name) && strcmp(name->valuestring, request->name) == 0);
    expect(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "force")) == request->force);
    expect_number(object, "product_id", request->product_id);
    expect_number(object, "initial_db_stock", request->stock);
    expect_number(object, "initial_redis_stock", request->stock);
    cJSON_Delete(object);
}


int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct stock_request request;
    struct checkout_field fields[STOCK_REQUEST_FIELDS];
    struct checkout_json_fault fault;

    if (stock_request_parse(&request, (const char *) data, size, fields, &fault) != 0) {
        expect(fault.offset <= size);
        return 0;
    }

    expect(request.product_id >= 1 && request.product_id <= INT64_MAX && request.stock <= INT32_MAX);
    expect_name(request.name);
    expect_price(request.price);
    expect_same(&request, (const char *) data, size);
    return 0;
}
