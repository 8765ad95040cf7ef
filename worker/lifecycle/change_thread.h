/*
 * A thread that looks for due changes of orders again and again, and makes them, a batch in one transaction. It has two
 * kinds, lifecycle/payments.h and lifecycle/expiry.h; each process runs one thread of both. Any number of processes may
 * do the same work at once.
 *
 * Sales come first: while this process turns entries of the queue into orders, a pause of several times its length
 * follows each batch.
 *
 * The main thread starts and joins it. The thread alone uses its connections, buffers and batch; `ended` is the one
 * field that others may read meanwhile. It ends when the stop is requested (base/stop.h), after the batch in hand.
 */
#ifndef CHECKOUT_WORKER_LIFECYCLE_CHANGE_THREAD_H
#define CHECKOUT_WORKER_LIFECYCLE_CHANGE_THREAD_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/backoff.h"
#include "base/config.h"
#include "lifecycle/change.h"
#include "order/identifier.h"
#include "redis/connection.h"

struct change_thread;

/*
 * A transaction waits at most a second for one lock: whoever holds an order or a product for longer (a person's
 * session, for example; the project's own are shorter) must not hold up all others.
 */
#define CHANGE_START_TRANSACTION "SET SESSION innodb_lock_wait_timeout = 1; START TRANSACTION"

/* How one round of a thread ended: it looks for due changes, and makes one batch of them. */
enum change_round {
    CHANGE_ROUND_DONE,     /* a batch was committed; there may be more */
    CHANGE_ROUND_EMPTY,    /* nothing was due */
    CHANGE_ROUND_CONFLICT, /* another session was first (DB_AGAIN): the next round follows at once */
    CHANGE_ROUND_FAILED    /* the reason is in db.error */
};

struct change_thread_kind {
    const char *name;                                    /* in log lines and stock movements */
    enum change_round (*round)(struct change_thread *t); /* blocks on MySQL and Redis; need not roll back */
    unsigned idle_ms;                                    /* pause after an empty round */
    unsigned pause_factor; /* during a sale the pause after a batch is so many times as long as the batch took */
};

#define PAY_BY_MAX 32

/* How far expiry has looked through the overdue orders, which it takes by (pay_by, identifier). */
struct expiry_pass {
    char after_time[PAY_BY_MAX], after[CHECKOUT_IDENTIFIER_LEN + 1]; /* the last one that it is done with; "": none */
    char last_time[PAY_BY_MAX], last[CHECKOUT_IDENTIFIER_LEN + 1];   /* of the candidates in hand */
    size_t passed_over, changed;                                     /* in this pass, up to its first end */
    unsigned wait_ms;  /* from the end of a pass that passed over some to the next; 0: it passed over none */
    uint64_t again_ms; /* when the next begins at the front, by clock_ms(); 0: this one is under way */
};

struct change_thread {
    const struct change_thread_kind *kind;
    const struct config *config; /* not owned */
    pthread_t thread;
    int started;
    atomic_int ended;
    struct redis_connection redis;
    struct redis_args args;
    struct db db;
    struct backoff backoff;
    struct change_batch *batch; /* the changes in hand */
    struct buffer sql;
    struct buffer told;     /* statements that delete the notices of changes that the gate was told of */
    uint64_t batches_seen;  /* batches of new orders that this process had settled at the last round */
    unsigned singly;        /* rounds left that take one change each, after MySQL refused a larger batch */
    unsigned failure_score; /* of failed rounds in a row, see change_thread_is_stuck() */

    unsigned rounds_locked;  /* expiry: rounds in a row that found every candidate locked */
    struct expiry_pass pass; /* expiry: how far it has looked */
    int waiting_first;       /* payments: this round began with the events that wait for another try */
    int settings_written;    /* payments: table `settings` holds this process's configuration */
};

/*
 * config must outlive the thread. Returns 0, or an error number of errno.h; change_thread_join() is right after both.
 */
int change_thread_start(struct change_thread *t, const struct change_thread_kind *kind, const struct config *config);

/* Waits for the thread's end and frees what it owned. The stop must have been requested. */
void change_thread_join(struct change_thread *t);

/* --- for the kinds, in the thread itself -------------------------------------------------------------------------- */

/* Empties the batch and gives it the configured rules. Does not block. */
void change_thread_begin_batch(struct change_thread *t);

/*
 * Call it once after every failed round, with its result; db.code is the error's number. Returns 1 when rounds failed
 * for so long that one change of the batch may be the cause: a lock that somebody keeps, an error that is not known to
 * be the server's, a conflict that is lost each time. The caller then takes changes one by one and leaves the one that
 * fails for later. Returns 0 otherwise, and always for errors that are certainly the server's. Does not block.
 */
int change_thread_is_stuck(struct change_thread *t, enum db_result result);

/* Commits, as db_run() does; notices that the gate was told of go with it (lifecycle/gate_notice.h). */
enum db_result change_thread_commit(struct change_thread *t);

/*
 * Call it after a commit: counts and logs the outcomes of the batch, and informs the gate (lifecycle/transition.h;
 * blocks).
 */
void change_thread_committed(struct change_thread *t);

#endif
