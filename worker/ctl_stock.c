/*
 * checkoutctl stock load | get
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "supply.h"
#include "sync.h"


/* Runs under the product's lock: stock that no movement explains (a row made or changed by hand) is booked. */
static enum db_result
book_difference(struct db *db, struct product_row *row, void *data)
{
    int64_t *booked = data;
    struct supply supply;
    struct buffer sql = { 0 };
    enum db_result result = supply_read(db, row->id, &supply);

    *booked = row->stock + supply.live - supply.supplied;

    if (result != DB_OK || *booked == 0) {
        return result;
    }

    buffer_format(&sql, "INSERT INTO stock_movements (product_id, kind, units, stock_after, reason) VALUES"
                  " (%" PRIu64 ", 'load', %" PRId64 ", %" PRId64 ", 'found at stock load')",
                  row->id, *booked, row->stock);
    result = db_run(db, &sql);
    buffer_free(&sql);
    return result;
}


static int
load_one(struct ctl *ctl, uint64_t id)
{
    struct product_row row;
    int64_t booked = 0;

    switch (sync_product(&ctl->db, &ctl->redis, id, GATE_CREATE, book_difference, &booked, &row)) {
    case SYNC_PUSHED:
    case SYNC_RIGHT:
        break;
    case SYNC_NO_PRODUCT:
        return ctl_fail("MySQL has no product %" PRIu64, id);
    case SYNC_DB_FAILED:
        return ctl_db_failed(ctl);
    default:
        return ctl_redis_failed(ctl);
    }

    printf("product %" PRIu64 " loaded: stock %" PRId64 ", version %" PRIu64, id, row.stock, row.version);

    if (booked != 0) {
        printf(", booked %+" PRId64 " units that no movement explained", booked);
    }

    putchar('\n');
    return CTL_OK;
}


static int
load_all(struct ctl *ctl)
{
    struct buffer sql = { 0 };
    MYSQL_RES *rows;
    int code = CTL_OK;

    buffer_text(&sql, "SELECT id FROM products ORDER BY id");

    enum db_result result = db_open(&ctl->db) == DB_OK ? db_rows(&ctl->db, &sql, &rows) : DB_RETRY;

    buffer_free(&sql);

    if (result != DB_OK) {
        return ctl_db_failed(ctl);
    }

    for (MYSQL_ROW row; code == CTL_OK && (row = mysql_fetch_row(rows)) != NULL; ) {
        code = load_one(ctl, strtoull(row[0], NULL, 10));
    }

    mysql_free_result(rows);
    return code;
}


int
ctl_stock_load(struct ctl *ctl, int argc, char **argv)
{
    uint64_t id;

    if (argc != 1) {
        return ctl_fail("stock load takes one product id, or --all");
    }

    if (strcmp(argv[0], "--all") == 0) {
        return load_all(ctl);
    }

    return ctl_product_id(argv[0], &id) == 0 ? load_one(ctl, id) : CTL_ERROR;
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


int
ctl_stock_get(struct ctl *ctl, int argc, char **argv)
{
    struct gate_product gate = { 0 };
    struct product_row row = { 0 };
    struct gate_counts counts;
    uint64_t id;

    if (argc != 1) {
        return ctl_fail("stock get takes one product id");
    }

    if (ctl_product_id(argv[0], &id) == -1) {
        return CTL_ERROR;
    }

    gate.id = row.id = id;

    if (gate_inspect(&ctl->redis, &gate, 1, 0, &counts) == -1) {
        return ctl_redis_failed(ctl);
    }

    if (db_open(&ctl->db) != DB_OK || product_rows_read(&ctl->db, &row, 1, ROW_NO_LOCK) != DB_OK) {
        return ctl_db_failed(ctl);
    }

    if (!row.found && gate.register_stock == GATE_MISSING) {
        return ctl_fail("neither MySQL nor the gate has product %" PRIu64, id);
    }

    if (row.found) {
        printf("MySQL  stock %" PRId64 ", version %" PRIu64 ", %s\n", row.stock, row.version, row.terms.state);
    } else {
        printf("MySQL  no such product\n");
    }

    print_gate(&gate);
    return CTL_OK;
}
