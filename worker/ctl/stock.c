/*
 * checkoutctl stock load | get | set | adjust | movements
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "ctl/buyers.h"
#include "ctl/ctl.h"
#include "ctl/json.h"
#include "ctl/query.h"
#include "ctl/report.h"
#include "ctl/words.h"
#include "mysql/supply_count.h"
#include "order/order.h"
#include "repair/sync.h"
#include "text/buffer.h"
#include "text/number.h"

#define REASON_MAX 255 /* bytes; column reason of stock_movements */


struct booking {
    int64_t units;
    int known; /* 0: nothing was looked for */
};


/* Runs under the product's lock: books stock that no movement explains (a row made or changed by hand). */
static enum db_result
book_difference(struct db *db, struct product_row *row, void *data)
{
    struct booking *booking = data;

    return supply_book_difference(db, row->id, "load", "found at stock load", &booking->units, &booking->known);
}


/* Prints what became of a product that was loaded. */
static int
report_loaded(struct ctl *ctl, const struct product_row *row, const struct booking *booking)
{
    char book[120] = "";
    cJSON *o = cJSON_CreateObject();

    if (!booking->known) {
        snprintf(book, sizeof(book), "; too many orders to look for units that no movement explains: see \"migrate\"");
    } else if (booking->units != 0) {
        snprintf(book, sizeof(book), ", booked %+" PRId64 " units that no movement explained", booking->units);
    }

    json_uint(o, "product_id", row->id);
    json_int(o, "stock", row->stock);
    json_uint(o, "version", row->version);
    json_int(o, "booked", booking->units);
    cJSON_AddBoolToObject(o, "movements_checked", booking->known);
    return report_result(ctl, o, "product %" PRIu64 " loaded: stock %" PRId64 ", version %" PRIu64 "%s", row->id,
                         row->stock, row->version, book);
}


/* Products whose register went while orders of them were in flight: counted together, then loaded. */
struct uncounted {
    uint64_t *ids;
    size_t count, capacity;
};


static void
add_uncounted(struct uncounted *u, uint64_t id)
{
    if (u->count == u->capacity) {
        u->capacity = u->capacity == 0 ? 64 : 2 * u->capacity;
        u->ids = memory_resize(u->ids, u->capacity, sizeof(*u->ids));
    }

    u->ids[u->count++] = id;
}


/* count: NULL, or a pass over the queue. later: takes a product that needs one. */
static int
load_one(struct ctl *ctl, uint64_t id, struct in_flight *count, struct uncounted *later)
{
    struct product_row row;
    struct booking booking = { .known = 1 };
    enum supply_state state;

    if (ctl->dry_run) {
        cJSON *planned = cJSON_CreateObject();

        json_uint(planned, "product_id", id);
        return report_result(ctl, planned, "product %" PRIu64 " would be loaded", id);
    }

    /* Without a lock, however many orders it has; under the lock its counters are read alone. */
    if (supply_count_now(&ctl->db, id, NULL, NULL, &state) != DB_OK) {
        return report_db_failed(ctl);
    }

    switch (sync_load(&ctl->db, &ctl->redis, id, book_difference, &booking, &row, count)) {
    case SYNC_PUSHED:
    case SYNC_UP_TO_DATE:
        buyers_wait(ctl, &row);
        return report_loaded(ctl, &row, &booking);
    case SYNC_NO_PRODUCT:
        return report_not_found("MySQL has no product %" PRIu64, id);
    case SYNC_RECOVERING:
        return report_sync(ctl, SYNC_RECOVERING, &row, "");
    case SYNC_DB_FAILED:
        return report_db_failed(ctl);
    case SYNC_UNCOUNTED:
        if (count == NULL) {
            add_uncounted(later, id);
            return CTL_OK;
        }
        /* fall through */
    default:
        return report_redis_failed(ctl);
    }
}


/* One pass over the queue serves all. ids: ascending. */
static int
load_counted(struct ctl *ctl, const struct uncounted *u)
{
    struct in_flight count = { 0 };
    int code = CTL_OK;

    in_flight_begin(&count, u->ids, u->count, 1);

    if (u->count > 0 && in_flight_read(&count, &ctl->redis) == -1) {
        code = report_redis_failed(ctl);
    }

    for (size_t i = 0; i < u->count && code == CTL_OK; i++) {
        code = load_one(ctl, u->ids[i], &count, NULL);
    }

    in_flight_free(&count);
    return code;
}


