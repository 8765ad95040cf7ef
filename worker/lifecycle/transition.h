/*
 * Informs the gate of committed changes of orders (lifecycle/change.h): statuses, stock, buyers' units, by one call of
 * common/lua/transition.lua.
 *
 * Where the gate cannot be reached, the reconciler corrects its stock later, and the sweep of the notices
 * (lifecycle/notices.h) tells it the rest. Telling twice is harmless.
 */
#ifndef CHECKOUT_WORKER_LIFECYCLE_TRANSITION_H
#define CHECKOUT_WORKER_LIFECYCLE_TRANSITION_H

#include "lifecycle/change.h"
#include "redis/connection.h"

#define TRANSITION_TRIES 5

/* Orders of a batch and their products, as committed. Orders that did not move are skipped. Nothing is owned. */
struct transition {
    const struct changed_order *orders;
    size_t order_count;
    const struct product_row *products;
    size_t product_count;
    int make; /* 1: an order without a record gets one; for the sweep alone, which tells each order's changes in order
               */
};

/* Writes the words of the call into args, which are emptied first. now_ms: since 1970, UTC. Does not block. */
void transition_args(struct redis_args *args, const struct transition *moved, uint64_t now_ms);

/*
 * Sends it, up to TRANSITION_TRIES times with back-off, unless the stop is requested; blocks meanwhile. args: scratch
 * space of the caller, who frees it. told: NULL, or room for moved->order_count bytes: [i] is set to 1 where nothing is
 * left to tell of orders[i], and to 0 where only the sweep can tell it. Returns 0, or -1 with conn->error set; told
 * then means nothing. No lock or transaction may be open in MySQL.
 */
int transition_send(struct redis_connection *conn, struct redis_args *args, const struct transition *moved,
                    unsigned char *told);

#endif
