/*
 * Products at the gate: the scripts inspect, push, load and correct_counts as C calls. Each blocks up to [redis]
 * timeout.
 */
#ifndef CHECKOUT_WORKER_REDIS_GATE_H
#define CHECKOUT_WORKER_REDIS_GATE_H

#include "mysql/product_row.h"
#include "redis/connection.h"
#include "redis/in_flight.h"

#define GATE_MISSING     INT64_MIN       /* a number that is not there */
#define GATE_NUMBER_MOST 999999999999999 /* 15 digits: what Lua counts exactly, and the scripts take (register.lua) */

/* A product as Redis holds it. */
struct gate_product {
    uint64_t id;
    int64_t stock; /* the stock key; GATE_MISSING also where it is no number */
    int64_t version;
    int64_t register_stock; /* GATE_MISSING: the product is not loaded */
    int64_t in_flight;
    int64_t in_flight_sum; /* over queue and dead letters, as who reads them sets it; GATE_MISSING: not summed */
    struct sale_terms terms;
    int recovering; /* 1: MySQL lost something of it, and it is not sold until that was recovered (redis/loss.h) */
    int damaged;    /* a field of the register is no number; it then reads as 0, the version as -1 */
};

struct gate_counts {
    int64_t products, queued; /* as the hash gate counts them */
};

#define GATE_INSPECT_MOST 256 /* products in one call, so that it blocks Redis only briefly */

/*
 * Reads products[0 .. n), n <= GATE_INSPECT_MOST, whose ids are set, in one script call: a consistent view. Sums
 * nothing. Returns 0, or -1 with conn->error set.
 */
int gate_inspect(struct redis_connection *conn, struct gate_product *products, size_t n, struct gate_counts *counts);

enum gate_push {
    GATE_NEWER_ONLY = 0, /* what push does without options */
    GATE_CREATE = 1,     /* a product that is not loaded is loaded: gate_load(), not gate_push() */
    GATE_STOCK_ONLY = 4  /* nothing is pushed: the stock is set from the register */
};

enum gate_pushed {
    GATE_PUSH_APPLIED = 1,
    GATE_PUSH_NOT_NEWER = 0,
    GATE_PUSH_NOT_LOADED = -1,
    GATE_PUSH_BROKEN = -2, /* the register is no hash; conn->error */
    GATE_PUSH_FAILED = -3, /* Redis failed; conn->error */
    GATE_PUSH_COUNT = -4   /* nothing was done: what is in flight has to be counted first, or counted on */
};

/*
 * Pushes one product that is loaded. row: as committed in MySQL (found = 0: only the stock is set from the register).
 * options: GATE_STOCK_ONLY or nothing.
 */
enum gate_pushed gate_push(struct redis_connection *conn, const struct product_row *row, unsigned options);

enum gate_load {
    GATE_LOAD_CREATE,  /* a product without a register is loaded; one that is loaded is pushed */
    GATE_LOAD_RECOUNT, /* in_flight of a loaded product is set to what was counted, and the row is pushed */
    GATE_LOAD_LOOK,    /* nothing is written */
    GATE_LOAD_FORGET   /* one whose register is gone and of which nothing is in flight counts as loaded no longer */
};

struct gate_counted {
    int64_t in_flight; /* before */
    int64_t counted;   /* what is in flight; where nothing had to be counted the same */
};

/*
 * Loads one product, or counts what is in flight of it, in one step of Redis. row: as for gate_push(). count: a pass
 * that keeps entries, of this product among others, and is at its end; it is read on here, for a few pages at most.
 * NULL: the script counts by itself where it can, which is for new products, and while the queue is short. *counted:
 * filled in where the result is 0 or more. Returns GATE_PUSH_COUNT where a count is needed, or the queue moves too fast
 * for this one.
 */
enum gate_pushed gate_load(struct redis_connection *conn, const struct product_row *row, enum gate_load what,
                           struct in_flight *count, struct gate_counted *counted);

/*
 * MySQL has no such product (any more): the gate refuses it. Version and stock stay. Returns 1: closed, 0: it is not
 * loaded, or -1 with conn->error set.
 */
int gate_close_gone(struct redis_connection *conn, uint64_t product);

/* The stock that follows from the register, max(0, register_stock - in_flight). Pure. The product must be loaded. */
int64_t gate_expected_stock(const struct gate_product *product);

/*
 * Corrects the gate's count of products to `right`, if it is still `seen`, and its count of queued orders: where the
 * queue is short to what is in it, else by `more`. Returns 1 where it corrected one, 0 where both were right, or -1
 * with conn->error set.
 */
int gate_correct_counts(struct redis_connection *conn, int64_t seen, int64_t right, int64_t more);

#endif
