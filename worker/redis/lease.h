/*
 * A lease: a task that one process at a time does for all of them. It stands in the hash `workers` of Redis, field
 * `lease:<task>`, as "<owner> <number>"; each renewal changes the number. Whoever sees it unchanged for LEASE_SILENT_MS
 * by his own clock takes it over (lease.lua, base/silence.h).
 *
 * A lease spares work; it excludes nobody for certain: an owner that was suspended does not know that it lost it, and
 * workers of the release before delete it with each heartbeat. So two processes may do the task at once, and the task
 * must bear that.
 */
#ifndef CHECKOUT_WORKER_REDIS_LEASE_H
#define CHECKOUT_WORKER_REDIS_LEASE_H

#include "base/silence.h"
#include "redis/connection.h"

#define LEASE_SILENT_MS 10000
#define LEASE_RENEW_MS  3000 /* call lease_hold() at least so often while the task is done */
#define LEASE_OWNER_LEN 64

struct lease {
    const char *task; /* a word; not owned */
    char owner[LEASE_OWNER_LEN + 1];
    uint64_t calls;
    struct silence others;
};

/* name: of this process, for the operator; a random suffix makes it unique. Does not block. */
void lease_init(struct lease *lease, const char *task, const char *name);

/*
 * Takes the lease, or renews it. Blocks up to [redis] timeout. Returns 1: the task is this process's until
 * LEASE_SILENT_MS after this call; 0: another one has it; -1: Redis failed, conn->error says why.
 */
int lease_hold(struct lease *lease, struct redis_connection *conn);

/* Gives it back, so that another process takes it at once. Blocks up to [redis] timeout; a failure does no harm. */
void lease_give_back(struct lease *lease, struct redis_connection *conn);

#endif
