/*
 * The step of `checkoutctl archive` for stock movements. What a product's loads, adjustments and archive movements
 * supplied is carried in one movement of kind `archive`, in the transaction that deletes them and under the product's
 * lock: law 1 holds before and after, and the product's counters stay as they are.
 *
 * Archive movements of any age are carried, so that those of this run, one for each batch of orders, become one. The
 * walk is by product, and meets the movement that it wrote itself at the product's end.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "ctl/archive_step.h"
#include "failpoint.h"
#include "order/order_sql.h"
#include "text/number.h"

struct movement {
    uint64_t id, product;
    int is_archive, is_supply;
    int stays; /* the only one that counts as supply is an archive movement already: carrying it would gain nothing */
};

struct page {
    struct movement due[ARCHIVE_PAGE]; /* by product, then by id */
    size_t count;
    uint64_t last_product, last; /* the walk's place: a product, and the id of its movement */
    int more;
    uint64_t gone, locked; /* of the transaction: movements */
};


static const char insert_carried[] =
    "INSERT INTO stock_movements (product_id, kind, units, stock_after, reason, actor) VALUES ";


/* One past the last movement of the product that begins at `first`. */
static size_t
product_end(const struct page *p, size_t first)
{
    size_t end = first;

    while (end < p->count && p->due[end].product == p->due[first].product) {
        end++;
    }

    return end;
}


static void
mark_staying(struct page *p)
{
    for (size_t i = 0, end; i < p->count; i = end) {
        size_t supply = 0, only = 0;

        for (end = product_end(p, i); i < end; i++) {
            supply += (size_t) p->due[i].is_supply;
            only = p->due[i].is_supply ? i : only;
        }

        if (supply == 1 && p->due[only].is_archive) {
            p->due[only].stays = 1;
        }
    }
}


static int
read_page(struct archive *a, struct page *p)
{
    buffer_format(&a->sql,
                  "SELECT id, product_id, kind = 'archive', kind IN (" ORDER_SQL_SUPPLY "),"
                  " created_at < %s OR kind = 'archive' FROM stock_movements FORCE INDEX (stock_movements_product)"
                  " WHERE (product_id = %" PRIu64 " AND id > %" PRIu64 ") OR product_id > %" PRIu64
                  " ORDER BY product_id, id LIMIT %d",
                  a->before, p->last_product, p->last, p->last_product, ARCHIVE_PAGE);

    MYSQL_RES *rows = archive_read(a);

    if (rows == NULL) {
        return -1;
    }

    p->more = mysql_num_rows(rows) == ARCHIVE_PAGE;
    p->count = 0;

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        p->last = number_of_column(row[0]);
        p->last_product = number_of_column(row[1]);

        if (row[4][0] == '1') {
            p->due[p->count++] = (struct movement) {
                .id = p->last,
                .product = number_of_column(row[1]),
                .is_archive = row[2][0] == '1',
                .is_supply = row[3][0] == '1'
            };
        }
    }

    mysql_free_result(rows);

    mark_staying(p);
    return 0;
}


/* Adds "(1,2)", the ids of movements that go. Returns how many; 0: nothing was added. */
static size_t
add_ids(struct buffer *sql, const struct page *p)
{
    size_t n = 0;

    for (size_t i = 0; i < p->count; i++) {
        if (!p->due[i].stays) {
            buffer_format(sql, "%s%" PRIu64, n++ > 0 ? "," : "(", p->due[i].id);
        }
    }

    buffer_text(sql, n > 0 ? ")" : "");
    return n;
}


/* --- under locks ---------------------------------------------------------------------------------------------------
 */


