/*
 * Rebuilding the gate from MySQL and from what survives in Redis, after Redis or MySQL lost data.
 *
 *   fence -> what waits -> records without a row -> products -> buyers -> counts, fence away
 *
 * The law. From the first step to the last the gate answers 503 to new orders, so nothing comes into the queue but
 * what the rebuild itself puts there. Workers go on: each step is right whatever they settle meanwhile,
 *   - because an order that was not in the queue under the fence cannot come into it by itself, and one
 *     that is enqueued twice all the same has one verdict, by its identifier;
 *   - because units in flight are counted and written in one script, from the entries themselves, so a
 *     settle comes wholly before it or wholly after;
 *   - because stock and terms are pushed by version, as in every other push;
 *   - because buyers are counted under the product's lock, when no verdict can be committed, and written only
 *     if the units in flight still are those that were counted.
 * Each step may be run again. Killed anywhere, the gate stays closed and the next rebuild starts anew; of two at
 * once the one that began last goes on, and the other is refused by the fence.
 *
 * Accepted orders that survive nowhere (queue, dead letters, records, MySQL) cannot be brought back.
 */
#ifndef CHECKOUT_WORKER_REPAIR_REBUILD_H
#define CHECKOUT_WORKER_REPAIR_REBUILD_H

#include "mysql/db.h"
#include "redis/queue_view.h"
#include "order/identifier.h"
#include "lifecycle/rules.h"
#include "redis/connection.h"

#define REBUILD_PAYMENTS_NAMED 1000

/* The gate knows that money came for an order, and MySQL does not. */
struct rebuild_payment {
    char identifier[CHECKOUT_IDENTIFIER_LEN + 1];
    uint64_t product, quantity;
    enum life_status gate, row;        /* what either says; LIFE_UNKNOWN: there is no row */
};

struct rebuild {
    struct db *db;                     /* not owned */
    struct redis_conn *redis;          /* not owned */
    int dry_run;                       /* count, change nothing, leave the gate open */
    char token[33];
    struct queue_view waiting;

    uint64_t resumed;                  /* 1: an earlier rebuild had not ended */
    uint64_t records;                  /* looked at */
    uint64_t enqueued;                 /* accepted orders without a row, back in the queue */
    uint64_t tombstones;               /* failed orders whose row was missing, written again */
    uint64_t refused;                  /* rows that MySQL refused for their data */
    uint64_t refreshed;                /* records that fell behind their row */
    uint64_t unreadable;               /* records that are none */
    uint64_t payments;                 /* that MySQL lost, kept as events again */
    uint64_t payments_unkept;          /* the same, but their product is gone, or MySQL refuses them */
    struct rebuild_payment named[REBUILD_PAYMENTS_NAMED];   /* the first of both kinds */
    size_t named_count;
    uint64_t products;                 /* loaded at the gate at the end */
    uint64_t loaded;                   /* of them loaded by this rebuild */
    uint64_t corrected;                /* of them with other stock, version, terms or units in flight */
    uint64_t closed;                   /* at the gate, not in MySQL */
    uint64_t buyers;                   /* users counted, of products with a limit */
};

enum rebuild_result {
    REBUILD_DONE,
    REBUILD_DB_FAILED,                 /* db->error; the gate stays closed */
    REBUILD_REDIS_FAILED,              /* redis->error; the gate stays closed */
    REBUILD_TAKEN_OVER,                /* another rebuild began meanwhile, or Redis was emptied */
    REBUILD_BUSY                       /* jobs of one product were settled faster than they could be counted */
};

enum rebuild_result rebuild_run(struct rebuild *r);
void rebuild_free(struct rebuild *r);

/* The steps, each in a file of its own. */
enum rebuild_result rebuild_records(struct rebuild *r);
enum rebuild_result rebuild_payment(struct rebuild *r, const struct rebuild_payment *payment);
enum rebuild_result rebuild_products(struct rebuild *r);
enum rebuild_result rebuild_buyers(struct rebuild *r);

/* A script's answer to a step: -1 means that the fence is held by another rebuild. Ends the reply. */
enum rebuild_result rebuild_answer(const struct rebuild *r, redisReply *reply, int64_t *answer);

#endif