static int
load_all(struct ctl *ctl)
{
    struct buffer sql = { 0 };
    struct uncounted later = { 0 };
    int code = CTL_OK;

    buffer_text(&sql, "SELECT id FROM products ORDER BY id");

    MYSQL_RES *rows = query_rows(ctl, &sql);

    if (rows == NULL) {
        return CTL_ERROR;
    }

    for (MYSQL_ROW row; code == CTL_OK && (row = mysql_fetch_row(rows)) != NULL;) {
        code = load_one(ctl, number_of_column(row[0]), NULL, &later);
    }

    mysql_free_result(rows);
    code = code == CTL_OK ? load_counted(ctl, &later) : code;
    free(later.ids);
    return code;
}


static int
load_id(struct ctl *ctl, uint64_t id)
{
    struct uncounted later = { 0 };
    int code = load_one(ctl, id, NULL, &later);

    code = code == CTL_OK ? load_counted(ctl, &later) : code;
    free(later.ids);
    return code;
}


int
ctl_stock_load(struct ctl *ctl, int argc, char **argv)
{
    uint64_t id;

    if (argc != 1) {
        return report_error("stock load takes one product id, or --all");
    }

    if (strcmp(argv[0], "--all") == 0) {
        return load_all(ctl);
    }

    return words_product_id(argv[0], &id) == 0 ? load_id(ctl, id) : CTL_ERROR;
}


static void
print_gate(const struct gate_product *gate)
{
    if (gate->register_stock == GATE_MISSING) {
        printf("gate   not loaded\n");
        return;
    }

    printf("gate   stock %" PRId64 ", in flight %" PRId64 ", register stock %" PRId64 ", version %" PRId64 ", %s\n",
           gate->stock, gate->in_flight, gate->register_stock, gate->version, gate->terms.state);
}


static void
print_both(const struct product_row *row, const struct gate_product *gate)
{
    if (row->found) {
        printf("MySQL  stock %" PRId64 ", version %" PRIu64 ", %s\n", row->stock, row->version, row->terms.state);
    } else {
        printf("MySQL  no such product\n");
    }

    print_gate(gate);
}


static cJSON *
both_as_json(const struct product_row *row, const struct gate_product *gate)
{
    cJSON *o = cJSON_CreateObject(), *mysql, *redis;

    json_uint(o, "product_id", row->id);

    if (row->found && (mysql = cJSON_AddObjectToObject(o, "mysql")) != NULL) {
        json_int(mysql, "stock", row->stock);
        json_uint(mysql, "version", row->version);
        json_text(mysql, "state", row->terms.state);
    }

    if (gate->register_stock != GATE_MISSING && (redis = cJSON_AddObjectToObject(o, "gate")) != NULL) {
        json_gate(redis, gate);
    }

    return o;
}


int
ctl_stock_get(struct ctl *ctl, int argc, char **argv)
{
    struct gate_product gate = { 0 };
    struct product_row row = { 0 };
    struct gate_counts counts;
    uint64_t id;

    if (argc != 1) {
        return report_error("stock get takes one product id");
    }

    if (words_product_id(argv[0], &id) == -1) {
        return CTL_ERROR;
    }

    gate.id = row.id = id;

    if (gate_inspect(&ctl->redis, &gate, 1, &counts) == -1) {
        return report_redis_failed(ctl);
    }

    if (db_open(&ctl->db) != DB_OK || product_rows_read(&ctl->db, &row, 1, ROW_NO_LOCK) != DB_OK) {
        return report_db_failed(ctl);
    }

    if (!row.found && gate.register_stock == GATE_MISSING) {
        return report_not_found("neither MySQL nor the gate has product %" PRIu64, id);
    }

    if (ctl->json) {
        return report_object(ctl, both_as_json(&row, &gate));
    }

    print_both(&row, &gate);
    return CTL_OK;
}


struct stock_change {
    int64_t number; /* the new stock, or what is added */
    int is_new_stock;
    const char *reason;
    int negative; /* out: refused, the stock would be below zero or too large */
};


