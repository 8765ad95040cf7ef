#include "mysql/supply_count.h"

#include <inttypes.h>
#include <stdlib.h>

#include "failpoint.h"

#define TRIES_MOST 3 /* of supply_count_now() */


static const char take_snapshot[] =
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";


static enum db_result
count_in_snapshot(struct db *db, supply_between between, void *data, struct supply_count *count)
{
    enum db_result result = supply_read(db, count->row.product, &count->row);

    while (result == DB_OK && count->row.found && !count->stopped && !supply_sums_done(&count->sums)) {
        result = supply_sum_page(db, &count->sums);

        if (result == DB_OK && between != NULL) {
            count->stopped = between(data) != 0;
        }
    }

    return result;
}


enum db_result
supply_count(struct db *db, uint64_t product, supply_between between, void *data, struct supply_count *count)
{
    *count = (struct supply_count) { .row.product = product, .sums.product = product };

    enum db_result result = db_open(db);

    if (result != DB_OK || (result = EFFECT("supply.snapshot", db_text(db, take_snapshot))) != DB_OK) {
        return result;
    }

    result = count_in_snapshot(db, between, data, count);
    db_rollback(db);
    return result;
}


int64_t
supply_count_difference(const struct supply_count *count)
{
    return count->row.has_counters
               ? llabs(count->sums.live - count->row.live) + llabs(count->sums.supplied - count->row.supplied)
               : 0;
}


enum db_result
supply_count_write(struct db *primary, const struct supply_count *count, int *written)
{
    const struct supply *row = &count->row;
    struct buffer sql = { 0 };
    enum db_result result = db_open(primary);

    *written = 0;

    if (result != DB_OK) {
        return result;
    }

    buffer_format(
        &sql,
        "UPDATE products SET live_units = live_units + %" PRId64 ", supplied_units = supplied_units + %" PRId64
        ", counted_at = GREATEST(NOW(3), COALESCE(counted_at + INTERVAL 1000 MICROSECOND, NOW(3))),"
        " updated_at = updated_at WHERE id = %" PRIu64
        " AND live_units IS NOT NULL AND supplied_units IS NOT NULL AND counted_at <=> ",
        count->sums.live - row->live, count->sums.supplied - row->supplied, row->product);

    if (row->counted_at[0] == '\0') {
        buffer_text(&sql, "NULL");
    } else {
        db_quote(primary, &sql, row->counted_at);
    }

    buffer_text(&sql, " AND EXISTS (SELECT 1 FROM settings WHERE name = '" SUPPLY_SETTING "' AND value = ");
    db_quote(primary, &sql, row->era);
    buffer_text(&sql, ")");
    result = EFFECT("supply.write_count", db_change_one_each(primary, &sql, 1));
    buffer_free(&sql);

    if (result == DB_AGAIN && primary->code == 0) {
        return DB_OK;
    }

    *written = result == DB_OK;
    return result;
}


/* The row of the setting stays locked until the commit: --unfinish, which deletes it first, finds every row made here.
 */
enum db_result
supply_count_begin(struct db *primary, uint64_t product, const char *era)
{
    struct buffer sql = { 0 };
    int counts = 0;
    enum db_result result = db_open(primary);

    if (result != DB_OK || (result = EFFECT("supply.begin", db_text(primary, "START TRANSACTION"))) != DB_OK) {
        return result;
    }

    buffer_text(&sql, "SELECT 1 FROM settings WHERE name = '" SUPPLY_SETTING "' AND value = ");
    db_quote(primary, &sql, era);
    buffer_text(&sql, " LOCK IN SHARE MODE");
    result = EFFECT("supply.begin", db_any(primary, &sql, &counts));

    if (result == DB_OK && counts) {
        buffer_clear(&sql);
        buffer_format(&sql,
                      "UPDATE products SET live_units = 0, supplied_units = 0, counted_at = NULL,"
                      " updated_at = updated_at WHERE id = %" PRIu64
                      " AND (live_units IS NULL OR supplied_units IS NULL)",
                      product);
        result = EFFECT("supply.begin", db_run(primary, &sql));
    }

    if (result == DB_OK) {
        result = EFFECT("supply.begin", db_text(primary, "COMMIT"));
    }

    if (result != DB_OK) {
        db_rollback(primary);
    }

    buffer_free(&sql);
    return result;
}


static enum db_result
count_one(struct db *primary, const struct supply *row, supply_between between, void *data, int *stopped)
{
    struct supply_count count;
    int written;

    if (!row->has_counters) {
        return supply_count_begin(primary, row->product, row->era);
    }

    enum db_result result = supply_count(primary, row->product, between, data, &count);

    *stopped = count.stopped;

    if (result != DB_OK || count.stopped || count.row.state != SUPPLY_NOT_COUNTED) {
        return result;
    }

    return supply_count_write(primary, &count, &written);
}


enum db_result
supply_count_now(struct db *primary, uint64_t product, supply_between between, void *data, enum supply_state *state)
{
    struct supply row;
    int stopped = 0;
    enum db_result result = db_open(primary);

    for (int i = 0; result == DB_OK && i < 2 * TRIES_MOST; i++) {
        result = supply_read(primary, product, &row);
        *state = row.state;

        if (result != DB_OK || !row.found || row.era[0] == '\0' || row.state == SUPPLY_COUNTED || stopped) {
            return result;
        }

        result = count_one(primary, &row, between, data, &stopped);
    }

    return result;
}
