/*
 * The queue for a consumer of the group: reading entries, heartbeats, taking over, moving unreadable entries away.
 *
 * Each call blocks up to [redis] timeout. The caller frees replies (freeReplyObject()). Times are milliseconds.
 * `consumer` is its name in the group.
 */
#ifndef CHECKOUT_WORKER_REDIS_STREAM_H
#define CHECKOUT_WORKER_REDIS_STREAM_H

#include "base/silence.h"
#include "redis/connection.h"
#include "text/buffer.h"

#define SILENT_NAME_SIZE 160 /* with the NUL */

/* A consumer whose beat did not change for so long that it counts as dead; value: of that beat. */
struct silent_consumer {
    char name[SILENT_NAME_SIZE];
    char value[SILENCE_VALUE_MOST + 1];
};

/* A heartbeat, and what it is to take over. Nothing is owned. */
struct heartbeat_call {
    const char *consumer;
    int reaches_mysql; /* 1: MySQL answered it last */
    int joins;         /* 1: the consumer's first call; what one of its name had in hand before counts as a death */
    uint64_t most;     /* entries to take over; 0: none */
    const char *strays_after; /* what stream_strays_after() gave for the last reply; "-": the first call */
    const struct silent_consumer *silent;
    size_t silent_count;
};

/* The entries in a reply of XREADGROUP (one stream) or heartbeat; 0 and NULL where there are none. */
struct stream_entries {
    redisReply **entries; /* point into the reply */
    size_t count;
};

/*
 * Reads up to `count` entries that no consumer has read yet; waits up to block_ms more for the first. Returns the reply
 * (nil: none came) or NULL with conn->error.
 */
redisReply *stream_read_new(struct redis_connection *conn, const char *consumer, uint64_t count, unsigned block_ms);

/*
 * The ids of up to `count` of the consumer's own entries that were read before and not settled, behind the entry
 * `after` ("0": from the first). Unlike a read, it does not make Redis count the time anew since which an entry is
 * pending. Returns the reply, an array with the id as first element of each (redis.io, "XPENDING"), or NULL with
 * conn->error.
 */
redisReply *stream_pending_own(struct redis_connection *conn, const char *consumer, uint64_t count, const char *after);

/*
 * Reads up to `count` of the consumer's own entries that were read before and not settled, behind the entry `after`
 * ("0": from the first). A deleted entry has nil in place of its fields. Returns as above, without nil.
 */
redisReply *stream_read_own(struct redis_connection *conn, const char *consumer, uint64_t count, const char *after);

/*
 * Renews the consumer's heartbeat and takes over up to `most` entries of the silent consumers (where they still are),
 * of those that left, and of strays, which are pending for nobody. Returns the reply (these entries, or a status where
 * the consumers are paused), or NULL with conn->error.
 */
redisReply *stream_heartbeat(struct redis_connection *conn, const struct heartbeat_call *call);

/* Renews the heartbeat ("": of nobody) and returns the reply with all beats, or NULL with conn->error. */
redisReply *stream_look(struct redis_connection *conn, const char *consumer, int reaches_mysql);

/* Ends the consumer: others may take over at once what it has not settled. Returns 0, or -1 with conn->error. */
int stream_leave(struct redis_connection *conn, const char *consumer);

/*
 * Says what the consumer has in hand, so that its death with it is counted (heartbeat.lua). ids: with spaces between
 * them; "": nothing. Returns 0, or -1 with conn->error.
 */
int stream_hold(struct redis_connection *conn, const char *consumer, const struct buffer *ids);

/* Moves an entry that cannot be read to the dead letters; reason is copied. Returns 0, or -1 with conn->error. */
int stream_bury(struct redis_connection *conn, const char *id, const char *reason);

/* Takes an entry off the pending list that was deleted from the queue. Returns 0, or -1 with conn->error. */
int stream_forget(struct redis_connection *conn, const char *id);

/* The entries in a reply of the calls above. Pure. */
struct stream_entries stream_entries_of_read(const redisReply *reply);
struct stream_entries stream_entries_of_heartbeat(const redisReply *reply);

/* The beats in a reply of stream_look(), name, value, …; NULL: it is none. Points into the reply. Pure. */
const redisReply *stream_beats(const redisReply *look);

/* Deaths in a reply of stream_heartbeat(), id, number, …; NULL: it tells none. Points into the reply. Pure. */
const redisReply *stream_deaths(const redisReply *heartbeat);

/* Where the next heartbeat goes on to look for strays; points into the reply. NULL: as before. Pure. */
const char *stream_strays_after(const redisReply *heartbeat);

#endif
