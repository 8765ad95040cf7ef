/*
 * Brings one product at the gate to its row in MySQL, under the row's lock.
 *
 * A register that is newer than MySQL, or of the same version with other content, means that MySQL lost or
 * changed something (failover, restore, an edit by hand). Then MySQL's version is raised over Redis's before
 * it is pushed, so that a register's version always comes from a committed row. The same heals a register whose
 * fields are no numbers.
 */
#ifndef CHECKOUT_WORKER_REPAIR_SYNC_H
#define CHECKOUT_WORKER_REPAIR_SYNC_H

#include "mysql/db.h"
#include "redis/gate.h"

enum sync_result {
    SYNC_PUSHED,      /* the gate now has what MySQL has */
    SYNC_UP_TO_DATE,  /* it had it already */
    SYNC_NOT_LOADED,  /* no register, and options lack GATE_CREATE */
    SYNC_NO_PRODUCT,  /* MySQL has no such product */
    SYNC_BROKEN,      /* the register is no hash (conn->error); MySQL's part is committed */
    SYNC_NOT_PUSHED,  /* committed, but the push failed (conn->error): the reconciler repeats it */
    SYNC_DB_FAILED,   /* db->error; nothing was changed, or the answer to COMMIT was lost */
    SYNC_REDIS_FAILED /* conn->error; nothing was changed */
};

/*
 * Called with the locked row inside the transaction, to change or book something; may set the row's new stock and
 * version. Anything but DB_OK rolls back.
 */
typedef enum db_result (*sync_under_lock)(struct db *db, struct product_row *row, void *data);

/*
 * Runs a transaction of its own on db, which must have none open, and calls Redis while the row is locked. options:
 * flags of enum gate_push. under_lock may be NULL; data is handed to it. *row is what was committed.
 */
enum sync_result sync_product(struct db *db, struct redis_connection *conn, uint64_t id, unsigned options,
                              sync_under_lock under_lock, void *data, struct product_row *row);

/* Returns 1 where the register contradicts the row, so that only a raised version can be pushed, else 0. Pure. */
int sync_must_raise(const struct gate_product *gate, const struct product_row *row);

/*
 * For a product that seems to be deleted from MySQL: reads it again under lock, and where it is gone closes it at the
 * gate with a stock of 0. Returns SYNC_PUSHED: closed; SYNC_UP_TO_DATE: it is there, or is not at the gate; or a
 * failure.
 */
enum sync_result sync_close_gone(struct db *db, struct redis_connection *conn, uint64_t id);

#endif
