#include "repair/sync.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "failpoint.h"
#include "redis/loss.h"


int
sync_must_raise(const struct gate_product *gate, const struct product_row *row)
{
    if (gate->register_stock == GATE_MISSING) {
        return 0;
    }

    if (gate->damaged) {
        return 1;
    }

    return gate->version == (int64_t) row->version
           && (gate->register_stock != row->stock || !sale_terms_equal(&gate->terms, &row->terms));
}


int
sync_must_recover(const struct gate_product *gate, const struct product_row *row)
{
    return gate->register_stock != GATE_MISSING && (gate->recovering || gate->version > (int64_t) row->version);
}


/* Proves it under the lock that is held. Returns any enum sync_result but SYNC_PUSHED. */
static enum sync_result
begin_recovery(struct db *db, struct redis_connection *conn, const struct product_row *row)
{
    unsigned char closed;
    size_t count;

    return loss_look(db, conn, row, 1, &closed, &count) == DB_OK ? SYNC_RECOVERING : SYNC_DB_FAILED;
}


static enum db_result
raise_version(struct db *db, struct product_row *row, const struct gate_product *gate)
{
    struct buffer sql = { 0 };
    uint64_t version = row->version + 1;

    if (version > GATE_NUMBER_MOST) {
        db->code = 0;
        snprintf(db->error, sizeof(db->error), "version %" PRIu64 " is more than the gate can count", version);
        return DB_POISON;
    }

    buffer_format(&sql, "UPDATE products SET version = %" PRIu64 " WHERE id = %" PRIu64 " AND version = %" PRIu64,
                  version, row->id, row->version);

    enum db_result result = EFFECT("sync.raise", db_change_one_each(db, &sql, 1));

    buffer_free(&sql);

    if (result == DB_OK) {
        log_warn("event=version_raised product=%" PRIu64 " mysql_version=%" PRIu64 " redis_version=%" PRId64
                 " mysql_stock=%" PRId64 " redis_stock=%" PRId64,
                 row->id, row->version, gate->version, row->stock, gate->register_stock);
        row->version = version;
    }

    return result;
}


/*
 * A register is created while the lock is held, and from committed values alone. Were the lock given back first, a
 * worker could commit and settle before the register is there: that settle would change no register,
 * and the gate would offer its units again. A register that is there needs no lock: the newer version wins.
 */
static void
create_under_lock(struct redis_connection *conn, unsigned options, struct in_flight *count,
                  const struct gate_product *gate, const struct product_row *committed, const struct product_row *row,
                  enum gate_pushed *pushed)
{
    struct gate_counted counted;

    if ((options & GATE_CREATE) && gate->register_stock == GATE_MISSING && row->version == committed->version
        && row->stock == committed->stock && sale_terms_equal(&row->terms, &committed->terms))
    {
        *pushed = gate_load(conn, row, GATE_LOAD_CREATE, count, &counted);
    }
}


/*
 * The transaction. The register is read again here, under the lock, because it may have moved since. *pushed is set
 * where the product was pushed already.
 */
