/*
 * Brings one product at the gate to its row in MySQL, under the row's lock.
 *
 * A register of the same version with other content means that somebody changed the row by hand. Then MySQL's version
 * is raised over Redis's before it is pushed, so that a register's version always comes from a committed row. The same
 * heals a register whose fields are no numbers.
 *
 * A register that is newer than MySQL means that MySQL lost commits. Then nothing is written, and the product's
 * recovery begins (redis/loss.h, repair/recovery.h); the same where it is under way.
 *
 *   BEGIN -> lock the row -> inspect (Redis) -> raise the version if needed -> under_lock() -> COMMIT -> push (Redis)
 *
 * Two calls of Redis can happen while the row is locked: inspect, always; and push, only to load a product that has no
 * register, from a row that this transaction has not changed. All other pushes of sync_product() follow COMMIT, when no
 * lock is held: the register takes the newer version only. sync_close_gone() calls Redis under the lock of a row that
 * is not there.
 *
 * Blocks up to [mysql] timeout for each statement, half of that for the lock, and for each call of Redis as
 * redis/connection.h says. While the row is locked, two calls of Redis and a handful of statements, nobody can commit
 * orders of the product.
 */
#ifndef CHECKOUT_WORKER_REPAIR_SYNC_H
#define CHECKOUT_WORKER_REPAIR_SYNC_H

#include "mysql/db.h"
#include "redis/gate.h"

enum sync_result {
    SYNC_PUSHED,       /* committed; the gate now has what MySQL has */
    SYNC_UP_TO_DATE,   /* committed; it had it already */
    SYNC_NOT_LOADED,   /* no register, and options lack GATE_CREATE; what under_lock did is committed */
    SYNC_RECOVERING,   /* MySQL lost something of it; nothing was changed: it waits until that was recovered */
    SYNC_NO_PRODUCT,   /* MySQL has no such product; nothing was changed */
    SYNC_BROKEN,       /* committed; the register is no hash (conn->error) */
    SYNC_NOT_PUSHED,   /* committed, but the push failed (conn->error): the reconciler repeats it */
    SYNC_DB_FAILED,    /* db->error; rolled back, or the answer to COMMIT was lost */
    SYNC_REDIS_FAILED, /* conn->error, of inspect; rolled back */
    SYNC_UNCOUNTED     /* sync_load(): committed; not loaded, since what is in flight has to be counted (conn->error) */
};

/*
 * Called with the locked row inside the transaction, to change or book something; may set the row's new stock and
 * version. Anything but DB_OK rolls back, and sync_product() returns SYNC_DB_FAILED.
 */
typedef enum db_result (*sync_under_lock)(struct db *db, struct product_row *row, void *data);

/*
 * Does what the head of this file says. db: has no transaction open; it is connected where it is closed. options: flags
 * of enum gate_push. under_lock: may be NULL; data is handed to it. Returns any enum sync_result.
 *
 * *row: filled in here. After SYNC_DB_FAILED and SYNC_REDIS_FAILED only its id means anything; after SYNC_NO_PRODUCT
 * its `found` is 0; after any other result it is the row as committed.
 *
 * Where under_lock() has changed a product that is to be loaded, a second transaction without it loads what the first
 * has committed; the result, and what *row holds, are then of the second.
 */
enum sync_result sync_product(struct db *db, struct redis_connection *conn, uint64_t id, unsigned options,
                              sync_under_lock under_lock, void *data, struct product_row *row);

/*
 * sync_product() with GATE_CREATE, for who loads many products. A product whose register went, while orders of it were
 * in flight, has to be counted before it is loaded. sync_product() makes a pass over the queue for that, with no lock
 * held; here the caller makes one for all. count: NULL, or such a pass (gate_load()). Returns SYNC_UNCOUNTED where
 * there is none, or the queue moves too fast for it.
 */
enum sync_result sync_load(struct db *db, struct redis_connection *conn, uint64_t id, sync_under_lock under_lock,
                           void *data, struct product_row *row, struct in_flight *count);

/* Returns 1 where the register contradicts the row, so that only a raised version can be pushed, else 0. Pure. */
int sync_must_raise(const struct gate_product *gate, const struct product_row *row);

/* Returns 1 where the register is later than the row, or is being recovered, else 0. Pure. */
int sync_must_recover(const struct gate_product *gate, const struct product_row *row);

/*
 * For a product that seems to be deleted from MySQL: reads it again under lock, and where it is gone closes it at the
 * gate (gate_close_gone()). The call of Redis happens inside the transaction, which writes nothing and is rolled back.
 * Returns SYNC_PUSHED: closed; SYNC_UP_TO_DATE: it is there, or is not at the gate; SYNC_DB_FAILED: nothing was done;
 * SYNC_REDIS_FAILED: it is closed or it is not, do it again.
 */
enum sync_result sync_close_gone(struct db *db, struct redis_connection *conn, uint64_t id);

#endif
