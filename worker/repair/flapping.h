/*
 * Products that need the same repair at tick after tick: somebody, or an error, undoes it each time. To repair them
 * for ever would only raise their versions and fill the log, so they are left alone for a while.
 *
 * Bounded: of more than FLAPPING_MOST such products, those not seen for longest are forgotten. Owns nothing; pure.
 */
#ifndef CHECKOUT_WORKER_REPAIR_FLAPPING_H
#define CHECKOUT_WORKER_REPAIR_FLAPPING_H

#include <stdint.h>

#define FLAPPING_MOST     64
#define FLAPPING_TICKS    3       /* ticks running with a repair, after which a product is left alone */
#define FLAPPING_SUSPEND_MS 60000

struct flapping {
    struct flapping_product {
        uint64_t id;                  /* 0: free */
        uint64_t tick;                /* of the last repair */
        unsigned times;               /* repairs, tick after tick */
        uint64_t until_ms;            /* left alone before that time */
    } products[FLAPPING_MOST];
};

/* Is the product left alone at that time? */
int flapping_is_suspended(const struct flapping *flapping, uint64_t id, uint64_t now_ms);

/* Notes a repair at tick number `tick`, from 1. Returns 1 when the product is left alone from now on. */
int flapping_add(struct flapping *flapping, uint64_t id, uint64_t tick, uint64_t now_ms);

#endif
