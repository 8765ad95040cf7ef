/*
 * Finds products whose units in flight, as the gate counts them, are not those in the queue and the dead letters.
 *
 * Passes over both streams in pages, without end. What a register says and what a pass read belong to different
 * moments, so a difference proves nothing: a product is named when three passes in sequence show the same one, or ten
 * any. Who is told counts exactly (gate_load()), so a product that was named for nothing is not changed.
 *
 * A struct belongs to one thread. Zero-initialised is empty.
 */
#ifndef CHECKOUT_WORKER_REPAIR_FLIGHT_CHECK_H
#define CHECKOUT_WORKER_REPAIR_FLIGHT_CHECK_H

#include "redis/in_flight.h"

#define FLIGHT_CHECK_SAME 3  /* passes with the same difference */
#define FLIGHT_CHECK_ANY  10 /* passes with some difference */

struct flight_difference {
    uint64_t id;
    int64_t units;
    unsigned same, any; /* passes in sequence */
};

struct flight_check {
    struct in_flight pass;
    int running;
    int64_t *held;                                /* [i]: in flight of pass.products[i] as the gate counts it */
    struct flight_difference *differences, queue; /* of the pass before, ids ascending; of the gate's `queued` */
    size_t count;
};

/* Begins a pass over these products (ids ascending, distinct; copied), unless one is under way. Does not block. */
void flight_check_begin(struct flight_check *f, const uint64_t *ids, size_t n);

/* Tells what the gate counts of a product now. Pure. */
void flight_check_see(struct flight_check *f, uint64_t id, int64_t in_flight);

/* Reads one page; blocks up to [redis] timeout. Returns 1: there is more, 0: the pass is complete, -1: conn->error. */
int flight_check_step(struct flight_check *f, struct redis_connection *conn);

/*
 * Judges a pass that is complete, and ends it. queued: orders in the queue by the gate's count. Calls suspect() for
 * each product that is named. Returns what has to be added to that count; 0 where nothing is proven. Pure.
 */
int64_t flight_check_judge(struct flight_check *f, int64_t queued, void (*suspect)(uint64_t id, void *data),
                           void *data);

/* Frees the memory; the struct is empty then. */
void flight_check_free(struct flight_check *f);

#endif
