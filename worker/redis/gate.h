/*
 * Products at the gate: the scripts inspect, push and correct_counts as C calls. Each blocks up to [redis] timeout.
 */
#ifndef CHECKOUT_WORKER_REDIS_GATE_H
#define CHECKOUT_WORKER_REDIS_GATE_H

#include "mysql/product_row.h"
#include "redis/connection.h"

#define GATE_MISSING     INT64_MIN       /* a number that is not there */
#define GATE_NUMBER_MOST 999999999999999 /* 15 digits: what Lua counts exactly, and the scripts take (register.lua) */

/* A product as Redis holds it. */
struct gate_product {
    uint64_t id;
    int64_t stock; /* the stock key; GATE_MISSING also where it is no number */
    int64_t version;
    int64_t register_stock; /* GATE_MISSING: the product is not loaded */
    int64_t in_flight;
    int64_t in_flight_sum; /* over queue and dead letters; GATE_MISSING: not summed */
    struct sale_terms terms;
    int damaged; /* a field of the register is no number; it then reads as 0, the version as -1 */
};

struct gate_counts {
    int summed;               /* 1: in_flight_sum was computed */
    int64_t products, queued; /* as the hash gate counts them */
};

#define GATE_INSPECT_MOST 256 /* products in one call, so that it blocks Redis only briefly */

/*
 * Reads products[0 .. n), n <= GATE_INSPECT_MOST, whose ids are set, in one script call: a consistent view. in_flight
 * is summed only while queue and dead letters hold at most `most_entries`. Returns 0, or -1 with conn->error set.
 */
int gate_inspect(struct redis_connection *conn, struct gate_product *products, size_t n, uint64_t most_entries,
                 struct gate_counts *counts);

enum gate_push {
    GATE_NEWER_ONLY = 0, /* what push does without options */
    GATE_CREATE = 1,     /* a product that is not loaded is loaded */
    GATE_RECOUNT = 2,    /* in_flight is set to its sum */
    GATE_STOCK_ONLY = 4  /* nothing is pushed: the stock is set from the register */
};

enum gate_pushed {
    GATE_PUSH_APPLIED = 1,
    GATE_PUSH_NOT_NEWER = 0,
    GATE_PUSH_NOT_LOADED = -1,
    GATE_PUSH_BROKEN = -2, /* the register is no hash; conn->error */
    GATE_PUSH_FAILED = -3  /* Redis failed; conn->error */
};

/*
 * Pushes one product. row: as committed in MySQL (found = 0: only the stock is set from the register). options: flags
 * of enum gate_push.
 */
enum gate_pushed gate_push(struct redis_connection *conn, const struct product_row *row, unsigned options);

/* The stock that follows from the register, max(0, register_stock - in_flight). Pure. The product must be loaded. */
int64_t gate_expected_stock(const struct gate_product *product);

/*
 * Corrects the gate's count of products to `right`, if it is still `seen`, and its count of queued orders, if the queue
 * holds at most `most_entries`. Returns 1 where it corrected one, 0 where both were right, or -1 with conn->error set.
 */
int gate_correct_counts(struct redis_connection *conn, int64_t seen, int64_t right, uint64_t most_entries);

#endif