/* Movements of products that another session has locked stay, this time; those of products that are gone always. */
static enum db_result
lock_products(struct archive *a, struct page *p)
{
    MYSQL_RES *rows;

    buffer_clear(&a->sql);

    for (size_t i = 0; i < p->count; i = product_end(p, i)) {
        buffer_format(&a->sql, "%s%" PRIu64, i > 0 ? "," : "SELECT id FROM products WHERE id IN (", p->due[i].product);
    }

    buffer_text(&a->sql, ") ORDER BY id FOR UPDATE SKIP LOCKED");

    enum db_result result = EFFECT("archive.lock_products", db_rows(&a->ctl->db, &a->sql, &rows));

    if (result != DB_OK) {
        return result;
    }

    MYSQL_ROW row = mysql_fetch_row(rows);

    for (size_t i = 0, end; i < p->count; i = end) {
        uint64_t product = p->due[i].product;

        while (row != NULL && number_of_column(row[0]) < product) {
            row = mysql_fetch_row(rows);
        }

        int locked = row != NULL && number_of_column(row[0]) == product;

        for (end = product_end(p, i); i < end; i++) {
            p->locked += !locked && !p->due[i].stays;
            p->due[i].stays |= !locked;
        }
    }

    mysql_free_result(rows);
    return DB_OK;
}


/* What is still there, which another run of this command may have changed. */
static enum db_result
read_supply(struct archive *a, struct page *p, struct buffer *carry)
{
    MYSQL_RES *rows;

    buffer_clear(&a->sql);
    buffer_text(&a->sql, "SELECT m.product_id, SUM(m.units), MAX(p.stock) FROM stock_movements m"
                         " JOIN products p ON p.id = m.product_id WHERE m.kind IN (" ORDER_SQL_SUPPLY ") AND m.id IN ");

    if (add_ids(&a->sql, p) == 0) {
        return DB_OK;
    }

    buffer_text(&a->sql, " GROUP BY m.product_id");

    enum db_result result = EFFECT("archive.read_supply", db_rows(&a->ctl->db, &a->sql, &rows));

    if (result != DB_OK) {
        return result;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        if (number_of_signed_column(row[1]) == 0) {
            continue;
        }

        buffer_format(carry, "%s(%s,'archive',%s,%s,'earlier movements',", carry->len > 0 ? "," : insert_carried,
                      row[0], row[1], row[2]);
        db_quote(&a->ctl->db, carry, a->ctl->db.actor);
        buffer_text(carry, ")");
    }

    mysql_free_result(rows);
    return DB_OK;
}


static enum db_result
delete_movements(struct archive *a, struct page *p)
{
    buffer_clear(&a->sql);
    buffer_text(&a->sql, "DELETE FROM stock_movements WHERE id IN ");

    p->gone = 0;

    return add_ids(&a->sql, p) > 0 ? db_run_counted(&a->ctl->db, &a->sql, &p->gone) : DB_OK;
}


static enum db_result
change(struct archive *a, void *data)
{
    struct page *p = data;
    struct buffer carry = { 0 };
    enum db_result result;

    if ((result = lock_products(a, p)) == DB_OK && (result = read_supply(a, p, &carry)) == DB_OK
        && (result = EFFECT("archive.movements", delete_movements(a, p))) == DB_OK && carry.len > 0)
    {
        result = EFFECT("archive.carry", db_run(&a->ctl->db, &carry));
    }

    buffer_free(&carry);
    return result;
}


/* --- the walk ------------------------------------------------------------------------------------------------------
 */


static int
take_page(struct archive *a, struct page *p)
{
    uint64_t begun = clock_us(), count = 0;

    buffer_text(&a->sql, "SELECT * FROM stock_movements WHERE id IN ");

    size_t going = add_ids(&a->sql, p);

    if (going == 0 || a->ctl->dry_run) {
        buffer_clear(&a->sql);
        a->counts.movements += going;
        return 0;
    }

    p->locked = 0;

    if (archive_add_lines(a, "stock_movements", &count) == -1 || archive_keep_lines(a) == -1
        || archive_commit(a, change, p) == -1)
    {
        return -1;
    }

    a->counts.movements += p->gone;
    a->counts.left[ARCHIVE_LEFT_LOCKED] += p->locked;
    archive_rest(begun);
    return 0;
}


int
archive_movements(struct archive *a)
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

    free(p);
    return result;
}
