#include "mysql/product_row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failpoint.h"
#include "text/number.h"


/*
 * The session's zone is UTC, and TIMESTAMPDIFF knows no end of time in 2038 as UNIX_TIMESTAMP does. 0 means "no such
 * term", so a sale that closed in 1970 or before closed in its first millisecond.
 */
static const char select_head[] =
    "SELECT id, stock, version, price, state,"
    " COALESCE(GREATEST(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', opens_at) DIV 1000, 0), 0),"
    " IF(closes_at IS NULL, 0, COALESCE(GREATEST(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', closes_at) DIV 1000, 1), 1)),"
    " COALESCE(per_user_limit, 0), COALESCE(max_quantity, 0), COALESCE(payment_timeout, 0)"
    " FROM products FORCE INDEX (PRIMARY) WHERE id IN (";


static void
fill_in(struct product_row *row, MYSQL_ROW values)
{
    row->found = 1;
    row->stock = number_of_signed_column(values[1]);
    row->version = number_of_column(values[2]);
    snprintf(row->price, sizeof(row->price), "%s", values[3]);
    snprintf(row->terms.state, sizeof(row->terms.state), "%s", values[4]);
    row->terms.opens_at = number_of_column(values[5]);
    row->terms.closes_at = number_of_column(values[6]);
    row->terms.per_user_limit = number_of_column(values[7]);
    row->terms.max_quantity = number_of_column(values[8]);
    row->payment_timeout = number_of_column(values[9]);
}


/* Both sides ascend, so one walk pairs them. */
static void
pair(struct product_row *rows, size_t n, MYSQL_RES *result)
{
    size_t i = 0;

    for (MYSQL_ROW values; (values = mysql_fetch_row(result)) != NULL;) {
        uint64_t id = number_of_column(values[0]);

        while (i < n && rows[i].id < id) {
            i++;
        }

        if (i < n && rows[i].id == id) {
            fill_in(&rows[i], values);
        }
    }
}


enum db_result
product_rows_read(struct db *db, struct product_row *rows, size_t n, enum row_lock lock)
{
    static const char *const tails[] = {
        [ROW_NO_LOCK] = ") ORDER BY id",
        [ROW_FOR_UPDATE] = ") ORDER BY id FOR UPDATE",
        [ROW_FOR_UPDATE_SKIP_LOCKED] = ") ORDER BY id FOR UPDATE SKIP LOCKED"
    };
    struct buffer sql = { 0 };
    MYSQL_RES *result;

    if (n == 0) {
        return DB_OK;
    }

    buffer_text(&sql, select_head);

    for (size_t i = 0; i < n; i++) {
        rows[i] = (struct product_row) { .id = rows[i].id };
        buffer_text(&sql, i > 0 ? "," : "");
        buffer_number(&sql, rows[i].id);
    }

    buffer_text(&sql, tails[lock]);

    enum db_result outcome = EFFECT("product_row.read", db_rows(db, &sql, &result));

    buffer_free(&sql);

    if (outcome == DB_OK) {
        pair(rows, n, result);
        mysql_free_result(result);
    }

    return outcome;
}
