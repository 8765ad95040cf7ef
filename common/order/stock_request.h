/*
 * The request that sets a product and its stock, as an administrator sends it.
 */
#ifndef CHECKOUT_ORDER_STOCK_REQUEST_H
#define CHECKOUT_ORDER_STOCK_REQUEST_H

#include "order/product.h"
#include "text/json_fields.h"

#define STOCK_REQUEST_NAME_MAX     255 /* characters */
#define STOCK_REQUEST_NAME_BYTES   (4 * STOCK_REQUEST_NAME_MAX + 1)
#define STOCK_REQUEST_PRICE_DIGITS 10 /* before the point: DECIMAL(12,2) */

struct stock_request {
    uint64_t product_id;                 /* 1 .. 2^63 - 1 */
    uint32_t stock;                      /* 0 .. 2^31 - 1 */
    int force;                           /* also while orders are in flight */
    char name[STOCK_REQUEST_NAME_BYTES]; /* UTF-8 without control characters, not empty */
    char price[PRODUCT_PRICE_MAX];       /* digits, and a point with one or two more; empty: none was given */
};

enum stock_request_field {
    STOCK_REQUEST_PRODUCT,
    STOCK_REQUEST_NAME,
    STOCK_REQUEST_DB_STOCK,
    STOCK_REQUEST_REDIS_STOCK,
    STOCK_REQUEST_PRICE,
    STOCK_REQUEST_FORCE,
    STOCK_REQUEST_FIELDS
};

/*
 * Reads {"product_id", "product_name", "initial_db_stock", "initial_redis_stock"} and the optional "price" and "force".
 * The two stocks must be the same number. fields: memory for the fields, filled in here. Returns 0, or -1 with *fault
 * or the error of a field filled in; *request is then not to be used. Pure.
 */
int stock_request_parse(struct stock_request *request, const char *body, size_t len,
                        struct checkout_field fields[STOCK_REQUEST_FIELDS], struct checkout_json_fault *fault);

#endif
