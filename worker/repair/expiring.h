/*
 * Large keys that are about to expire go a while before, by UNLINK: so nobody waits while Redis frees them, whatever
 * its settings are. These are the records of a day that is over, and the units of the buyers of a sale that has ended.
 *
 * Each function makes at most one call of Redis, and blocks up to [redis] timeout. It returns the number of keys that
 * went, or -1 with conn->error set.
 */
#ifndef CHECKOUT_WORKER_REPAIR_EXPIRING_H
#define CHECKOUT_WORKER_REPAIR_EXPIRING_H

#include <stddef.h>
#include <stdint.h>

#include "mysql/product_row.h"
#include "redis/connection.h"

#define EXPIRING_MS       900000 /* within that time */
#define EXPIRING_EVERY_MS 300000 /* so each key is looked at several times before */

/* Buckets of days that are looked up no more. unix_ms: now, by this process's clock. */
int expiring_buckets(struct redis_connection *conn, uint64_t unix_ms);

/* Buyers of products that had a limit for each buyer and whose sale has ended; n <= 256. */
int expiring_buyers(struct redis_connection *conn, const struct product_row *rows, size_t n, uint64_t unix_ms);

#endif
