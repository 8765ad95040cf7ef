/*
 * The step of `checkoutctl archive` for finished orders: a stub of identifier, status, failure code and times stays in
 * `orders`, so that the identifier keeps its one verdict. Items and calls of the gateway go with the order.
 *
 * Law 1: a completed order's units leave the live ones and, by a movement of kind `archive`, the supplied ones, in the
 * same transaction, under the product's lock. Orders of other statuses hold no units.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/identifier_table.h"
#include "base/memory.h"
#include "ctl/archive_step.h"
#include "failpoint.h"
#include "order/identifier.h"
#include "order/order_sql.h"
#include "text/number.h"

/* An order of the page that is due. */
struct due {
    char identifier[CHECKOUT_IDENTIFIER_LEN + 1];
    char status[32], updated_at[32]; /* as its lines have it: what changed since stays */
    int left;                        /* 1: it stays, and was counted */
    int locked;                      /* by this transaction */
};

/* Units of a completed order. */
struct sold {
    size_t order; /* index in the page */
    uint64_t product;
    int64_t units;
};

struct page {
    struct due due[ARCHIVE_PAGE];
    size_t count;
    char last[CHECKOUT_IDENTIFIER_LEN + 1]; /* the walk's place; empty: the beginning */
    int more;
    struct identifier_table by_identifier;
    struct sold *sold; /* products ascending */
    size_t sold_count, sold_capacity;
    struct archive_counts counts; /* of what the transaction takes away */
};

static const char delete_items[] = "DELETE FROM order_items WHERE order_identifier IN ";
static const char delete_calls[] = "DELETE FROM gateway_calls WHERE order_identifier IN ";
static const char make_stubs[] =
    "UPDATE orders FORCE INDEX (PRIMARY) SET user_id = 0, total_price = 0, pay_by = NULL, payment_id = NULL,"
    " paid_at = NULL, product_id = NULL, quantity = NULL, archived_at = NOW(3), updated_at = updated_at"
    " WHERE archived_at IS NULL AND order_identifier IN ";


static int
read_page(struct archive *a, struct page *p)
{
    buffer_format(&a->sql,
                  "SELECT order_identifier, status, updated_at, archived_at IS NULL AND updated_at < %s"
                  " AND status IN (" ORDER_SQL_FINISHED ") FROM orders FORCE INDEX (PRIMARY)"
                  " WHERE order_identifier > '%s' ORDER BY order_identifier LIMIT %d",
                  a->before, p->last, ARCHIVE_PAGE);

    MYSQL_RES *rows = archive_read(a);

    if (rows == NULL) {
        return -1;
    }

    p->more = mysql_num_rows(rows) == ARCHIVE_PAGE;
    p->count = p->sold_count = 0;
    identifier_table_prepare(&p->by_identifier, ARCHIVE_PAGE);

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        snprintf(p->last, sizeof(p->last), "%s", row[0]);

        if (row[3][0] == '1') {
            struct due *o = &p->due[p->count];

            *o = (struct due) { 0 };
            snprintf(o->identifier, sizeof(o->identifier), "%s", row[0]);
            snprintf(o->status, sizeof(o->status), "%s", row[1]);
            snprintf(o->updated_at, sizeof(o->updated_at), "%s", row[2]);
            (void) identifier_table_add(&p->by_identifier, o->identifier, p->count++);
        }
    }

    mysql_free_result(rows);
    return 0;
}


static struct due *
find(struct page *p, const char *identifier)
{
    size_t i = identifier_table_find(&p->by_identifier, identifier);

    return i != IDENTIFIER_TABLE_NONE ? &p->due[i] : NULL;
}


static size_t
going(const struct page *p)
{
    size_t n = 0;

    for (size_t i = 0; i < p->count; i++) {
        n += !p->due[i].left;
    }

    return n;
}


/* Adds "('…','…')", the orders that go; there is one at least. */
static void
add_identifiers(struct buffer *sql, const struct page *p)
{
    size_t n = 0;

    for (size_t i = 0; i < p->count; i++) {
        if (!p->due[i].left) {
            buffer_format(sql, "%s'%s'", n++ > 0 ? "," : "(", p->due[i].identifier);
        }
    }

    buffer_text(sql, ")");
}


static void
leave(struct archive *a, struct due *o, enum archive_left why)
{
    if (o != NULL && !o->left) {
        o->left = 1;
        a->counts.left[why]++;
    }
}


/* Reads identifiers of orders that stay; `head` ends before the list of identifiers. */
static int
leave_those(struct archive *a, struct page *p, enum archive_left why, const char *head)
{
    if (going(p) == 0) {
        return 0;
    }

    buffer_text(&a->sql, head);
    add_identifiers(&a->sql, p);

    MYSQL_RES *rows = archive_read(a);

    if (rows == NULL) {
        return -1;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        leave(a, find(p, row[0]), why);
    }

    mysql_free_result(rows);
    return 0;
}


