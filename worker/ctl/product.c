/*
 * checkoutctl product add | set | show | close | open
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/buyers.h"
#include "ctl/ctl.h"
#include "ctl/json.h"
#include "ctl/product_options.h"
#include "ctl/query.h"
#include "ctl/report.h"
#include "ctl/words.h"
#include "mysql/supply.h"
#include "repair/recovery_products.h"
#include "repair/sync.h"
#include "text/buffer.h"


static int
read_options(int argc, char **argv, uint64_t *id, struct product_options *options)
{
    char error[256];

    if (argc < 1) {
        (void) report_error("which product? (an id is missing)");
        return -1;
    }

    if (words_product_id(argv[0], id) == -1) {
        return -1;
    }

    if (product_options_read(options, argc - 1, argv + 1, error, sizeof(error)) == -1) {
        (void) report_error("%s", error);
        return -1;
    }

    return 0;
}


static const char *
term_sql(const struct product_term *term)
{
    return term->set ? term->sql : "NULL";
}


static enum db_result
insert_product(struct db *db, uint64_t id, const struct product_options *w)
{
    struct buffer sql = { 0 };

    buffer_text(&sql, "INSERT INTO products (id, name, price, stock, state, opens_at, closes_at, per_user_limit,"
                      " max_quantity, payment_timeout");
    supply_add_new_columns(&sql);
    buffer_format(&sql, ") VALUES (%" PRIu64 ", ", id);
    db_quote(db, &sql, w->name);
    buffer_format(&sql, ", %s, %" PRIu64 ", '%s', %s, %s, %s, %s, %s", w->price, w->stock.value,
                  w->state != NULL ? w->state : "open", term_sql(&w->opens_at), term_sql(&w->closes_at),
                  term_sql(&w->per_user_limit), term_sql(&w->max_quantity), term_sql(&w->payment_timeout));
    supply_add_new_values(&sql, id);
    buffer_text(&sql, ")");

    enum db_result result = db_run(db, &sql);

    buffer_free(&sql);
    return result;
}


int
ctl_product_add(struct ctl *ctl, int argc, char **argv)
{
    struct product_options w;
    uint64_t id;

    if (read_options(argc, argv, &id, &w) == -1) {
        return CTL_ERROR;
    }

    if (w.name == NULL || w.price == NULL || !w.stock.set) {
        return report_error("product add needs --name, --price and --stock");
    }

    if (ctl->dry_run) {
        cJSON *planned = cJSON_CreateObject();

        json_uint(planned, "product_id", id);
        return report_result(ctl, planned, "product %" PRIu64 " would be added with stock %" PRIu64, id, w.stock.value);
    }

    if (db_open(&ctl->db) != DB_OK || db_text(&ctl->db, "START TRANSACTION") != DB_OK
        || insert_product(&ctl->db, id, &w) != DB_OK
        || supply_book(&ctl->db, id, "load", (int64_t) w.stock.value, (int64_t) w.stock.value, "product add") != DB_OK
        || db_text(&ctl->db, "COMMIT") != DB_OK)
    {
        return report_db_failed(ctl);
    }

    cJSON *o = cJSON_CreateObject();

    json_uint(o, "product_id", id);
    json_uint(o, "stock", w.stock.value);
    return report_result(ctl, o,
                         "product %" PRIu64 " added with stock %" PRIu64 "; \"stock load %" PRIu64 "\" opens it"
                         " at the gate",
                         id, w.stock.value, id);
}


static void
add_term(struct buffer *sql, const char *column, const struct product_term *term)
{
    if (term->set) {
        buffer_format(sql, ", %s = %s", column, term->sql);
    }
}


/* Runs under the product's lock: changes the row, books the change of stock, and reads the row again for the push. */
static enum db_result
change(struct db *db, struct product_row *row, void *data)
{
    const struct product_options *w = data;
    struct buffer sql = { 0 };
    int64_t more = w->stock.set ? (int64_t) w->stock.value - row->stock : 0;

    buffer_format(&sql, "UPDATE products SET version = version + 1, stock = stock + %" PRId64, more);

    if (w->name != NULL) {
        buffer_text(&sql, ", name = ");
        db_quote(db, &sql, w->name);
    }

    if (w->price != NULL) {
        buffer_format(&sql, ", price = %s", w->price);
    }

    if (w->state != NULL) {
        buffer_format(&sql, ", state = '%s'", w->state);
    }

    add_term(&sql, "opens_at", &w->opens_at);
    add_term(&sql, "closes_at", &w->closes_at);
    add_term(&sql, "per_user_limit", &w->per_user_limit);
    add_term(&sql, "max_quantity", &w->max_quantity);
    add_term(&sql, "payment_timeout", &w->payment_timeout);
    buffer_format(&sql, " WHERE id = %" PRIu64, row->id);

    enum db_result result = db_change_one_each(db, &sql, 1);

    buffer_free(&sql);

    if (result == DB_OK && more != 0) {
        result = supply_book(db, row->id, "adjust", more, row->stock + more, "product set");
    }

    return result == DB_OK ? product_rows_read(db, row, 1, ROW_FOR_UPDATE) : result;
}


