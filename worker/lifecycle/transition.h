/*
 * Tells the gate what was committed in the lives of orders (lifecycle/change.h, transition.lua): statuses, stock, buyers' units.
 *
 * A gate that cannot be told is put right by the reconciler as far as stock goes; the record of an order then
 * stays as it was (whoever wants to know more asks MySQL), and the buyer's count stays too high until a rebuild.
 */
#ifndef CHECKOUT_WORKER_LIFECYCLE_TRANSITION_H
#define CHECKOUT_WORKER_LIFECYCLE_TRANSITION_H

#include "lifecycle/change.h"
#include "redis/connection.h"

#define TRANSITION_TRIES 5

/* What moved, and its products as they were committed; others of both are passed over. Not owned. */
struct transition {
    const struct life_order *orders;
    size_t order_count;
    const struct product_row *products;
    size_t product_count;
    int again;            /* the gate may have been told before */
};

/* The words of the call. now_ms: since 1970. */
void transition_words(struct redis_args *args, const struct transition *moved, uint64_t now_ms);

/*
 * After the commit of a batch. Tries a few times while Redis does not answer, unless the stop is asked for. Returns 0,
 * or -1 with conn->error set.
 */
int transition_tell(struct redis_conn *conn, struct redis_args *args, struct transition moved);

#endif
