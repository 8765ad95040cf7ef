/*
 * Products that need the same repair at tick after tick: somebody, or an error, undoes it each time. To repair them
 * for ever would only raise their versions and fill the log, so they are left alone for a while.
 *
 * Bounded: of more than RESTLESS_MOST such products, those not seen for longest are forgotten. Owns nothing; pure.
 */
#ifndef CHECKOUT_WORKER_REPAIR_FLAPPING_H
#define CHECKOUT_WORKER_REPAIR_FLAPPING_H

#include <stdint.h>

#define RESTLESS_MOST     64
#define RESTLESS_TICKS    3       /* ticks running with a repair, after which a product is left alone */
#define RESTLESS_LEAVE_MS 60000

struct restless {
    struct restless_product {
        uint64_t id;                  /* 0: free */
        uint64_t tick;                /* of the last repair */
        unsigned times;               /* repairs, tick after tick */
        uint64_t until_ms;            /* left alone before that time */
    } products[RESTLESS_MOST];
};

/* Is the product left alone at that time? */
int restless_is_left(const struct restless *restless, uint64_t id, uint64_t now_ms);

/* Notes a repair at tick number `tick`, from 1. Returns 1 when the product is left alone from now on. */
int restless_note(struct restless *restless, uint64_t id, uint64_t tick, uint64_t now_ms);

#endif
