/*
 * Heartbeats: fields of the hash `workers`, one for each consumer of all processes (common/lua/heartbeat.lua).
 *
 *     <consumer>     "<ms>.<release><mysql>"  ms of Redis' clock, for workers of the release before and for people
 * alone; release: one digit, BEAT_RELEASE; mysql: 1 where MySQL answered last, or 0
 *                    "<ms>"                   of a worker of the release before: an old one
 *                    "0"                      it left, and what was pending for it is free
 *     paused             the operator's pause     lease:<task>  see redis/lease.h
 *     batch:<consumer>   what it has in hand      deaths        entries whose worker died: see heartbeat.lua
 *
 * Workers of the release before read each field as a number of ms and delete it once that is 60 s old by Redis' clock,
 * or at once where it is no number: nothing here may depend on it that a later beat, or another process, does not make
 * good.
 */
#ifndef CHECKOUT_WORKER_REDIS_BEATS_H
#define CHECKOUT_WORKER_REDIS_BEATS_H

#include "redis/connection.h"

#define BEAT_RELEASE   2  /* who writes this changes the counters of products (checkoutctl migrate --finish) */
#define BEATS_MOST     64 /* more are not looked at */
#define BEATS_NAME_LEN 160

struct beats {
    struct {
        char name[BEATS_NAME_LEN + 1]; /* of the consumer, cut off where it is longer */
        char value[32];
    } beats[BEATS_MOST];
    size_t count;
};

struct beat {
    int release;       /* of the worker: 1, or BEAT_RELEASE and above; 0: no worker's beat, or that of one which left */
    int reaches_mysql; /* 0: it does not, or does not say */
};

/* Returns 1 for a field that is a consumer's beat, 0 for another one of the hash. Pure. */
int beat_is_field(const char *field);

/* Reads the value of such a field. Pure. */
struct beat beat_read(const char *value);

/* Reads the old ones that are there now. Blocks for one call of Redis. Returns 0, or -1 with conn->error set. */
int beats_read_old(struct redis_connection *conn, struct beats *beats);

/* Is a field and its value an old heartbeat? Returns 1 or 0. Pure. */
int beats_is_old(const char *name, const char *value);

/* Returns the name of one in `now` that is new, or has another value than in `first`; NULL: none. Pure. */
const char *beats_find_changed(const struct beats *first, const struct beats *now);

#endif
