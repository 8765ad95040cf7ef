/*
 * SCAN, HSCAN and SSCAN to their end, page by page (redis.io, "SCAN": an element may come twice; one that is there from
 * the first page to the last comes at least once).
 *
 * Each page is one call of Redis and blocks up to [redis] timeout; Redis serves others in between.
 */
#ifndef CHECKOUT_WORKER_REDIS_SCAN_H
#define CHECKOUT_WORKER_REDIS_SCAN_H

#include "redis/connection.h"

/*
 * Takes one page: keys of SCAN, members of SSCAN, or of HSCAN field, value, field, value …. The page lives until it
 * returns. It may be empty, and may hold more elements than were asked for. Returns 0 to go on; another number, above
 * 0, ends the scan.
 */
typedef int (*scan_visit)(const redisReply *page, void *data);

/* The keys that match a pattern of one word. Returns 0, what visit returned, or -1 with conn->error set. */
int scan_keys(struct redis_connection *conn, const struct redis_args *pattern, scan_visit visit, void *data);

/* The fields of a hash, about `count` in a page. key: one word. Returns as scan_keys() does. */
int scan_fields(struct redis_connection *conn, const struct redis_args *key, unsigned count, scan_visit visit,
                void *data);

/* The members of a set, about `count` in a page. key: one word. Returns as scan_keys() does. */
int scan_members(struct redis_connection *conn, const struct redis_args *key, unsigned count, scan_visit visit,
                 void *data);

#endif
