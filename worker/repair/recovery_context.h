/*
 * What the parts of a recovery share: connections, the products that it recovers, the page of records in hand.
 *
 * One thread's; each part is a function in a file of its own. They return RECOVERY_FAILED where Redis or MySQL did
 * (db.error, redis.error): the pass ends, and another begins later.
 */
#ifndef CHECKOUT_WORKER_REPAIR_RECOVERY_CONTEXT_H
#define CHECKOUT_WORKER_REPAIR_RECOVERY_CONTEXT_H

#include "base/config.h"
#include "lifecycle/change.h"
#include "mysql/db.h"
#include "order/identifier.h"
#include "order/order.h"
#include "redis/connection.h"
#include "redis/lease.h"
#include "redis/order_records.h"

#define RECOVERY_PAGE 100 /* records of one page and one transaction; each may need two changes of its order */

enum recovery_result {
    RECOVERY_DONE,
    RECOVERY_FAILED,
    RECOVERY_LEFT /* the stop was requested, or another process has the lease */
};

struct recovered_product {
    uint64_t id;
    int proven;                   /* 1: version and stock are the register's as the loss was found */
    uint64_t version;             /* 0: records alone prove the loss, as is the next */
    int64_t stock;                /* units */
    int gone;                     /* MySQL once had no such product, so its row came anew */
    uint64_t remade, unexplained; /* records of this pass: made good; that could not be */
};

/* A record of the gate that says more than MySQL does. */
struct later_record {
    char identifier[CHECKOUT_IDENTIFIER_LEN + 1];
    struct checkout_order order;
    char status_text[RECORD_STATUS_MAX + 1], reason[RECORD_REASON_MAX + 1];
    enum order_status gate, row;       /* in the record, in the row; ORDER_UNKNOWN: there is no row */
    int seen;                          /* its row was read */
    struct recovered_product *product; /* NULL: it is not among those that are recovered */
};

struct recovery {
    const struct config *config; /* not owned */
    struct redis_connection redis;
    struct db db;
    struct lease lease;
    char owner[LEASE_OWNER_LEN + 1];
    struct change_batch *batch;

    struct recovered_product *products; /* ids ascending */
    size_t count, capacity;

    struct later_record page[RECOVERY_PAGE];
    size_t records;
    uint64_t read, remade, changed,
        rewritten; /* of this pass: records; orders made again, moved on, failures written */
};

/* The product of that id among those that are recovered, or NULL. Pure. */
struct recovered_product *recovery_find(const struct recovery *r, uint64_t id);

#endif
