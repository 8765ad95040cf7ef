/*
 * Orders of one product for which the snapshot of MySQL does not say what the gate was told: those in the journal, in
 * flight, or with a notice. A part of repair/buyers_count.h, which has the rules. Owns its array; one thread's.
 */
#ifndef CHECKOUT_WORKER_REPAIR_BUYERS_ORDERS_H
#define CHECKOUT_WORKER_REPAIR_BUYERS_ORDERS_H

#include <stddef.h>
#include <stdint.h>

#include "mysql/db.h"
#include "order/identifier.h"
#include "redis/connection.h"
#include "redis/order_records.h"
#include "repair/buyers_sums.h"

enum buyers_record {
    BUYERS_NO_RECORD,
    BUYERS_RECORD_HOLDS,
    BUYERS_RECORD_ENDED
};

struct buyers_order {
    char identifier[CHECKOUT_IDENTIFIER_LEN + 1];
    uint64_t user;
    int64_t quantity;
    int in_flight, noticed;  /* user and quantity are those of the entry, else of the notice */
    int64_t notice_units;    /* sum of its notices */
    int64_t line;            /* of the journal, the last one; 0: not there */
    struct buyer_sum told;   /* by that line */
    int row_was_read, alike; /* alike: the row is the order that stands in the queue */
    struct buyer_sum row;    /* what the snapshot counts of it */
    enum buyers_record record;
    struct buyer_sum counted[2]; /* what the sums have of it by now; units 0: nothing */
};

/* Zero-initialised is empty. */
struct buyers_orders {
    struct buyers_order *all; /* identifiers ascending, distinct; not so while some were added */
    size_t count, capacity;
    struct record_days days; /* buckets that entries name */
};

/* Which orders of a product are collected; NULL: none are. Called back from buyers_orders_add_in_flight() alone. */
typedef struct buyers_orders *(*buyers_orders_find)(uint64_t product, void *data);

/* Adds those of the product's notices, from the caller's snapshot; pages by key. Returns as the statement does. */
enum db_result buyers_orders_add_notices(struct buyers_orders *orders, struct db *db, uint64_t product);

/*
 * Adds what stands in the queue and among the dead letters, of all products. An order that moves from one to the other
 * meanwhile is found: the letters are read before and after the queue. Pages; blocks for each up to [redis] timeout.
 * Returns 0, or -1 with redis->error.
 */
int buyers_orders_add_in_flight(struct redis_connection *redis, buyers_orders_find find, void *data);

/*
 * Adds the journal's lines behind *lines, and sets *lines to the last one. Returns 1, 0: a line is gone, so the hash
 * was lost; or -1 with redis->error.
 */
int buyers_orders_read_journal(struct buyers_orders *orders, struct redis_connection *redis, uint64_t product,
                               int64_t *lines);

/* Reads the rows of orders that were added since, from the caller's snapshot. Returns as the statement does. */
enum db_result buyers_orders_read_rows(struct buyers_orders *orders, struct db *db, uint64_t product);

/* Reads the records of the orders that are not in the journal. Returns 0, or -1 with redis->error. */
int buyers_orders_read_records(struct buyers_orders *orders, struct redis_connection *redis);

/* Corrects the sums by what is known now. changed: gets the users whose units changed, with what they are. Pure. */
void buyers_orders_correct(struct buyers_orders *orders, struct buyers_sums *sums, struct buyers_sums *changed);

/* Frees the memory; the list is empty then. */
void buyers_orders_free(struct buyers_orders *orders);

#endif