static int
leave_out(struct archive *a, struct page *p)
{
    static const struct {
        enum archive_left why;
        const char *head;
    } reasons[] = {
        { ARCHIVE_LEFT_LIMITED,
          "SELECT STRAIGHT_JOIN i.order_identifier FROM order_items i FORCE INDEX (PRIMARY)"
          " JOIN products p ON p.id = i.product_id WHERE p.per_user_limit IS NOT NULL AND p.state = 'open'"
          " AND (p.closes_at IS NULL OR p.closes_at > NOW(3)) AND i.order_identifier IN " },
        { ARCHIVE_LEFT_WAITING, "SELECT order_identifier FROM payment_events"
                                " WHERE processed_at IS NULL AND order_identifier IN " },
        { ARCHIVE_LEFT_WAITING, "SELECT order_identifier FROM gateway_calls"
                                " WHERE next_try_at IS NOT NULL AND order_identifier IN " },
    };

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (leave_those(a, p, reasons[i].why, reasons[i].head) == -1) {
            return -1;
        }
    }

    return 0;
}


/* The rows as they are now. They may change before they are locked; then they stay, and the lines do no harm. */
static int
read_lines(struct archive *a, const struct page *p)
{
    static const char *const tables[] = { "orders", "order_items", "gateway_calls" };
    uint64_t count = 0;

    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        buffer_format(&a->sql, "SELECT * FROM %s%s WHERE order_identifier IN ", tables[i],
                      i == 0 ? " FORCE INDEX (PRIMARY)" : "");
        add_identifiers(&a->sql, p);

        if (archive_add_lines(a, tables[i], &count) == -1) {
            return -1;
        }
    }

    return archive_keep_lines(a);
}


/* --- under locks ---------------------------------------------------------------------------------------------------
 */


/* Items are written with their order and never changed, so they can be read before anything is locked. */
static enum db_result
read_sold(struct archive *a, struct page *p)
{
    MYSQL_RES *rows;

    p->sold_count = 0;
    buffer_clear(&a->sql);
    buffer_text(&a->sql, "SELECT order_identifier, product_id, quantity FROM order_items WHERE order_identifier IN ");
    add_identifiers(&a->sql, p);
    buffer_text(&a->sql, " ORDER BY product_id");

    enum db_result result = EFFECT("archive.read_items", db_rows(&a->ctl->db, &a->sql, &rows));

    if (result != DB_OK) {
        return result;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        struct due *o = find(p, row[0]);

        if (o == NULL || strcmp(o->status, "completed") != 0) {
            continue;
        }

        if (p->sold_count == p->sold_capacity) {
            p->sold_capacity = p->sold_capacity > 0 ? 2 * p->sold_capacity : ARCHIVE_PAGE;
            p->sold = memory_resize(p->sold, p->sold_capacity, sizeof(*p->sold));
        }

        p->sold[p->sold_count++] = (struct sold) {
            (size_t) (o - p->due), number_of_column(row[1]), number_of_signed_column(row[2])
        };
    }

    mysql_free_result(rows);
    return DB_OK;
}


/* Orders with a product that another session has locked are left, this time. */
static enum db_result
lock_products(struct archive *a, struct page *p)
{
    MYSQL_RES *rows;

    if (p->sold_count == 0) {
        return DB_OK;
    }

    buffer_clear(&a->sql);
    buffer_text(&a->sql, "SELECT id FROM products WHERE id IN (");

    for (size_t i = 0; i < p->sold_count; i++) {
        if (i == 0 || p->sold[i].product != p->sold[i - 1].product) {
            buffer_format(&a->sql, "%s%" PRIu64, i > 0 ? "," : "", p->sold[i].product);
        }
    }

    buffer_text(&a->sql, ") ORDER BY id FOR UPDATE SKIP LOCKED");

    enum db_result result = EFFECT("archive.lock_products", db_rows(&a->ctl->db, &a->sql, &rows));

    if (result != DB_OK) {
        return result;
    }

    MYSQL_ROW row = mysql_fetch_row(rows);

    for (size_t i = 0; i < p->sold_count; i++) {
        uint64_t product = p->sold[i].product;

        while (row != NULL && number_of_column(row[0]) < product) {
            row = mysql_fetch_row(rows);
        }

        if (row == NULL || number_of_column(row[0]) != product) {
            leave(a, &p->due[p->sold[i].order], ARCHIVE_LEFT_LOCKED);
        }
    }

    mysql_free_result(rows);
    return DB_OK;
}


/* Only what is as its lines have it goes. */
static enum db_result
lock_orders(struct archive *a, struct page *p)
{
    MYSQL_RES *rows;

    buffer_clear(&a->sql);
    buffer_text(&a->sql, "SELECT order_identifier, status, updated_at FROM orders FORCE INDEX (PRIMARY)"
                         " WHERE archived_at IS NULL AND order_identifier IN ");
    add_identifiers(&a->sql, p);
    buffer_text(&a->sql, " ORDER BY order_identifier FOR UPDATE SKIP LOCKED");

    enum db_result result = EFFECT("archive.lock_orders", db_rows(&a->ctl->db, &a->sql, &rows));

    if (result != DB_OK) {
        return result;
    }

    for (size_t i = 0; i < p->count; i++) {
        p->due[i].locked = 0;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        struct due *o = find(p, row[0]);

        if (o != NULL) {
            o->locked = strcmp(o->status, row[1]) == 0 && strcmp(o->updated_at, row[2]) == 0;
        }
    }

    for (size_t i = 0; i < p->count; i++) {
        if (!p->due[i].locked) {
            leave(a, &p->due[i], ARCHIVE_LEFT_LOCKED);
        }
    }

    mysql_free_result(rows);
    return DB_OK;
}


