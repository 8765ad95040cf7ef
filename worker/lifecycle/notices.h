/*
 * The sweep of the notices (lifecycle/gate_notice.h): one thread for each process tells the gate what was committed and
 * not told: its worker died, Redis was away, or nginx or checkoutctl changed the order and left the notice behind.
 *
 * Which notices are left behind is decided without a clock of a server: those with an id up to the greatest that this
 * process saw some seconds ago, by its own clock, and at its start all. They are told in the order of their ids, which
 * for one order is the order of its changes, so what one order was told is never ahead of itself; and by
 * common/lua/transition.lua, which may make records, so that a repeat finds it told. Any number of processes may sweep
 * at once; one of them, by lease, does it sooner than the others, to spare work.
 *
 * A notice without a record that is older than NOTICES_OLD_HOURS may have been told in a record that expired since (the
 * delete failed for that long). Its units are not moved: the buyers of its product are counted anew
 * (repair/buyers_count.h).
 *
 * The main thread starts and joins it; it alone uses its connections and buffers. It ends when the stop is requested,
 * after the page in hand.
 */
#ifndef CHECKOUT_WORKER_LIFECYCLE_NOTICES_H
#define CHECKOUT_WORKER_LIFECYCLE_NOTICES_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/backoff.h"
#include "base/config.h"
#include "lifecycle/plan.h"
#include "mysql/db.h"
#include "redis/connection.h"
#include "redis/lease.h"

#define NOTICES_PAGE      256 /* told by one call of Redis, deleted by one statement */
#define NOTICES_OLD_HOURS 12  /* well below the two days that records live */

struct notices {
    const struct config *config; /* not owned */
    pthread_t thread;
    atomic_int ended;
    struct redis_connection redis;
    struct redis_args args;
    struct db db;
    struct lease lease;
    struct backoff backoff;
    struct buffer sql;

    int began;        /* a first tick was made */
    uint64_t seen;    /* greatest id when it was last noted */
    uint64_t seen_ms; /* and when, by clock_ms() */
    uint64_t horizon; /* notices up to that id are left behind */
    uint64_t leased;  /* when the lease was asked for last, by clock_ms() */
    int holds_lease;

    /* The page in hand. */
    struct changed_order *orders;
    uint64_t ids[NOTICES_PAGE];
    unsigned char told[NOTICES_PAGE], old[NOTICES_PAGE];
    struct product_row products[NOTICES_PAGE];
    size_t count, product_count;
};

/* config must outlive the thread. Returns 0, or an error number of errno.h: do not join it then. */
int notices_start(struct notices *n, const struct config *config);

/* Waits for the thread's end and frees what it owned. The stop must have been requested. */
void notices_join(struct notices *n);

#endif
