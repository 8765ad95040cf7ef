/*
 * A consumer: one thread that takes batches off the queue and gives every order its verdict.
 *
 *   JOIN ──► READ ──► FILL ──► COMMIT ──► SETTLE ─┐
 *     ▲▲       ▲▲       │          │              │
 *     ││       │└───────┴── reply worked off ◄────┘
 *     │└───────┴─ Redis failed     │
 *     └──────── AWAY ◄─────────────┴ no MySQL for HAND_BACK_MS, and another worker has it
 *
 * Own entries are read again from the first after joining, after a settle that failed or settled less than the batch
 * holds, and some seconds after the last pass over them: while a consumer runs, only what it set aside stays pending
 * for it, and such a pass passes over that.
 *
 * Where a check fails (intake/batch_check.h: in COMMIT before the rows are written, or in SETTLE before the call), the
 * entries of the batch make a batch each, FILL to SETTLE, up to `alone_until`; one for which a check fails again is set
 * aside and stays pending. Where the list of these is full (intake/set_aside.h), a pass over own entries stops at the
 * next one that fails, and the next pass goes on behind it: new orders do not wait for them.
 *
 * Where another session holds a product's row locked for longer than a batch waits (intake/locked_products.h), the
 * batch is filled again without the entries of that product, and so is each one after it: they are set aside, too. When
 * the row is free, own entries are read again.
 *
 * Entries of a product that is being recovered (redis/loss.h) stay pending too: they are passed over until it is not,
 * then own entries are read again.
 *
 * A consumer that cannot reach MySQL for HAND_BACK_MS while another one's heartbeat says that it can leaves the group,
 * so that its entries are free at once, and joins again when MySQL answers. Where nobody can, everybody keeps what he
 * has. An idle one asks MySQL now and then, and reads nothing while it does not answer.
 *
 * What it has in hand stands in Redis from the begin of the transaction (MySQL answers) to its end, so that a death is
 * counted to these entries and to no others (heartbeat.lua). Suspects (intake/suspects.h) are left pending, and tried
 * one by one when nothing else is there, or now and then.
 *
 * Nothing is read while a batch is in hand, so an outage of MySQL stops the reading and nothing else; one exception
 * is a small batch that fails for no known reason: it is widened, to see whether other orders can be committed. Every
 * wait ends when the stop is requested; what is not settled then stays in the queue for others. While this thread
 * waits, observe/heartbeat.h sends its heartbeats, and its leave after it has ended.
 */
#ifndef CHECKOUT_WORKER_INTAKE_CONSUMER_H
#define CHECKOUT_WORKER_INTAKE_CONSUMER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/backoff.h"
#include "base/config.h"
#include "base/log_limit.h"
#include "intake/batch.h"
#include "intake/locked_products.h"
#include "intake/order_transaction.h"
#include "intake/set_aside.h"
#include "intake/suspects.h"
#include "observe/consumer_status.h"
#include "observe/peers.h"
#include "redis/connection.h"
#include "redis/stream.h"

enum consumer_state {
    CONSUMER_JOIN,   /* becoming known to the group; then its own unsettled entries come first */
    CONSUMER_READ,   /* waiting for entries: own, of dead consumers, new */
    CONSUMER_FILL,   /* making a batch from the entries read */
    CONSUMER_COMMIT, /* the transaction */
    CONSUMER_SETTLE, /* the settle call to Redis */
    CONSUMER_AWAY,   /* what it held was handed back; waiting for MySQL */
    CONSUMER_END
};

struct consumer {
    const struct config *config;    /* not owned */
    struct consumer_status *status; /* not owned */
    struct peers *peers;            /* not owned */
    pthread_t thread;
    atomic_int ended; /* 1: the thread has closed its connection to MySQL and is about to return; it may be joined */

    enum consumer_state state;
    struct redis_connection redis;
    struct db db;
    struct order_transaction tx;
    struct batch batch;
    struct redis_args args;
    struct backoff backoff;

    redisReply *reply; /* what entries point into; owned */
    struct stream_entries entries;
    size_t next;                /* entries before it are in the batch in hand, or ended */
    size_t first;               /* of the batch in hand: entries first .. next - 1 */
    size_t alone_until;         /* entries before it make a batch each, after a check failed for all of them */
    struct set_aside set_aside; /* entries for which a check failed alone, or whose product is locked */
    struct locked_products locked;
    struct suspects suspects; /* as the last heartbeat told */
    uint64_t suspect_ms;      /* when to try one, by clock_ms(), also where there are other entries */
    int is_suspect;           /* the reply in hand is one, read to be tried */
    int is_idle;              /* the last read found no new entry */
    struct buffer in_hand;    /* ids of the batch in hand, for its mark in Redis */
    int is_marked;            /* the batch in hand is marked there */
    int has_joined;           /* the process's first heartbeat was sent */
    int own_pending;          /* a pass over own unsettled entries is under way */
    char own_after[48];       /* the pass goes on behind this entry; "0" at first */
    int own_stopped;          /* the last pass stopped there, and the next one goes on */
    uint64_t own_ended_ms;    /* when the last pass ended or stopped */
    int is_own;               /* the reply in hand is of such a pass */
    struct log_limit divided_lines, set_aside_lines, locked_lines;
    uint64_t last_heartbeat_ms;
    char strays_after[48]; /* where the next heartbeat looks for entries that are pending for nobody */
    int paused;            /* by checkoutctl, as of the last heartbeat */
    int64_t epoch;         /* of the gate, read before the entries in hand were */
    uint64_t *held;        /* products that are being recovered, ascending: their entries stay pending */
    size_t held_count, held_capacity;
    uint64_t held_looked_ms; /* when it was last looked which of them were recovered */
    double orders_per_entry; /* of the last ones, to read about one batch at a time */
};

/*
 * Starts the thread, which ends when the stop is requested and then sets `ended`. number: from 1, makes the name unique
 * in the process. config, status and peers must outlive the thread; status gets the name here, and then what the
 * consumer waits for. Returns 0, or an error number of pthread_create(3): there is no thread to join then, and
 * consumer_free() is right.
 */
int consumer_start(struct consumer *c, const struct config *config, unsigned number, struct consumer_status *status,
                   struct peers *peers);

/*
 * Frees what the consumer owns and closes its connection to Redis. The caller (checkout_worker.c) has joined c->thread
 * before, by pthread_join(3); there is no consumer_join().
 */
void consumer_free(struct consumer *c);

#endif
