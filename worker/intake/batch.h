/*
 * A batch: entries of the queue that one transaction and one settle call take, with their orders and products.
 *
 * Strings of entries and orders point into the reply that they were read from; the consumer owns that reply and keeps
 * it until the batch is settled. The arrays belong to the batch: batch_clear() keeps them for the next, batch_free()
 * frees them. Orders stand in the order of arrival, entry after entry; products ascend. Nothing here blocks; running
 * out of memory ends the process.
 */
#ifndef CHECKOUT_WORKER_INTAKE_BATCH_H
#define CHECKOUT_WORKER_INTAKE_BATCH_H

#include <hiredis/hiredis.h>
#include <stddef.h>
#include <stdint.h>

#include "mysql/product_row.h"
#include "order/identifier.h"
#include "order/order.h"
#include "redis/order_records.h"


enum verdict {
    VERDICT_NONE,     /* not decided yet */
    VERDICT_SOLD,     /* an order, new in this transaction */
    VERDICT_FAILED,   /* a tombstone, new in this transaction */
    VERDICT_EXISTS,   /* decided before, with the same content; nothing is written */
    VERDICT_CONFLICT, /* decided before with other content: that verdict stays, and this order is not made */
    VERDICT_DEAD      /* not even a tombstone could be written */
};

struct order {
    const char *identifier; /* 36 characters, checked */
    const char *record;
    size_t record_len;
    struct checkout_order asked;
    uint64_t accepted_ms;
    size_t entry, product; /* indexes in the batch */
    int repeated;          /* the gate counted its units for the buyer a second time */

    enum verdict verdict;
    char status[RECORD_STATUS_MAX + 1]; /* for the record; of a conflict: the existing order's */
    char reason[RECORD_REASON_MAX + 1]; /* empty: none */
    struct checkout_order existing;     /* of a conflict: what the existing order asked for */
    uint64_t existing_ms;               /* and when it was accepted, or committed */
};

struct entry {
    const char *id, *nonce, *day;
    uint64_t product_id;
    uint64_t units;
    size_t first_order, orders;
    size_t bucket; /* 1, 2 … in the order of days; neighbours of one day share it */
};

struct batch {
    struct entry *entries;
    size_t entry_count, entry_capacity;
    struct order *orders;
    size_t order_count, order_capacity;
    struct product_row *products; /* as the last commit left them; found = 0: nothing to push */
    size_t product_count, product_capacity;
};

/*
 * Adds one entry of the queue, as XREADGROUP and XCLAIM give it: { id, { field, value, … } }. Returns 0, or -1 with
 * *why (constant text) for an entry that the gate did not write; the batch is then as it was. reply stays the caller's.
 */
int batch_add(struct batch *batch, const redisReply *reply, const char **why);

/* Takes the entry that was added last off again; there is one. */
void batch_drop_last(struct batch *batch);

/* Fills in products, and each order's product and repeated, once all entries were added. */
void batch_complete(struct batch *batch);

/* Are the order's units taken off its buyer's count at the gate when it is settled? */
enum gives_back {
    GIVES_NOTHING_BACK,
    GIVES_BACK,
    GIVES_BACK_BY_RECORD /* record.lua decides, by the record before and the one after */
};


/* Returns one of them, by the order's verdict. Pure. */
enum gives_back batch_order_gives_back(const struct order *order);

/* Empties the batch and keeps its memory. */
void batch_clear(struct batch *batch);

/* Frees the memory; the batch is empty then and may be used again. */
void batch_free(struct batch *batch);

#endif
