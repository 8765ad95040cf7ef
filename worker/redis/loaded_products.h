/*
 * Which products are loaded at the gate: a SCAN over product:<id>:register and product:<id>:stock. It has the form of
 * these names beside redis/keys.h, as it reads them.
 */
#ifndef CHECKOUT_WORKER_REDIS_LOADED_PRODUCTS_H
#define CHECKOUT_WORKER_REDIS_LOADED_PRODUCTS_H

#include "redis/connection.h"

/*
 * Fills *ids (NULL at first; grown by memory_resize(), the caller frees it) with ids, ascending and distinct. A product
 * that comes or goes meanwhile may or may not be among them. Blocks: one call of Redis for each 1000 keys of the
 * database. Returns 0, or -1 with conn->error set.
 */
int loaded_products_read(struct redis_connection *conn, uint64_t **ids, size_t *count, size_t *capacity);

/* The id in the key "product:<id>:register" or "product:<id>:stock". Returns 0, or -1 for another key. Pure. */
int loaded_products_id(const char *key, size_t len, uint64_t *id);

#endif
