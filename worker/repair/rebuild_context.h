/*
 * What all steps of a rebuild share: its connections, what it counted, and what a step returns.
 *
 * A step is one function in a file of its own (rebuild_records.h, …); repair/rebuild.h runs them in their order. Each
 * step blocks on Redis and MySQL, for minutes where there is much to compare, and belongs to the caller's thread.
 */
#ifndef CHECKOUT_WORKER_REPAIR_REBUILD_CONTEXT_H
#define CHECKOUT_WORKER_REPAIR_REBUILD_CONTEXT_H

#include "lifecycle/rules.h"
#include "mysql/db.h"
#include "order/identifier.h"
#include "redis/connection.h"
#include "redis/queue_view.h"

#define REBUILD_PAYMENTS_NAMED 1000

/* The gate's record shows a payment that MySQL does not have. */
struct rebuild_payment {
    char identifier[CHECKOUT_IDENTIFIER_LEN + 1];
    uint64_t product, quantity;
    enum order_status gate, row; /* status in the record and in the row; ORDER_UNKNOWN: there is no row */
};

/* Zero-initialised with db and redis set is a rebuild that has not begun. */
struct rebuild {
    struct db *db;                  /* not owned */
    struct redis_connection *redis; /* not owned */
    int dry_run;                    /* count, change nothing, leave the gate open */
    char token[33];
    struct queue_view waiting;

    uint64_t resumed;         /* 1: an earlier rebuild had not ended */
    uint64_t records;         /* read */
    uint64_t enqueued;        /* accepted orders without a row, back in the queue */
    uint64_t left;            /* orders with a verdict that MySQL lost: their products are being recovered */
    uint64_t tombstones;      /* failed orders whose row was missing, written again */
    uint64_t refused;         /* rows that MySQL refused for their data */
    uint64_t refreshed;       /* records that fell behind their row */
    uint64_t unreadable;      /* records that are none */
    uint64_t payments;        /* that MySQL lost, kept as events again */
    uint64_t payments_unkept; /* the same, but their product is gone, or MySQL refuses them */
    struct rebuild_payment named[REBUILD_PAYMENTS_NAMED]; /* the first of both kinds */
    size_t named_count;
    uint64_t products;  /* loaded at the gate at the end */
    uint64_t loaded;    /* of them loaded by this rebuild */
    uint64_t corrected; /* of them with other stock, version, terms or units in flight */
    uint64_t closed;    /* at the gate, not in MySQL */
    uint64_t buyers;    /* users counted, of products with a limit */
};

enum rebuild_result {
    REBUILD_DONE,
    REBUILD_DB_FAILED,    /* db->error; the gate stays closed */
    REBUILD_REDIS_FAILED, /* redis->error; the gate stays closed */
    REBUILD_TAKEN_OVER,   /* another rebuild began meanwhile, or Redis was emptied */
    REBUILD_BUSY          /* orders of one product were settled faster than they could be counted */
};

/*
 * Reads a script's answer to a step and frees the reply (NULL: Redis failed). Returns REBUILD_DONE with *answer set,
 * REBUILD_REDIS_FAILED, or REBUILD_TAKEN_OVER for -1: the fence is held by another rebuild.
 */
enum rebuild_result rebuild_context_answer(const struct rebuild *r, redisReply *reply, int64_t *answer);

#endif
