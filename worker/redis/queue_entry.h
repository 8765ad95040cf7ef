/*
 * One entry of the queue, decoded: the form in which the script place_order writes it (common/lua/place_order.lua).
 *
 *   nonce    chosen anew for each entry
 *   product  the product of all its orders
 *   units    the sum of their quantities
 *   count    how many orders
 *   day      the bucket of their records, "2026-11-21"
 *   orders   <identifier> <record> <identifier> <record> …, divided by single spaces (order/order.h: a record)
 *
 * Pure: nothing here allocates, blocks or logs. What is decoded points into the reply, which the caller owns and keeps.
 */
#ifndef CHECKOUT_WORKER_REDIS_QUEUE_ENTRY_H
#define CHECKOUT_WORKER_REDIS_QUEUE_ENTRY_H

#include <hiredis/hiredis.h>
#include <stddef.h>
#include <stdint.h>

#include "order/order.h"

#define QUEUE_ENTRY_ORDERS_MAX 1024 /* an entry with more orders was not written by the gate */
#define QUEUE_ENTRY_NONCE_MAX  64

struct queue_entry {
    const char *id, *nonce, *day;
    uint64_t product_id;
    uint64_t units;
    size_t orders; /* 1 .. QUEUE_ENTRY_ORDERS_MAX */

    const char *why;        /* after -1: what is wrong, constant text; else NULL */
    const char *next, *end; /* private to queue_entry_next_order(), as is the next line */
    size_t orders_read;
    uint64_t units_read;
};

struct queue_entry_order {
    const char *identifier; /* CHECKOUT_IDENTIFIER_LEN characters, checked; no NUL behind it */
    const char *record;
    size_t record_len;
    struct checkout_order asked;
    uint64_t accepted_ms;
};

/*
 * Reads everything but the orders of { id, { field, value, … } }, the form in which XREADGROUP, XRANGE and XCLAIM give
 * an entry. Returns 0, or -1 with entry->why for what the gate did not write.
 */
int queue_entry_read(struct queue_entry *entry, const redisReply *reply);

/*
 * Reads the next order of an entry. Returns 1 with *order filled in; 0 behind the last one, where count and units are
 * as the entry's fields have them; -1 with entry->why where they are not, or an order is none: then those read before
 * do not count.
 */
int queue_entry_next_order(struct queue_entry *entry, struct queue_entry_order *order);

/* The id of an entry of the form that queue_entry_read() takes. Never NULL; the reply must have that form. */
const char *queue_entry_id(const redisReply *reply);

/* The value of a field of such an entry, also of one that queue_entry_read() refuses. NULL: it has no such field. */
const char *queue_entry_field(const redisReply *reply, const char *name);

#endif