/* One update and one movement for each product. Counters that are not counted yet stay NULL. */
static void
add_supply(struct archive *a, const struct page *p)
{
    for (size_t i = 0, end; i < p->sold_count; i = end) {
        uint64_t product = p->sold[i].product;
        int64_t units = 0;

        for (end = i; end < p->sold_count && p->sold[end].product == product; end++) {
            units += p->due[p->sold[end].order].left ? 0 : p->sold[end].units;
        }

        if (units != 0) {
            buffer_format(&a->sql,
                          "%sUPDATE products SET live_units = live_units - %" PRId64
                          ", supplied_units = supplied_units - %" PRId64 ", updated_at = updated_at WHERE id = %" PRIu64
                          ";INSERT INTO stock_movements (product_id, kind, units, stock_after, reason, actor)"
                          " SELECT id, 'archive', %" PRId64 ", stock, 'completed orders', ",
                          a->sql.len > 0 ? ";" : "", units, units, product, -units);
            db_quote(&a->ctl->db, &a->sql, a->ctl->db.actor);
            buffer_format(&a->sql, " FROM products WHERE id = %" PRIu64, product);
        }
    }
}


/* Runs a statement on the orders that go; `head` ends before the list of identifiers. *count: rows that it changed. */
static enum db_result
run_on_orders(struct archive *a, const struct page *p, const char *head, uint64_t *count)
{
    buffer_clear(&a->sql);
    buffer_text(&a->sql, head);
    add_identifiers(&a->sql, p);
    return db_run_counted(&a->ctl->db, &a->sql, count);
}


static enum db_result
change(struct archive *a, void *data)
{
    struct page *p = data;
    enum db_result result = DB_OK;

    p->counts = (struct archive_counts) { 0 };

    if (going(p) == 0 || (result = read_sold(a, p)) != DB_OK || (result = lock_products(a, p)) != DB_OK || going(p) == 0
        || (result = lock_orders(a, p)) != DB_OK || going(p) == 0)
    {
        return going(p) == 0 ? DB_OK : result;
    }

    if ((result = EFFECT("archive.items", run_on_orders(a, p, delete_items, &p->counts.items))) != DB_OK
        || (result = EFFECT("archive.calls", run_on_orders(a, p, delete_calls, &p->counts.gateway_calls))) != DB_OK
        || (result = EFFECT("archive.stubs", run_on_orders(a, p, make_stubs, &p->counts.orders))) != DB_OK)
    {
        return result;
    }

    buffer_clear(&a->sql);
    add_supply(a, p);
    return a->sql.len > 0 ? EFFECT("archive.supply", db_run(&a->ctl->db, &a->sql)) : DB_OK;
}


/* --- the walk ------------------------------------------------------------------------------------------------------
 */


/* A dry run counts what the page has now. */
static int
count_page(struct archive *a, const struct page *p)
{
    struct {
        const char *table;
        uint64_t *count;
    } rows[] = { { "order_items", &a->counts.items }, { "gateway_calls", &a->counts.gateway_calls } };
    int any;

    for (size_t i = 0; i < p->count; i++) {
        a->counts.orders += !p->due[i].left;
    }

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t count = 0;

        buffer_format(&a->sql, "SELECT COUNT(*) FROM %s WHERE order_identifier IN ", rows[i].table);
        add_identifiers(&a->sql, p);

        if (archive_read_number(a, &count, &any) == -1) {
            return -1;
        }

        *rows[i].count += count;
    }

    return 0;
}


static int
take_page(struct archive *a, struct page *p)
{
    uint64_t begun = clock_us();

    if (leave_out(a, p) == -1) {
        return -1;
    }

    if (going(p) == 0) {
        return 0;
    }

    if (a->ctl->dry_run) {
        return count_page(a, p);
    }

    if (read_lines(a, p) == -1 || archive_commit(a, change, p) == -1) {
        return -1;
    }

    a->counts.orders += p->counts.orders;
    a->counts.items += p->counts.items;
    a->counts.gateway_calls += p->counts.gateway_calls;
    archive_rest(begun);
    return 0;
}


int
archive_orders(struct archive *a)
{
    struct page *p = memory_resize(NULL, 1, sizeof(*p));
    int result;

    *p = (struct page) { 0 };

    do {
        result = read_page(a, p);

        if (result == 0 && p->count > 0) {
            result = take_page(a, p);
        }
    } while (result == 0 && p->more);

    identifier_table_free(&p->by_identifier);
    free(p->sold);
    free(p);
    return result;
}
