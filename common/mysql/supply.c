#include "mysql/supply.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "failpoint.h"
#include "order/order_sql.h"
#include "text/number.h"


#define SELECT_ROWS \
    "SELECT id, stock, version, live_units, supplied_units, counted_at," \
    " COALESCE(TIMESTAMPDIFF(MICROSECOND, counted_at, NOW(3)) DIV 1000, 0)," \
    " (SELECT value FROM settings WHERE name = '" SUPPLY_SETTING "') FROM products FORCE INDEX (PRIMARY) WHERE id"


/* --- rows --------------------------------------------------------------------------------------------------------- */


static struct supply
to_supply(MYSQL_ROW row)
{
    struct supply supply = {
        .product = number_of_column(row[0]),
        .found = 1,
        .stock = number_of_signed_column(row[1]),
        .version = number_of_column(row[2]),
        .has_counters = row[3] != NULL && row[4] != NULL,
        .live = number_of_signed_column(row[3]),
        .supplied = number_of_signed_column(row[4]),
        .counted_ms_ago = number_of_signed_column(row[6])
    };

    snprintf(supply.counted_at, sizeof(supply.counted_at), "%s", row[5] != NULL ? row[5] : "");
    snprintf(supply.era, sizeof(supply.era), "%s", row[7] != NULL ? row[7] : "");

    if (supply.has_counters && supply.era[0] != '\0') {
        supply.state = supply.counted_at[0] != '\0' ? SUPPLY_COUNTED : SUPPLY_NOT_COUNTED;
    }

    return supply;
}


/* The rows of a statement that begins as SELECT_ROWS does. */
static enum db_result
read_rows(struct db *db, struct buffer *sql, struct supply *rows, size_t most, size_t *count)
{
    MYSQL_RES *result;
    enum db_result outcome = EFFECT("supply.read", db_rows(db, sql, &result));

    *count = 0;
    buffer_free(sql);

    if (outcome != DB_OK) {
        return outcome;
    }

    for (MYSQL_ROW row; *count < most && (row = mysql_fetch_row(result)) != NULL;) {
        rows[(*count)++] = to_supply(row);
    }

    mysql_free_result(result);
    return DB_OK;
}


enum db_result
supply_read(struct db *db, uint64_t product, struct supply *supply)
{
    struct buffer sql = { 0 };
    size_t count;

    *supply = (struct supply) { .product = product };
    buffer_format(&sql, SELECT_ROWS " = %" PRIu64, product);
    return read_rows(db, &sql, supply, 1, &count);
}


enum db_result
supply_rows_read(struct db *db, uint64_t after, struct supply *rows, size_t most, size_t *count)
{
    struct buffer sql = { 0 };

    buffer_format(&sql, SELECT_ROWS " > %" PRIu64 " ORDER BY id LIMIT %zu", after, most);
    return read_rows(db, &sql, rows, most, count);
}


void
supply_add_new_columns(struct buffer *sql)
{
    buffer_text(sql, ", live_units, supplied_units, counted_at");
}


void
supply_add_new_values(struct buffer *sql, uint64_t product)
{
    static const char zero[] = ", (SELECT 0 FROM settings WHERE name = '" SUPPLY_SETTING "' AND value <> '')";

    buffer_text(sql, zero);
    buffer_text(sql, zero);
    buffer_format(sql,
                  ", (SELECT NOW(3) FROM settings WHERE name = '" SUPPLY_SETTING "' AND value <> '' AND NOT EXISTS"
                  " (SELECT 1 FROM stock_movements WHERE product_id = %" PRIu64 "))",
                  product);
}


/* --- booking ------------------------------------------------------------------------------------------------------ */


enum db_result
supply_book(struct db *db, uint64_t product, const char *kind, int64_t units, int64_t stock, const char *reason)
{
    struct buffer sql = { 0 };

    buffer_format(&sql,
                  "INSERT INTO stock_movements (product_id, kind, units, stock_after, reason, actor) VALUES"
                  " (%" PRIu64 ", '%s', %" PRId64 ", %" PRId64 ", ",
                  product, kind, units, stock);
    db_quote(db, &sql, reason);
    buffer_text(&sql, ",");
    db_quote(db, &sql, db->actor != NULL ? db->actor : "");
    buffer_format(&sql, ");UPDATE products SET supplied_units = supplied_units + %" PRId64 " WHERE id = %" PRIu64,
                  units, product);

    enum db_result result = EFFECT("supply.book", db_run(db, &sql));

    buffer_free(&sql);
    return result;
}


