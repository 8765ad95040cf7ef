/*
 * A thread that looks for changes in the lives of orders again and again, and makes them: payment.h and expiry.h are
 * its two kinds, and each process has one of both. Any number of processes may do the same work at once.
 *
 * The sale goes first: while this process turns jobs into orders, each batch is followed by a rest of several times as
 * long.
 *
 * The thread ends when the stop is asked for, after the batch in hand. What it owns is freed by life_thread_join().
 */
#ifndef CHECKOUT_LIFE_THREAD_H
#define CHECKOUT_LIFE_THREAD_H

#include <pthread.h>
#include <stdatomic.h>

#include "config.h"
#include "life.h"
#include "redis_conn.h"
#include "stop.h"

struct life_thread;

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
    unsigned passed_over;            /* orders that MySQL refuses to change */
};

/* Returns 0, or an error number. */
int life_thread_start(struct life_thread *t, const struct life_kind *kind, const struct config *config);
void life_thread_join(struct life_thread *t);

/* Gives the thread's batch the rules of the configuration, and empties it. */
void life_thread_begin(struct life_thread *t);

/* After a commit: tells the gate, logs and counts what became of the batch. */
void life_thread_committed(struct life_thread *t);

#endif