/* Runs under the product's lock: changes the stock, and books the change. */
static enum db_result
change_stock(struct db *db, struct product_row *row, void *data)
{
    struct stock_change *c = data;
    struct buffer sql = { 0 };
    int64_t more = c->is_new_stock ? c->number - row->stock : c->number;

    if (more == 0) {
        return DB_OK;
    }

    if (row->stock + more < 0 || row->stock + more > INT32_MAX) {
        c->negative = 1;
        return DB_POISON;
    }

    buffer_format(&sql, "UPDATE products SET stock = stock + %" PRId64 ", version = version + 1 WHERE id = %" PRIu64,
                  more, row->id);

    enum db_result result = db_change_one_each(db, &sql, 1);

    if (result == DB_OK) {
        result = supply_book(db, row->id, "adjust", more, row->stock + more, c->reason);
    }

    buffer_free(&sql);

    if (result == DB_OK) {
        row->stock += more;
        row->version++;
    }

    return result;
}


static int
run_change(struct ctl *ctl, int argc, char **argv, struct stock_change *c)
{
    struct product_row row;
    uint64_t id, number;
    const char *word;

    if (words_take_text(&argc, argv, "--reason", &c->reason) == -1 || strlen(c->reason) > REASON_MAX) {
        return report_error("--reason needs a text of up to %d characters", REASON_MAX);
    }

    if (argc < 1) {
        return report_error("which product? (an id is missing)");
    }

    if (words_product_id(argv[0], &id) == -1) {
        return CTL_ERROR;
    }

    word = argc == 2 ? argv[1] : "";

    int sign = !c->is_new_stock && word[0] == '-' ? -1 : 1;

    word += !c->is_new_stock && (word[0] == '+' || word[0] == '-');

    if (argc != 2 || number_parse(&number, word, strlen(word), INT32_MAX) == -1) {
        return report_error(c->is_new_stock ? "stock set takes a product id and the new stock"
                                            : "stock adjust takes a product id and +N or -N");
    }

    c->number = sign * (int64_t) number;

    if (ctl->dry_run) {
        cJSON *o = cJSON_CreateObject();

        json_uint(o, "product_id", id);
        return report_result(ctl, o, "stock of product %" PRIu64 " would be %s %" PRId64, id,
                             c->is_new_stock ? "set to" : "changed by", c->number);
    }

    enum sync_result result = sync_product(&ctl->db, &ctl->redis, id, GATE_NEWER_ONLY, change_stock, c, &row);

    if (c->negative) {
        return report_error("product %" PRIu64 " has stock %" PRId64 ": that would leave it below zero, or too large",
                            id, row.stock);
    }

    return report_sync(ctl, result, &row, "changed");
}


int
ctl_stock_set(struct ctl *ctl, int argc, char **argv)
{
    struct stock_change c = { .is_new_stock = 1, .reason = "stock set" };

    return run_change(ctl, argc, argv, &c);
}


int
ctl_stock_adjust(struct ctl *ctl, int argc, char **argv)
{
    struct stock_change c = { .reason = "stock adjust" };

    return run_change(ctl, argc, argv, &c);
}


int
ctl_stock_movements(struct ctl *ctl, int argc, char **argv)
{
    uint64_t id, limit = 100;
    struct buffer sql = { 0 };

    if (words_take_number(&argc, argv, "--limit", 1000000, &limit) == -1) {
        return CTL_ERROR;
    }

    if (argc != 1) {
        return report_error("stock movements takes one product id, and --limit N");
    }

    if (words_product_id(argv[0], &id) == -1) {
        return CTL_ERROR;
    }

    buffer_format(&sql,
                  "SELECT id, created_at AS at, kind, units, stock_after,"
                  " COALESCE(order_identifier, '') AS order_identifier, reason, actor FROM stock_movements"
                  " WHERE product_id = %" PRIu64 " ORDER BY id DESC LIMIT %" PRIu64,
                  id, limit);

    MYSQL_RES *rows = query_rows(ctl, &sql);

    if (rows == NULL) {
        return CTL_ERROR;
    }

    cJSON *o = cJSON_CreateObject();

    json_uint(o, "product_id", id);
    json_rows(o, "movements", rows, JSON_NUMBERS_TYPED);
    mysql_free_result(rows);
    return report_object(ctl, o);
}
