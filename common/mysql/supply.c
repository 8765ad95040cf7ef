#include "mysql/supply.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "failpoint.h"
#include "order/order_sql.h"
#include "text/number.h"


static const char select_one[] =
    "SELECT p.id, p.stock, p.version,"
    " (SELECT SUM(m.units) FROM stock_movements m"
    "   WHERE m.product_id = p.id AND m.kind IN (" ORDER_SQL_SUPPLY ")),"
    " (SELECT SUM(i.quantity) FROM order_items i JOIN orders o ON o.order_identifier = i.order_identifier"
    "   WHERE i.product_id = p.id AND o.status IN (" ORDER_SQL_LIVE "))"
    " FROM products p WHERE p.id = ";

static const char select_all[] =
    "SELECT p.id, p.stock, p.version, m.units, l.units FROM products p"
    " LEFT JOIN (SELECT product_id, SUM(units) AS units FROM stock_movements"
    "   WHERE kind IN (" ORDER_SQL_SUPPLY ") GROUP BY product_id) m ON m.product_id = p.id"
    " LEFT JOIN (SELECT i.product_id, SUM(i.quantity) AS units FROM order_items i"
    "   JOIN orders o ON o.order_identifier = i.order_identifier"
    "   WHERE o.status IN (" ORDER_SQL_LIVE ") GROUP BY i.product_id) l ON l.product_id = p.id"
    " ORDER BY p.id";


static const char take_snapshot[] =
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION WITH CONSISTENT SNAPSHOT";


static struct supply
to_supply(MYSQL_ROW row)
{
    return (struct supply) {
        .product = number_of_column(row[0]),
        .stock = number_of_signed_column(row[1]),
        .version = number_of_column(row[2]),
        .booked = row[3] != NULL,
        .supplied = number_of_signed_column(row[3]),
        .live = number_of_signed_column(row[4])
    };
}


enum db_result
supply_read(struct db *db, uint64_t product, struct supply *supply)
{
    struct buffer sql = { 0 };
    MYSQL_RES *rows;

    buffer_format(&sql, "%s%" PRIu64, select_one, product);

    enum db_result result = EFFECT("supply.read_one", db_rows(db, &sql, &rows));

    buffer_free(&sql);
    *supply = (struct supply) { .product = product };

    if (result == DB_OK) {
        MYSQL_ROW row = mysql_fetch_row(rows);

        if (row != NULL) {
            *supply = to_supply(row);
        }

        mysql_free_result(rows);
    }

    return result;
}


enum db_result
supply_book(struct db *db, uint64_t product, const char *kind, int64_t units, int64_t stock, const char *reason)
{
    struct buffer sql = { 0 };

    buffer_format(&sql,
                  "INSERT INTO stock_movements (product_id, kind, units, stock_after, reason) VALUES"
                  " (%" PRIu64 ", '%s', %" PRId64 ", %" PRId64 ", ",
                  product, kind, units, stock);
    db_quote(db, &sql, reason);
    buffer_text(&sql, ")");

    enum db_result result = EFFECT("supply.book", db_run(db, &sql));

    buffer_free(&sql);
    return result;
}


enum db_result
supply_book_difference(struct db *db, uint64_t product, const char *kind, const char *reason, int64_t *units)
{
    struct supply supply;
    enum db_result result = supply_read(db, product, &supply);

    *units = supply.stock + supply.live - supply.supplied;

    if (result != DB_OK || *units == 0) {
        return result;
    }

    return supply_book(db, product, kind, *units, supply.stock, reason);
}


static enum db_result
copy_all(struct db *db, MYSQL_RES *rows, struct supply **supplies, size_t *count)
{
    size_t most = (size_t) mysql_num_rows(rows);

    *count = 0;
    *supplies = calloc(most > 0 ? most : 1, sizeof(struct supply));

    if (*supplies == NULL) {
        db->code = 0;
        snprintf(db->error, sizeof(db->error), "out of memory");
        return DB_RETRY;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        (*supplies)[(*count)++] = to_supply(row);
    }

    return DB_OK;
}


enum db_result
supply_read_all(struct db *db, struct supply **supplies, size_t *count)
{
    struct buffer sql = { 0 };
    MYSQL_RES *rows;
    enum db_result result = db_open(db);

    if (result != DB_OK || (result = EFFECT("supply.snapshot", db_text(db, take_snapshot))) != DB_OK) {
        return result;
    }

    buffer_text(&sql, select_all);
    result = EFFECT("supply.read_all", db_rows(db, &sql, &rows));
    buffer_free(&sql);

    if (result == DB_OK) {
        result = copy_all(db, rows, supplies, count);
        mysql_free_result(rows);
    }

    db_rollback(db);
    return result;
}
