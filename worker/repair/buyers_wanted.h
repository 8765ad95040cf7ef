/*
 * Which products' buyers are to be counted anew: those that are marked so, or whose hash was lost, and those that the
 * release before loaded (buyers_look.lua).
 */
#ifndef CHECKOUT_WORKER_REPAIR_BUYERS_WANTED_H
#define CHECKOUT_WORKER_REPAIR_BUYERS_WANTED_H

#include "repair/buyers_count.h"

/*
 * Finds them and counts them. Products that sell on uncounted come last, and only where `checkoutctl migrate --finish`
 * has said that no program of the release before runs. *counted grows by the products that were counted, *users by
 * their users. Where nothing is wanted it costs a statement over the products that have a limit, and a short call of
 * Redis for each 256 of them. Else as buyers_count().
 */
enum buyers_counted buyers_count_wanted(struct db *db, struct redis_connection *redis, buyers_go_on go_on, void *data,
                                        uint64_t *counted, uint64_t *users);

/* Is this product one that answers 503 until its buyers are counted? 1, 0, or -1 with redis->error. One call of Redis.
 */
int buyers_is_wanted(struct redis_connection *redis, uint64_t product);

/*
 * The ids of all products that have a limit. *ids: the caller frees it with free(); NULL where there is none. Connects
 * where db is closed; returns as the statement does, and then *ids is NULL.
 */
enum db_result buyers_limited(struct db *db, uint64_t **ids, size_t *n);

#endif
