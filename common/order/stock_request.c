#include "order/stock_request.h"

#include <string.h>


int
stock_request_parse(struct stock_request *request, const char *body, size_t len,
                    struct checkout_field fields[STOCK_REQUEST_FIELDS], struct checkout_json_fault *fault)
{
    struct checkout_field *db = &fields[STOCK_REQUEST_DB_STOCK], *redis = &fields[STOCK_REQUEST_REDIS_STOCK];
    const struct checkout_field wanted[STOCK_REQUEST_FIELDS] = {
        [STOCK_REQUEST_PRODUCT] = { .name = "product_id", .min = 1, .max = INT64_MAX },
        [STOCK_REQUEST_NAME] = { .name = "product_name",
                                 .kind = CHECKOUT_FIELD_TEXT,
                                 .min = 1,
                                 .max = STOCK_REQUEST_NAME_MAX,
                                 .text = request->name,
                                 .size = sizeof(request->name) },
        [STOCK_REQUEST_DB_STOCK] = { .name = "initial_db_stock", .max = INT32_MAX },
        [STOCK_REQUEST_REDIS_STOCK] = { .name = "initial_redis_stock", .max = INT32_MAX },
        [STOCK_REQUEST_PRICE] = { .name = "price",
                                  .kind = CHECKOUT_FIELD_DECIMAL,
                                  .optional = 1,
                                  .max = STOCK_REQUEST_PRICE_DIGITS,
                                  .text = request->price,
                                  .size = sizeof(request->price) },
        [STOCK_REQUEST_FORCE] = { .name = "force", .kind = CHECKOUT_FIELD_BOOLEAN, .optional = 1 },
    };

    memset(request, 0, sizeof(*request));
    memcpy(fields, wanted, sizeof(wanted));

    int result = checkout_json_fields(fields, STOCK_REQUEST_FIELDS, body, len, fault);

    if (fault->syntax == NULL && db->error == CHECKOUT_FIELD_OK && redis->error == CHECKOUT_FIELD_OK
        && db->value != redis->value)
    {
        db->error = redis->error = CHECKOUT_FIELD_DIFFERENT;
        result = -1;
    }

    request->product_id = fields[STOCK_REQUEST_PRODUCT].value;
    request->stock = (uint32_t) db->value;
    request->force = fields[STOCK_REQUEST_FORCE].value != 0;
    return result;
}
