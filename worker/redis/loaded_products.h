/*
 * Which products the gate knows: a SCAN over product:<id>:register and product:<id>:stock.
 */
#ifndef CHECKOUT_WORKER_REDIS_LOADED_PRODUCTS_H
#define CHECKOUT_WORKER_REDIS_LOADED_PRODUCTS_H

#include "redis/connection.h"

/*
 * Fills the array (grown by memory_resize(), owned by the caller) with ids, ascending and distinct. A product that
 * comes or goes meanwhile may or may not be among them. Returns 0, or -1 with conn->error set.
 */
int scan_products(struct redis_conn *conn, uint64_t **ids, size_t *count, size_t *capacity);

/* The id in "product:<id>:register" or "product:<id>:stock". Returns 0, or -1 for another key. */
int scan_product_id(const char *key, size_t len, uint64_t *id);

#endif
