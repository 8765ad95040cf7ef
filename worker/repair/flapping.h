/*
 * Products that need the same repair at tick after tick: each time the repair is undone. To repair them for
 * ever would only raise their versions and fill the log, so repairs are suspended for a while.
 *
 * Bounded: of more than FLAPPING_MOST such products, those repaired longest ago are forgotten. Owns nothing; pure.
 */
#ifndef CHECKOUT_WORKER_REPAIR_FLAPPING_H
#define CHECKOUT_WORKER_REPAIR_FLAPPING_H

#include <stdint.h>

#define FLAPPING_MOST       64
#define FLAPPING_TICKS      3 /* ticks in sequence with a repair, after which a product is suspended */
#define FLAPPING_SUSPEND_MS 60000

struct flapping {
    struct flapping_product {
        uint64_t id;       /* 0: free */
        uint64_t tick;     /* of the last repair */
        unsigned times;    /* repairs in sequence */
        uint64_t until_ms; /* suspended before that time of clock_ms() */
    } products[FLAPPING_MOST];
};

/* Returns 1 where repairs of the product are suspended at that time, else 0. */
int flapping_is_suspended(const struct flapping *flapping, uint64_t id, uint64_t now_ms);

/* Records a repair at tick number `tick`, from 1. Returns 1 where repairs are suspended from now on, else 0. */
int flapping_add(struct flapping *flapping, uint64_t id, uint64_t tick, uint64_t now_ms);

#endif
