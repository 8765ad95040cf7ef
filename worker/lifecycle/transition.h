/*
 * Informs the gate of committed changes of orders (lifecycle/change.h): statuses, stock, buyers' units, by one call of
 * common/lua/transition.lua.
 *
 * Where the gate cannot be reached, the reconciler corrects its stock later. The record of such an order keeps its old
 * status (MySQL has the right one), and the buyer's count stays too high until a rebuild.
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
    int may_repeat; /* 1: an earlier call may have brought the same change to the gate */
};

/* Writes the words of the call into args, which are emptied first. now_ms: since 1970, UTC. Does not block. */
void transition_args(struct redis_args *args, const struct transition *moved, uint64_t now_ms);

/*
 * Sends it, up to TRANSITION_TRIES times with back-off, unless the stop is requested; blocks meanwhile. args: scratch
 * space of the caller, who frees it. Returns 0, or -1 with conn->error set. No lock or transaction may be open in
 * MySQL.
 */
int transition_send(struct redis_connection *conn, struct redis_args *args, struct transition moved);

#endif
