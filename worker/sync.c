#include "sync.h"

#include <inttypes.h>
#include <string.h>

#include "failpoint.h"
#include "log.h"


int
sync_must_raise(const struct gate_product *gate, const struct product_row *row)
{
    if (gate->register_stock == GATE_MISSING) {
        return 0;
    }

    if (gate->version != (int64_t) row->version) {
        return gate->version > (int64_t) row->version;
    }

    return gate->register_stock != row->stock || !terms_equal(&gate->terms, &row->terms);
}


static enum db_result
raise_version(struct db *db, struct product_row *row, const struct gate_product *gate)
{
    struct buffer sql = { 0 };

    buffer_format(&sql, "UPDATE products SET version = %" PRId64 " WHERE id = %" PRIu64 " AND version = %" PRIu64,
                  gate->version + 1, row->id, row->version);

    enum db_result result = EFFECT("sync.raise", db_change_one_each(db, &sql, 1));

    buffer_free(&sql);

    if (result == DB_OK) {
        log_warn("event=version_raised product=%" PRIu64 " mysql_version=%" PRIu64 " redis_version=%" PRId64
                 " mysql_stock=%" PRId64 " redis_stock=%" PRId64,
                 row->id, row->version, gate->version, row->stock, gate->register_stock);
        row->version = (uint64_t) gate->version + 1;
    }

    return result;
}


/* The transaction. The register is read again here, under the lock, because it may have moved since. */
static enum sync_result
lock_and_raise(struct db *db, struct redis_conn *conn, unsigned options, sync_under_lock under_lock, void *data,
               struct product_row *row)
{
    struct gate_product gate = { .id = row->id };
    struct gate_counts counts;

    if (EFFECT("sync.begin", db_text(db, "START TRANSACTION")) != DB_OK || product_rows_read(db, row, 1, ROW_FOR_UPDATE) != DB_OK) {
        return SYNC_DB_FAILED;
    }

    if (!row->found) {
        return SYNC_NO_PRODUCT;
    }

    if (gate_inspect(conn, &gate, 1, 0, &counts) == -1) {
        return SYNC_REDIS_FAILED;
    }

    if (gate.register_stock == GATE_MISSING && !(options & GATE_CREATE) && under_lock == NULL) {
        return SYNC_NOT_LOADED;
    }

    if (sync_must_raise(&gate, row) && raise_version(db, row, &gate) != DB_OK) {
        return SYNC_DB_FAILED;
    }

    if (under_lock != NULL && under_lock(db, row, data) != DB_OK) {
        return SYNC_DB_FAILED;
    }

    return EFFECT("sync.commit", db_text(db, "COMMIT")) == DB_OK ? SYNC_PUSHED : SYNC_DB_FAILED;
}


enum sync_result
sync_product(struct db *db, struct redis_conn *conn, uint64_t id, unsigned options, sync_under_lock under_lock,
             void *data, struct product_row *row)
{
    *row = (struct product_row) { .id = id };

    if (db_open(db) != DB_OK) {
        return SYNC_DB_FAILED;
    }

    enum sync_result result = lock_and_raise(db, conn, options, under_lock, data, row);

    if (result != SYNC_PUSHED) {
        db_rollback(db);
        return result;
    }

    switch (gate_push(conn, row, options)) {
    case GATE_PUSH_APPLIED:
        return SYNC_PUSHED;
    case GATE_PUSH_NOT_NEWER:
        return SYNC_RIGHT;
    case GATE_PUSH_NOT_LOADED:
        return SYNC_NOT_LOADED;
    case GATE_PUSH_BROKEN:
        return SYNC_BROKEN;
    default:
        return SYNC_NOT_PUSHED;
    }
}


int
sync_close_gone(struct redis_conn *conn, const struct gate_product *gate)
{
    struct product_row gone = {
        .id = gate->id, .found = 1, .version = (uint64_t) (gate->version + 1), .terms = gate->terms
    };

    strcpy(gone.terms.state, "closed");
    return gate_push(conn, &gone, GATE_NEWER_ONLY) != GATE_PUSH_FAILED ? 0 : -1;
}
