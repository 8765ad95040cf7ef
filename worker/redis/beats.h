/*
 * Heartbeats in the hash `workers` that are of a worker of the release before: it writes a bare number of milliseconds
 * under its consumer's name. Workers of this release write a point and their release behind it (heartbeat.lua), which
 * those before read as the same time; other fields (the pause, leases) have names or values of other forms.
 */
#ifndef CHECKOUT_WORKER_REDIS_BEATS_H
#define CHECKOUT_WORKER_REDIS_BEATS_H

#include "redis/connection.h"

#define BEATS_MOST     64 /* more are not looked at */
#define BEATS_NAME_LEN 160

struct beats {
    struct {
        char name[BEATS_NAME_LEN + 1]; /* of the consumer, cut off where it is longer */
        char value[32];
    } beats[BEATS_MOST];
    size_t count;
};

/* Reads those that are there now. Blocks for one call of Redis. Returns 0, or -1 with conn->error set. */
int beats_read_old(struct redis_connection *conn, struct beats *beats);

/* Is a field and its value such a heartbeat? Returns 1 or 0. Pure. */
int beats_is_old(const char *name, const char *value);

/* Returns the name of one in `now` that is new, or has another value than in `first`; NULL: none. Pure. */
const char *beats_find_changed(const struct beats *first, const struct beats *now);

#endif
