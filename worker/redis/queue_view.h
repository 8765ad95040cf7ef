/*
 * Reading the queue and the dead letters without changing them: entry by entry, or as a list of the orders in them.
 */
#ifndef CHECKOUT_WORKER_REDIS_QUEUE_VIEW_H
#define CHECKOUT_WORKER_REDIS_QUEUE_VIEW_H

#include <hiredis/hiredis.h>

#include "base/identifier_table.h"
#include "order/identifier.h"
#include "redis/connection.h"

/* A function of redis/keys.h: which stream to read. */
typedef void (*key_maker)(struct redis_args *args);

/* Takes one entry, { id, fields }, which lives until it returns. Returns 0 to go on, 1 to end the walk. */
typedef int (*queue_visit)(const redisReply *entry, void *data);

/*
 * Walks a stream from its oldest entry, in pages of 256 entries; each is a call of Redis and blocks up to [redis]
 * timeout. Returns 0 at the end of the stream or of the walk, or -1 with conn->error set.
 */
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
    struct identifier_table by_identifier; /* the first order of each */
    struct queue_units {
        uint64_t product;
        int64_t units; /* the field of each entry, also of unreadable ones */
    } * units;         /* by product, ascending */
    size_t units_count, units_capacity;
    uint64_t unreadable;                  /* entries that queue_entry.h does not read */
    char queue_after[48], dead_after[48]; /* read up to these ids; private */
};

/*
 * Reads both streams anew, the queue first. An order that moves from the queue to the dead letters meanwhile is in
 * the view. Blocks as queue_view_walk() does. Returns 0, or -1 with conn->error set; the view then lacks entries.
 */
int queue_view_read(struct redis_connection *conn, struct queue_view *view);

/*
 * Reads on in both streams behind what was read before; what went away meanwhile stays in the view. So an entry that
 * was in a stream at any moment since queue_view_read() is in it, unless it came and went between two calls. Returns
 * and blocks as queue_view_read() does.
 */
int queue_view_read_on(struct redis_connection *conn, struct queue_view *view);

/* Returns the first order of that identifier, which lives until the view is read again or freed, or NULL. Pure. */
const struct queued_order *queue_view_find(const struct queue_view *view, const char *identifier);

/* The units in flight of a product, 0 where nothing of it waits. Pure. */
int64_t queue_view_units(const struct queue_view *view, uint64_t product);

/* Frees the memory; the view is empty then and may be read again. */
void queue_view_free(struct queue_view *view);

#endif
