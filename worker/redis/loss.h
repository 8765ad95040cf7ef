/*
 * Has MySQL lost commits that the gate knows of (a replica without the last ones was promoted, a backup restored)?
 *
 * A register's version comes from a committed row, so it is never greater than the row's, unless commits are gone.
 * That counts as proof only under the row's lock and on a server that can be written: on a replica that lags the row is
 * merely late. And the proof must not erase itself: whoever is about to change a version asks here first.
 *
 * What keeps the answer right after it was given, so that a worker need not ask again for each batch:
 *   - Between a commit on a server and its push to the gate, that server may be replaced. A push that comes after the
 *     answer could then raise the register past the new server's rows, or take an order off the queue that the new
 *     server lacks, and the next commit would cover it up.
 *   - So each session of a worker, a thread of it or checkoutctl that moves units says which server it is on before it
 *     changes a version (loss_announce_session()). Another server than the last one raises the gate's epoch, and so
 *     does each recovery that begins.
 *   - A consumer reads the epoch before it reads entries, and settles them under that epoch alone (settle.lua). What
 * was committed on the old server is not settled after the new one was announced: the batch runs again, over a new
 *     session.
 *   - So under one session and one epoch, a register that was not greater than its row, once, under its lock, stays so:
 *     only commits of this server move it. struct loss_cache remembers these products, and the question is asked once
 *     for each product, session and epoch.
 * The edge (nginx) says it not: its cancellation reads the register first and compares under the row's lock, but where
 * it is the first to reach a new server, a settle of the old one may come between its question and its commit.
 * An operator who moves a version back by hand under a running session is not seen by this, but by the reconciler.
 *
 * Functions block up to [redis] timeout for each call, where one is made, and for a statement of MySQL.
 */
#ifndef CHECKOUT_WORKER_REDIS_LOSS_H
#define CHECKOUT_WORKER_REDIS_LOSS_H

#include "mysql/db.h"
#include "mysql/product_row.h"
#include "redis/connection.h"

#define LOSS_LOOK_MOST 256 /* products in one call of Redis */

/* Products of which no loss is known, for one session and epoch. Zero-initialised is empty; belongs to one thread. */
struct loss_cache {
    uint64_t session; /* db.sessions for which it holds */
    int64_t epoch;
    uint64_t *slots; /* a hash table of ids, 0 is free */
    size_t count, capacity;
};

/* Reads the gate's epoch. Returns 0, or -1 with conn->error set. */
int loss_read_epoch(struct redis_connection *conn, int64_t *epoch);

/*
 * Tells the gate on which server the session of db is, which is open (db_server.writable is set). Returns 0 and the
 * epoch, which may have been raised by this call; or -1 with conn->error set.
 */
int loss_announce(struct redis_connection *conn, const struct db *db, int64_t *epoch);

/*
 * The same where the gate was not told of this session yet (db->announced); else, and where the server need not be
 * writable, it does nothing. Call it before the first question about a version: an answer that is older than the
 * announcement may be overtaken by a push of what the server before had committed. loss_look() calls it itself. Returns
 * DB_OK, or DB_RETRY with db->error set (code 0): Redis failed.
 */
enum db_result loss_announce_session(struct redis_connection *conn, struct db *db);

/*
 * Asks of rows[0 .. n), ids ascending, which the caller has read under their locks in the transaction that is open on
 * db. Rows that were not found are passed over. closed[i] becomes 1 where the product is being recovered, also by this
 * call; the caller writes nothing of it. Returns DB_OK and the number of these, or DB_RETRY with db->error set: the
 * server is read-only, or Redis failed (code 0).
 */
enum db_result loss_look(struct db *db, struct redis_connection *conn, const struct product_row *rows, size_t n,
                         unsigned char *closed, size_t *count);

/* The same, but asks only of products that the cache does not know for the session of db and that epoch. */
enum db_result loss_look_cached(struct loss_cache *cache, int64_t epoch, struct db *db, struct redis_connection *conn,
                                const struct product_row *rows, size_t n, unsigned char *closed, size_t *count);

/*
 * The record of an order has a verdict that MySQL lacks, so MySQL lost something of the product, also where its version
 * has grown over the register's since. Begins the recovery under the product's lock, in a transaction of its own; none
 * is open on db, which may be closed. Returns DB_OK and *recovering (0: it is not loaded at the gate), or DB_RETRY,
 * DB_AGAIN or DB_POISON; code 0: Redis failed.
 */
enum db_result loss_by_records(struct db *db, struct redis_connection *conn, uint64_t product, int *recovering);

/* A pass over the records is due (repair/recovery.h): one is later than its row. Returns 0, or -1 with conn->error. */
int loss_ask_for_comparison(struct redis_connection *conn);

/* Which of ids[0 .. n), n <= LOSS_LOOK_MOST, are being recovered: recovering[i]. Returns 0, or -1 with conn->error. */
int loss_recovering(struct redis_connection *conn, const uint64_t *ids, size_t n, unsigned char *recovering);

void loss_cache_free(struct loss_cache *cache);

#endif
