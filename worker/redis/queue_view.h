/*
 * Looking at the queue and at the dead letters: entry by entry, or as a list of the orders in them.
 */
#ifndef CHECKOUT_WORKER_REDIS_QUEUE_VIEW_H
#define CHECKOUT_WORKER_REDIS_QUEUE_VIEW_H

#include <hiredis/hiredis.h>

#include "base/identifier_table.h"
#include "order/identifier.h"
#include "redis/connection.h"

typedef void (*key_maker)(struct redis_args *args);

/* Called with { id, fields }; the entry lives until it returns. 0: go on, 1: enough. */
typedef int (*queue_visit)(const redisReply *entry, void *data);

/* Walks a stream from its oldest entry, in pages. Returns 0, or -1 with conn->error set. */
int queue_view_walk(struct redis_connection *conn, key_maker stream, queue_visit visit, void *data);

/* An order that waits, in the queue or among the dead letters. */
struct queued_order {
    char identifier[CHECKOUT_IDENTIFIER_LEN + 1];
    uint64_t product, user;
    uint32_t quantity;
};

/* All orders that wait, and the units in flight by product. Zero-initialised is empty. */
struct queue_view {
    struct queued_order *orders;
    size_t count, capacity;
    struct identifier_table by_identifier;        /* the first order of each */
    struct queue_units {
        uint64_t product;
        int64_t units;                       /* as the entries say, also those that do not read as jobs */
    } *units;                                /* by product, ascending */
    size_t units_count, units_capacity;
    uint64_t unreadable;                     /* entries that do not read as jobs */
};

/*
 * Reads both streams anew, the queue first. An order that moves from the queue to the dead letters meanwhile is in
 * the view. Returns 0, or -1 with conn->error set.
 */
int queue_view_read(struct redis_connection *conn, struct queue_view *view);

/* Returns the order, or NULL. */
const struct queued_order *queue_view_find(const struct queue_view *view, const char *identifier);

int64_t queue_view_units(const struct queue_view *view, uint64_t product);

void queue_view_free(struct queue_view *view);

#endif
