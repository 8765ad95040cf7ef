/*
 * A thread that looks for changes in the lives of orders again and again, and makes them: lifecycle/payments.h and lifecycle/expiry.h are
 * its two kinds, and each process has one of both. Any number of processes may do the same work at once.
 *
 * The sale goes first: while this process turns jobs into orders, each batch is followed by a rest of several times as
 * long.
 *
 * The thread ends when the stop is asked for, after the batch in hand. What it owns is freed by life_thread_join().
 */
#ifndef CHECKOUT_WORKER_LIFECYCLE_CHANGE_THREAD_H
#define CHECKOUT_WORKER_LIFECYCLE_CHANGE_THREAD_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/config.h"
#include "lifecycle/change.h"
#include "redis/connection.h"
#include "base/stop.h"

struct life_thread;

/*
 * Neither thread waits longer than a second for one lock: whoever holds an order or a product for longer than that must
 * not hold up all the others. (A session of a person, for example; those of the project are shorter.)
 */
#define LIFE_START_TRANSACTION "SET SESSION innodb_lock_wait_timeout = 1; START TRANSACTION"

enum life_look {
    LIFE_LOOK_FOUND,       /* something was done, and there may be more */
    LIFE_LOOK_NOTHING,
    LIFE_LOOK_AGAIN,       /* lost against somebody else: look again at once */
    LIFE_LOOK_FAILED       /* db->error says why; the transaction was rolled back */
};

struct life_kind {
    const char *name;
    enum life_look (*look)(struct life_thread *t);
    unsigned idle_ms;      /* rest after a look that found nothing */
    unsigned rest_factor;  /* while there is a sale, the rest after a batch is so many times as long */
};

struct life_thread {
    const struct life_kind *kind;
    const struct config *config;     /* not owned */
    pthread_t thread;
    int started;
    atomic_int ended;
    struct redis_conn redis;
    struct redis_args args;
    struct db db;
    struct backoff backoff;
    struct life *life;
    struct buffer sql;
    unsigned turn;                   /* of the kind's own */
    uint64_t sold_batches;           /* of orders that this process had settled at the last look */
    int said_settings;
    unsigned alone;                  /* batches of one that are left, after MySQL refused a larger one */
    unsigned passed_over;            /* orders at the front that cannot be changed now */
    unsigned stuck;                  /* counts failed looks running, see life_thread_is_stuck() */
};

/* Returns 0, or an error number. */
int life_thread_start(struct life_thread *t, const struct life_kind *kind, const struct config *config);
void life_thread_join(struct life_thread *t);

/* Gives the thread's batch the rules of the configuration, and empties it. */
void life_thread_begin(struct life_thread *t);

/*
 * To be asked once after every look that failed. 1: it went on for so long that one of the batch may be the cause (a lock
 * that somebody keeps, an error that MySQL's list of environmental ones does not hold, a race that is always lost), so
 * they are to be looked at one by one, and the one that fails is left for later. What is the server's for certain is
 * never taken for that.
 */
int life_thread_is_stuck(struct life_thread *t, enum db_result result);

/* After a commit: tells the gate, logs and counts what became of the batch. */
void life_thread_committed(struct life_thread *t);

#endif