static enum sync_result
lock_and_raise(struct db *db, struct redis_connection *conn, unsigned options, struct in_flight *count,
               sync_under_lock under_lock, void *data, struct product_row *row, enum gate_pushed *pushed)
{
    struct gate_product gate = { .id = row->id };
    struct gate_counts counts;

    if (EFFECT("sync.begin", db_text(db, "START TRANSACTION")) != DB_OK
        || product_rows_read(db, row, 1, ROW_FOR_UPDATE) != DB_OK)
    {
        return SYNC_DB_FAILED;
    }

    if (!row->found) {
        return SYNC_NO_PRODUCT;
    }

    struct product_row committed = *row;

    if (gate_inspect(conn, &gate, 1, &counts) == -1) {
        return SYNC_REDIS_FAILED;
    }

    if (sync_must_recover(&gate, row)) {
        return begin_recovery(db, conn, row);
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

    create_under_lock(conn, options, count, &gate, &committed, row, pushed);
    return EFFECT("sync.commit", db_text(db, "COMMIT")) == DB_OK ? SYNC_PUSHED : SYNC_DB_FAILED;
}


static enum sync_result
result_of_push(enum gate_pushed pushed)
{
    switch (pushed) {
    case GATE_PUSH_APPLIED:
        return SYNC_PUSHED;
    case GATE_PUSH_NOT_NEWER:
        return SYNC_UP_TO_DATE;
    case GATE_PUSH_NOT_LOADED:
        return SYNC_NOT_LOADED;
    case GATE_PUSH_BROKEN:
        return SYNC_BROKEN;
    case GATE_PUSH_COUNT:
        return SYNC_UNCOUNTED;
    default:
        return SYNC_NOT_PUSHED;
    }
}


static enum sync_result
sync_once(struct db *db, struct redis_connection *conn, uint64_t id, unsigned options, struct in_flight *count,
          sync_under_lock under_lock, void *data, struct product_row *row)
{
    enum gate_pushed pushed = GATE_PUSH_NOT_LOADED;

    *row = (struct product_row) { .id = id };

    if (db_open(db) != DB_OK) {
        return SYNC_DB_FAILED;
    }

    if (loss_announce_session(conn, db) != DB_OK) {
        return SYNC_REDIS_FAILED;
    }

    enum sync_result result = lock_and_raise(db, conn, options, count, under_lock, data, row, &pushed);

    if (result != SYNC_PUSHED) {
        db_rollback(db);
        return result;
    }

    if (pushed == GATE_PUSH_NOT_LOADED) {
        pushed = gate_push(conn, row, options & ~(unsigned) GATE_CREATE);
    }

    /* The row was changed under the lock: what is committed now is loaded under the lock of a second transaction. */
    if (pushed == GATE_PUSH_NOT_LOADED && (options & GATE_CREATE) && under_lock != NULL) {
        return sync_once(db, conn, id, options, count, NULL, NULL, row);
    }

    return result_of_push(pushed);
}


enum sync_result
sync_load(struct db *db, struct redis_connection *conn, uint64_t id, sync_under_lock under_lock, void *data,
          struct product_row *row, struct in_flight *count)
{
    return sync_once(db, conn, id, GATE_CREATE, count, under_lock, data, row);
}


enum sync_result
sync_product(struct db *db, struct redis_connection *conn, uint64_t id, unsigned options, sync_under_lock under_lock,
             void *data, struct product_row *row)
{
    enum sync_result result = sync_once(db, conn, id, options, NULL, under_lock, data, row);

    if (result != SYNC_UNCOUNTED) {
        return result;
    }

    struct in_flight count = { 0 };

    in_flight_begin(&count, &id, 1, 1);
    result = in_flight_read(&count, conn) == -1 ? SYNC_NOT_PUSHED : sync_load(db, conn, id, NULL, NULL, row, &count);
    in_flight_free(&count);
    return result == SYNC_UNCOUNTED ? SYNC_NOT_PUSHED : result;
}


enum sync_result
sync_close_gone(struct db *db, struct redis_connection *conn, uint64_t id)
{
    struct product_row row = { .id = id };
    enum sync_result result;

    if (db_open(db) != DB_OK || EFFECT("sync.begin", db_text(db, "START TRANSACTION")) != DB_OK
        || product_rows_read(db, &row, 1, ROW_FOR_UPDATE) != DB_OK || db_check_writable(db) != DB_OK)
    {
        result = SYNC_DB_FAILED;
    } else if (row.found) {
        result = SYNC_UP_TO_DATE;
    } else {
        int closed = gate_close_gone(conn, id);

        result = closed == -1 ? SYNC_REDIS_FAILED : closed ? SYNC_PUSHED : SYNC_UP_TO_DATE;
    }

    db_rollback(db);
    return result;
}