/* Sums up to SUPPLY_LOCKED_PAGES of items, and as many of movements; *whole 0: there is more. */
static enum db_result
sum(struct db *db, struct supply_sums *sums, int *whole)
{
    enum db_result result = DB_OK;

    for (int i = 0; result == DB_OK && i < SUPPLY_LOCKED_PAGES && !sums->items_done; i++) {
        result = supply_sum_page(db, sums);
    }

    for (int i = 0; result == DB_OK && i < SUPPLY_LOCKED_PAGES && sums->items_done && !sums->movements_done; i++) {
        result = supply_sum_page(db, sums);
    }

    *whole = supply_sums_done(sums);
    return result;
}


enum db_result
supply_unexplained(struct db *db, uint64_t product, int64_t *units, int *known)
{
    struct supply_sums sums = { .product = product };
    struct supply supply;
    enum db_result result = supply_read(db, product, &supply);

    *units = 0;
    *known = 1;

    if (result != DB_OK) {
        return result;
    }

    if (supply.state == SUPPLY_COUNTED) {
        *units = supply.stock + supply.live - supply.supplied;
        return DB_OK;
    }

    result = sum(db, &sums, known);

    if (result == DB_OK && *known) {
        *units = supply.stock + sums.live - sums.supplied;
    }

    return result;
}


enum db_result
supply_book_difference(struct db *db, uint64_t product, const char *kind, const char *reason, int64_t *units,
                       int *known)
{
    struct supply supply;
    enum db_result result = supply_unexplained(db, product, units, known);

    if (result != DB_OK || *units == 0 || (result = supply_read(db, product, &supply)) != DB_OK) {
        return result;
    }

    return supply_book(db, product, kind, *units, supply.stock, reason);
}


/* --- sums --------------------------------------------------------------------------------------------------------- */


/*
 * A page is cut from an index, in its order, before anything is joined or summed: what a statement reads has a bound,
 * whatever the tables hold. Each item has its order (a foreign key).
 */
static void
add_item_page(struct db *db, struct buffer *sql, const struct supply_sums *sums)
{
    buffer_format(sql,
                  "SELECT COUNT(*), MAX(i.order_identifier),"
                  " SUM(IF(o.status IN (" ORDER_SQL_LIVE "), i.quantity, 0)), 0"
                  " FROM (SELECT order_identifier, quantity FROM order_items FORCE INDEX (order_items_of_product)"
                  " WHERE product_id = %" PRIu64 " AND order_identifier > ",
                  sums->product);
    db_quote(db, sql, sums->last_item);
    buffer_format(sql,
                  " ORDER BY order_identifier LIMIT %d) i STRAIGHT_JOIN orders o FORCE INDEX (PRIMARY)"
                  " ON o.order_identifier = i.order_identifier",
                  SUPPLY_PAGE);
}


static void
add_movement_page(struct buffer *sql, const struct supply_sums *sums)
{
    buffer_format(sql,
                  "SELECT COUNT(*), MAX(id), SUM(IF(kind IN (" ORDER_SQL_SUPPLY "), units, 0)),"
                  " SUM(kind IN (" ORDER_SQL_SUPPLY ")) FROM (SELECT id, kind, units FROM stock_movements"
                  " FORCE INDEX (stock_movements_product) WHERE product_id = %" PRIu64 " AND id > %" PRIu64
                  " ORDER BY id LIMIT %d) m",
                  sums->product, sums->last_movement, SUPPLY_PAGE);
}


static void
add_page(struct supply_sums *sums, MYSQL_ROW row)
{
    int last = number_of_column(row[0]) < SUPPLY_PAGE;

    if (!sums->items_done) {
        sums->live += number_of_signed_column(row[2]);
        sums->items_done = last;
        snprintf(sums->last_item, sizeof(sums->last_item), "%s", row[1] != NULL ? row[1] : "");
        return;
    }

    sums->supplied += number_of_signed_column(row[2]);
    sums->movements += number_of_column(row[3]);
    sums->movements_done = last;
    sums->last_movement = number_of_column(row[1]);
}


enum db_result
supply_sum_page(struct db *db, struct supply_sums *sums)
{
    struct buffer sql = { 0 };
    MYSQL_RES *rows;

    if (supply_sums_done(sums)) {
        return DB_OK;
    }

    if (sums->items_done) {
        add_movement_page(&sql, sums);
    } else {
        add_item_page(db, &sql, sums);
    }

    enum db_result result = EFFECT("supply.sum_page", db_rows(db, &sql, &rows));

    buffer_free(&sql);

    if (result == DB_OK) {
        MYSQL_ROW row = mysql_fetch_row(rows);

        if (row != NULL) {
            add_page(sums, row);
        }

        mysql_free_result(rows);
    }

    return result;
}


int
supply_sums_done(const struct supply_sums *sums)
{
    return sums->items_done && sums->movements_done;
}