static int
change_product(struct ctl *ctl, uint64_t id, struct product_options *w, const char *done)
{
    struct product_row row;

    if (ctl->dry_run) {
        cJSON *o = cJSON_CreateObject();

        json_uint(o, "product_id", id);
        return report_result(ctl, o, "product %" PRIu64 " would be %s", id, done);
    }

    enum sync_result result = sync_product(&ctl->db, &ctl->redis, id, GATE_NEWER_ONLY, change, w, &row);

    if (result == SYNC_PUSHED || result == SYNC_UP_TO_DATE) {
        buyers_wait(ctl, &row);
    }

    return report_sync(ctl, result, &row, done);
}


int
ctl_product_set(struct ctl *ctl, int argc, char **argv)
{
    struct product_options w;
    uint64_t id;

    if (read_options(argc, argv, &id, &w) == -1) {
        return CTL_ERROR;
    }

    if (argc == 1) {
        return report_error("product set: nothing to change was given");
    }

    return change_product(ctl, id, &w, "changed");
}


int
ctl_product_close(struct ctl *ctl, int argc, char **argv)
{
    struct product_options w = { .state = "closed" };
    uint64_t id;

    if (argc != 1) {
        return report_error("product close takes one product id");
    }

    return words_product_id(argv[0], &id) == 0 ? change_product(ctl, id, &w, "closed") : CTL_ERROR;
}


int
ctl_product_open(struct ctl *ctl, int argc, char **argv)
{
    struct product_row row;
    uint64_t id;

    if (argc != 1) {
        return report_error("product open takes one product id");
    }

    if (words_product_id(argv[0], &id) == -1) {
        return CTL_ERROR;
    }

    if (ctl->dry_run) {
        cJSON *o = cJSON_CreateObject();

        json_uint(o, "product_id", id);
        return report_result(ctl, o, "product %" PRIu64 " would be opened", id);
    }

    enum sync_result result = recovery_open_by_hand(&ctl->db, &ctl->redis, id, &row);

    return report_sync(ctl, result, &row, result == SYNC_UP_TO_DATE ? "not closed by a recovery" : "open");
}


static cJSON *
gate_as_json(const struct gate_product *g)
{
    cJSON *o = cJSON_CreateObject();

    cJSON_AddBoolToObject(o, "loaded", g->register_stock != GATE_MISSING);

    if (g->register_stock != GATE_MISSING) {
        json_gate(o, g);
    }

    return o;
}


int
ctl_product_show(struct ctl *ctl, int argc, char **argv)
{
    struct buffer sql = { 0 };
    struct gate_product gate = { 0 };
    struct gate_counts counts;

    if (argc != 1) {
        return report_error("product show takes one product id");
    }

    if (words_product_id(argv[0], &gate.id) == -1) {
        return CTL_ERROR;
    }

    if (gate_inspect(&ctl->redis, &gate, 1, &counts) == -1) {
        return report_redis_failed(ctl);
    }

    buffer_format(&sql,
                  "SELECT id AS product_id, name, price, stock, version, state, opens_at, closes_at,"
                  " per_user_limit, max_quantity, payment_timeout, created_at, updated_at FROM products"
                  " WHERE id = %" PRIu64,
                  gate.id);

    MYSQL_RES *rows = query_rows(ctl, &sql);

    if (rows == NULL) {
        return CTL_ERROR;
    }

    cJSON *o = cJSON_CreateObject();
    MYSQL_ROW row = mysql_fetch_row(rows);

    if (row != NULL) {
        json_row(o, rows, row, JSON_NUMBERS_TYPED);
    }

    mysql_free_result(rows);
    cJSON_AddItemToObject(o, "gate", gate_as_json(&gate));

    if (row == NULL) {
        cJSON_Delete(o);
        return report_not_found("MySQL has no product %" PRIu64, gate.id);
    }

    return report_object(ctl, o);
}
