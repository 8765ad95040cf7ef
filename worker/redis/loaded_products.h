/*
 * Which products are loaded at the gate: the set `products`, which the script load keeps, so that nobody has to look
 * through all keys.
 *
 * The release before kept no such set, and a set can be lost. Whether it is whole shows in the gate's count of
 * products, which changes with it in one step: where they differ the set is filled by one SCAN over the names of
 * registers. This file has the form of these names beside redis/keys.h, as it reads them.
 */
#ifndef CHECKOUT_WORKER_REDIS_LOADED_PRODUCTS_H
#define CHECKOUT_WORKER_REDIS_LOADED_PRODUCTS_H

#include "redis/connection.h"

/*
 * Fills *ids (NULL at first; grown by memory_resize(), the caller frees it) with ids, ascending and distinct. A product
 * that comes or goes meanwhile may or may not be among them; one whose register went stays until it is forgotten
 * (gate_load()). Blocks: one call of Redis for each 1000 products; where the set is not whole, one for each 1000 keys
 * of the database too. Returns 0, or -1 with conn->error set.
 */
int loaded_products_read(struct redis_connection *conn, uint64_t **ids, size_t *count, size_t *capacity);

/* The id in the key "product:<id>:register". Returns 0, or -1 for another key. Pure. */
int loaded_products_id(const char *key, size_t len, uint64_t *id);

#endif
