/*
 * The transaction behind POST init-stock.
 *
 * A job may run twice: the answer to a COMMIT was lost, or a try that was given up goes on elsewhere. A second run
 * that set the stock again would give back units that were sold in between. So each request has a mark, which
 * stands in the reason of the movement that it books (also where nothing is to be booked), and a run that finds it
 * under the product's lock changes nothing.
 *
 * Lock order as everywhere: the product first. What is read of orders takes no locks; it cannot change meanwhile,
 * because whoever changes it locks the product.
 */
#include "mysql/stock_init.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mysql/product_row.h"
#include "mysql/supply.h"

#define VERSION_MOST 999999999999999 /* 15 digits: what the scripts of the gate take (register.lua) */
#define REASON       "init-stock "

/*
 * Newest movements among which a mark is looked for. Between two runs of a job are seconds, and each movement in
 * between was booked under the product's lock.
 */
#define MOVEMENTS_MOST 100000


static void
write_reason(char out[64], const struct stock_init *in)
{
    snprintf(out, 64, REASON "%s", in->mark);
}


static enum db_result
was_done(struct db *db, const struct stock_init *in, int *done)
{
    struct buffer sql = { 0 };
    char reason[64];

    write_reason(reason, in);
    buffer_format(&sql,
                  "SELECT 1 FROM (SELECT kind, reason FROM stock_movements WHERE product_id = %" PRIu64
                  " ORDER BY id DESC LIMIT %d) newest WHERE kind = 'load' AND reason = '%s' LIMIT 1",
                  in->request.product_id, MOVEMENTS_MOST, reason);

    enum db_result result = db_any(db, &sql, done);

    buffer_free(&sql);
    return result;
}


/* Over the row's version and the gate's, whichever is greater: the gate takes newer versions alone. */
static enum db_result
next_version(struct db *db, const struct stock_init *in, const struct product_row *row, uint64_t *version)
{
    *version = (row->version > in->register_version ? row->version : in->register_version) + 1;

    if (*version > VERSION_MOST) {
        db->code = 0;
        snprintf(db->error, sizeof(db->error), "version %" PRIu64 " is more than the gate can count", *version);
        return DB_POISON;
    }

    return DB_OK;
}


static enum db_result
insert_row(struct db *db, const struct stock_request *request, uint64_t version)
{
    struct buffer sql = { 0 };

    buffer_text(&sql, "INSERT INTO products (id, stock, version, price, name");
    supply_add_new_columns(&sql);
    buffer_format(&sql, ") VALUES (%" PRIu64 ", %" PRIu32 ", %" PRIu64 ", %s, ", request->product_id, request->stock,
                  version, request->price[0] != '\0' ? request->price : "0.00");
    db_quote(db, &sql, request->name);
    supply_add_new_values(&sql, request->product_id);
    buffer_text(&sql, ")");

    enum db_result result = db_run(db, &sql);

    buffer_free(&sql);
    return result;
}


static enum db_result
update_row(struct db *db, const struct stock_request *request, uint64_t version)
{
    struct buffer sql = { 0 };

    buffer_format(&sql, "UPDATE products SET stock = %" PRIu32 ", version = %" PRIu64 ", state = 'open', name = ",
                  request->stock, version);
    db_quote(db, &sql, request->name);

    if (request->price[0] != '\0') {
        buffer_format(&sql, ", price = %s", request->price);
    }

    buffer_format(&sql, " WHERE id = %" PRIu64, request->product_id);

    enum db_result result = db_change_one_each(db, &sql, 1);

    buffer_free(&sql);
    return result;
}


/*
 * What was supplied by now is what is left and what stands in live orders, so the difference to what was booked is
 * booked. Where that is not known, it is the difference to the stock before: the same, as long as all was booked.
 */
static enum db_result
book(struct db *db, const struct stock_init *in, int64_t stock_before)
{
    uint64_t product = in->request.product_id;
    int64_t units;
    int known;
    char reason[64];
    enum db_result result = supply_unexplained(db, product, &units, &known);

    if (result != DB_OK) {
        return result;
    }

    if (!known) {
        units = (int64_t) in->request.stock - stock_before;
    }

    write_reason(reason, in);
    return supply_book(db, product, "load", units, in->request.stock, reason);
}


/* The proof that MySQL lost commits must not be written over. A product without a row is made anew all the same. */
static int
is_behind(const struct stock_init *in, const struct product_row *row)
{
    return row->found && (in->is_recovering || in->register_version > row->version);
}


/* Under the lock of the product, where there is one; two that make it at once meet at its primary key. */
static enum db_result
change(struct db *db, const struct stock_init *in, struct product_row *row, int *behind)
{
    uint64_t version;
    int done = 0;
    enum db_result result = product_rows_read(db, row, 1, ROW_FOR_UPDATE);

    if (result != DB_OK || (result = was_done(db, in, &done)) != DB_OK || (done && row->found)) {
        return result;
    }

    *behind = is_behind(in, row);

    if (*behind) {
        return DB_OK;
    }

    int64_t stock_before = row->found ? row->stock : 0;

    result = next_version(db, in, row, &version);

    if (result == DB_OK) {
        result = row->found ? update_row(db, &in->request, version) : insert_row(db, &in->request, version);
    }

    if (result == DB_OK) {
        result = book(db, in, stock_before);
    }

    return result == DB_OK ? product_rows_read(db, row, 1, ROW_FOR_UPDATE) : result;
}


static void
fill_in(struct sql_result *result, const struct product_row *row)
{
    result->kind = row->found ? STOCK_INIT_ROW : STOCK_INIT_GONE;
    result->rows = row->found != 0;
    result->numbers[STOCK_INIT_VERSION] = row->version;
    result->numbers[STOCK_INIT_STOCK] = row->stock > 0 ? (uint64_t) row->stock : 0;
    result->numbers[STOCK_INIT_OPENS_AT] = row->terms.opens_at;
    result->numbers[STOCK_INIT_CLOSES_AT] = row->terms.closes_at;
    result->numbers[STOCK_INIT_PER_USER_LIMIT] = row->terms.per_user_limit;
    result->numbers[STOCK_INIT_MAX_QUANTITY] = row->terms.max_quantity;
    result->numbers[STOCK_INIT_OPEN] = strcmp(row->terms.state, "closed") != 0;
}


enum db_result
stock_init_run(struct db *db, const void *input, struct sql_result *result)
{
    const struct stock_init *in = input;
    struct product_row row = { .id = in->request.product_id };
    int behind = 0;

    db->actor = "admin";

    enum db_result outcome = db_text(db, "START TRANSACTION");

    if (outcome == DB_OK) {
        outcome = change(db, in, &row, &behind);
    }

    if (outcome == DB_OK) {
        outcome = db_text(db, "COMMIT");
    }

    if (outcome != DB_OK) {
        db_rollback(db);
        return outcome;
    }

    fill_in(result, &row);

    if (behind) {
        result->kind = STOCK_INIT_BEHIND;
    }

    return DB_OK;
}


enum db_result
stock_init_read(struct db *db, const void *input, struct sql_result *result)
{
    const struct stock_init *in = input;
    struct product_row row = { .id = in->request.product_id };
    enum db_result outcome = product_rows_read(db, &row, 1, ROW_NO_LOCK);

    if (outcome == DB_OK) {
        fill_in(result, &row);
    }

    return outcome;
}
