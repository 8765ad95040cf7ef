/*
 * Bringing the gate to what MySQL says of one product, under the product's lock.
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
    SYNC_PUSHED,          /* the gate now is what MySQL says */
    SYNC_UP_TO_DATE,           /* it was already */
    SYNC_NOT_LOADED,      /* no register, and options did not say GATE_CREATE */
    SYNC_NO_PRODUCT,      /* MySQL has no such product */
    SYNC_BROKEN,          /* the register is no hash (conn->error); MySQL's part is committed */
    SYNC_NOT_PUSHED,      /* committed, but Redis failed before it was told: the reconciler will (conn->error) */
    SYNC_DB_FAILED,       /* db->error; nothing was changed, or nobody knows */
    SYNC_REDIS_FAILED     /* conn->error; nothing was changed */
};

/*
 * Runs a transaction of its own. options: enum gate_push. under_lock, where given, is called with the
 * locked row inside the transaction (to change or to book something) and may set row's new stock and version;
 * its error ends all. *row is what was committed.
 */
typedef enum db_result (*sync_under_lock)(struct db *db, struct product_row *row, void *data);

enum sync_result sync_product(struct db *db, struct redis_connection *conn, uint64_t id, unsigned options,
                              sync_under_lock under_lock, void *data, struct product_row *row);

/* Does the register contradict the row, so that only a raised version can be pushed? Pure. */
int sync_must_raise(const struct gate_product *gate, const struct product_row *row);

/*
 * For a product that seems to be gone from MySQL: looks again under its lock; if it is, it is closed at the gate, with
 * nothing to sell. SYNC_PUSHED closed, SYNC_UP_TO_DATE it is there (or never was at the gate), or a failure.
 */
enum sync_result sync_close_gone(struct db *db, struct redis_connection *conn, uint64_t id);

#endif
