/*
 * The queue as a consumer sees it: reading entries, heartbeats, taking over, burying what is no job.
 *
 * Replies are owned by the caller (freeReplyObject). Times are milliseconds.
 */
#ifndef CHECKOUT_WORKER_REDIS_STREAM_H
#define CHECKOUT_WORKER_REDIS_STREAM_H

#include "redis/connection.h"

/* The entries in a reply of XREADGROUP (one stream) or heartbeat; 0 and NULL where there are none. */
struct stream_entries {
    redisReply **entries;   /* point into the reply */
    size_t count;
};

/*
 * Entries that nobody has read yet; waits up to block_ms for the first. Returns the reply (nil: none came) or NULL
 * with conn->error.
 */
redisReply *stream_read_new(struct redis_connection *conn, const char *consumer, uint64_t count, unsigned block_ms);

/* The consumer's own entries that were read but never settled, behind the entry `after` ("0": from the first). */
redisReply *stream_read_own(struct redis_connection *conn, const char *consumer, uint64_t count, const char *after);

/* Says "alive" and takes over up to `most` entries of dead consumers; the reply holds them. */
redisReply *stream_heartbeat(struct redis_connection *conn, const char *consumer, unsigned dead_after, uint64_t most);

/* Forgets the consumer: what it has not settled is free for others at once. 0, or -1 with conn->error. */
int stream_leave(struct redis_connection *conn, const char *consumer, unsigned dead_after);

/* Moves an entry that is no job to the dead letters. 0, or -1 with conn->error. */
int stream_bury(struct redis_connection *conn, const char *id, const char *reason);

/* Takes an entry off the pending list that is gone from the queue itself. 0, or -1 with conn->error. */
int stream_forget(struct redis_connection *conn, const char *id);

struct stream_entries stream_entries_of_read(const redisReply *reply);
struct stream_entries stream_entries_of_heartbeat(const redisReply *reply);

#endif
