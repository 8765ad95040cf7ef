/*
 * What all steps of a rebuild share: its connections, what it found and counted, and what a step returns.
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
#include "redis/in_flight.h"
#include "redis/order_records.h"
#include "redis/queue_view.h"

#define REBUILD_PAYMENTS_NAMED 1000
#define REBUILD_TOKEN_LEN      16

/* The gate's record shows a payment that MySQL does not have. */
struct rebuild_payment {
    char identifier[CHECKOUT_IDENTIFIER_LEN + 1];
    uint64_t product, quantity;
    enum order_status gate, row; /* status in the record and in the row; ORDER_UNKNOWN: there is no row */
};

/* An accepted order that has a record, and seems to have neither a row nor a place in the queue. */
struct rebuild_lost {
    uint64_t product;
    unsigned char day; /* of the record's bucket, an index of days */
    char identifier[CHECKOUT_IDENTIFIER_LEN + 1];
};

/* Zero-initialised with db and redis set is a rebuild that has not begun. */
struct rebuild {
    struct db *db;                  /* not owned */
    struct redis_connection *redis; /* not owned */
    int dry_run;                    /* count, change nothing, leave the gate open */

    char token[REBUILD_TOKEN_LEN + 1]; /* gate.rebuild, as long as nobody else began one */
    struct rebuild_beat *beat;         /* says that this process lives; private to rebuild_gate.c */
    struct record_days days;
    struct queue_view waiting;
    struct rebuild_lost *lost;
    size_t lost_count, lost_capacity;
    uint64_t *ids; /* of all products in MySQL, ascending */
    size_t id_count;
    uint64_t *fenced; /* of them those that the fence closes, ascending */
    size_t fenced_count;
    struct in_flight units; /* of the fenced ones */
    uint64_t buyers_done;   /* the last product whose buyers an earlier rebuild counted that did not end; 0: none */

    uint64_t resumed;         /* 1: an earlier rebuild had not ended */
    uint64_t records;         /* read */
    uint64_t enqueued;        /* accepted orders without a row, back in the queue */
    uint64_t left;            /* orders with a verdict that MySQL lost: their products are being recovered */
    uint64_t tombstones;      /* failed orders whose row was missing, written again */
    uint64_t refused;         /* rows that MySQL refused for their data */
    uint64_t refreshed;       /* records that did not say what their row says */
    uint64_t unreadable;      /* records that are none */
    uint64_t payments;        /* that MySQL lost, kept as events again */
    uint64_t payments_unkept; /* the same, but their product is gone, or MySQL refuses them */
    struct rebuild_payment named[REBUILD_PAYMENTS_NAMED]; /* the first of both kinds */
    size_t named_count;
    uint64_t products;  /* loaded at the gate at the end */
    uint64_t loaded;    /* of them loaded by this rebuild */
    uint64_t corrected; /* of them with other stock, version, terms or units in flight */
    uint64_t uncounted; /* of them whose units in flight did not stand still: the reconciler counts them */
    uint64_t closed;    /* at the gate, not in MySQL */
    uint64_t buyers;    /* users counted here, of products with a limit; a worker may have counted the others */
};

enum rebuild_result {
    REBUILD_DONE,
    REBUILD_DB_FAILED,    /* db->error */
    REBUILD_REDIS_FAILED, /* redis->error */
    REBUILD_TAKEN_OVER,   /* another rebuild began meanwhile, this one was given up, or Redis was emptied */
    REBUILD_BUSY          /* another rebuild is under way (redis->error says whose); nothing was done */
};

/*
 * Reads a script's answer to a step and frees the reply (NULL: Redis failed). Returns REBUILD_DONE with *answer set,
 * REBUILD_REDIS_FAILED, or REBUILD_TAKEN_OVER for -1: the gate is held by another rebuild, or by none.
 */
enum rebuild_result rebuild_context_answer(const struct rebuild *r, redisReply *reply, int64_t *answer);

/* Frees what the rebuild owns; not its connections. */
void rebuild_context_free(struct rebuild *r);

#endif
