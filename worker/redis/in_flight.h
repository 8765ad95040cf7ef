/*
 * Units in flight, counted from outside: the queue and the dead letters are read in pages, so Redis is never held for
 * longer than one page takes.
 *
 * Both change meanwhile. What a pass counted is a number that was true of no moment, good enough to find products that
 * look wrong. With the entries kept it becomes exact: the script `load` looks again, in one step, at whatever may have
 * changed since (common/lua/load.lua says why nothing is missed), or answers that the count has to go on.
 *
 *   in_flight_begin() -> in_flight_step(), until it returns 0 -> in_flight_units(), or gate_load() with it
 *
 * After its end a pass may go on: in_flight_step() then reads what was added. A struct belongs to one thread.
 */
#ifndef CHECKOUT_WORKER_REDIS_IN_FLIGHT_H
#define CHECKOUT_WORKER_REDIS_IN_FLIGHT_H

#include <hiredis/hiredis.h>
#include <stdint.h>

#include "redis/connection.h"

#define IN_FLIGHT_PAGE 256 /* entries of one step */

/* A place in a stream: the id of an entry. Zero: before the first. */
struct stream_place {
    uint64_t ms, sequence;
};

struct in_flight_entry {
    struct stream_place id;
    int64_t units;
};

struct in_flight_product {
    uint64_t id;
    int64_t queue_units, dead_units; /* as read */
    struct in_flight_entry *entries; /* of the queue, ascending; only where they are kept */
    size_t count, capacity;
};

/* Zero-initialised is empty; in_flight_free() frees what it holds. */
struct in_flight {
    struct in_flight_product *products; /* ids ascending; entries of other products are passed over */
    size_t count;
    int keep;                        /* 1: entries are kept, 24 bytes each */
    int in_dead_letters;             /* which stream is read now */
    struct stream_place queue, dead; /* read up to there */
    uint64_t dead_letters;           /* read */
    int64_t orders;                  /* in the queue, as read */
};

/* Begins a pass for these products (ids ascending, distinct; copied). Does not block. */
void in_flight_begin(struct in_flight *f, const uint64_t *ids, size_t n, int keep);

/* Reads one page; blocks up to [redis] timeout. Returns 1: there is more, 0: at the end of both streams, -1:
 * conn->error. */
int in_flight_step(struct in_flight *f, struct redis_connection *conn);

/* in_flight_step() to the end. Returns 0, or -1 with conn->error set. */
int in_flight_read(struct in_flight *f, struct redis_connection *conn);

/* A product of the pass, or NULL for one that was not asked for. It belongs to the pass. Pure. */
const struct in_flight_product *in_flight_find(const struct in_flight *f, uint64_t product);

/* Units of a product as read, 0 for one that was not asked for. Pure. */
int64_t in_flight_units(const struct in_flight *f, uint64_t product);

/*
 * Adds the words of the script `load` from the 11th on, for a product of a pass that kept entries and is at its end.
 * Where more than IN_FLIGHT_CHECKED of its entries were read it first asks how far the queue was delivered, and reads
 * again what stands up to there; that blocks for some pages. Returns 0; 1: more than that many are being worked on, try
 * again later (nothing was added); -1: conn->error.
 */
int in_flight_words(struct in_flight *f, struct redis_connection *conn, uint64_t product, struct redis_args *args);

#define IN_FLIGHT_CHECKED 1000 /* entries that one script call looks at again */

/* After the script said that the count has to go on: dead letters are counted anew, the queue is read on. Pure. */
void in_flight_again(struct in_flight *f);

/* Frees the memory; the struct is empty then. */
void in_flight_free(struct in_flight *f);

#endif
