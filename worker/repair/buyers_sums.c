#include "repair/buyers_sums.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "failpoint.h"
#include "order/order_sql.h"
#include "text/number.h"

#define PAGE 5000 /* items of one statement */


void
buyers_sums_add(struct buyers_sums *sums, uint64_t user, int64_t units)
{
    if (sums->count == sums->capacity) {
        sums->capacity = sums->capacity == 0 ? 256 : 2 * sums->capacity;
        sums->all = memory_resize(sums->all, sums->capacity, sizeof(*sums->all));
    }

    sums->all[sums->count++] = (struct buyer_sum) { user, units };
}


static int
compare(const void *a, const void *b)
{
    uint64_t x = ((const struct buyer_sum *) a)->user, y = ((const struct buyer_sum *) b)->user;

    return x < y ? -1 : x > y;
}


void
buyers_sums_total(struct buyers_sums *sums)
{
    size_t distinct = 0;

    if (sums->count > 0) {
        qsort(sums->all, sums->count, sizeof(*sums->all), compare);
    }

    for (size_t i = 0; i < sums->count; i++) {
        if (distinct > 0 && sums->all[distinct - 1].user == sums->all[i].user) {
            sums->all[distinct - 1].units += sums->all[i].units;
        } else {
            sums->all[distinct++] = sums->all[i];
        }
    }

    sums->count = distinct;
}


void
buyers_sums_merge(struct buyers_sums *sums, const struct buyers_sums *more, struct buyers_sums *changed)
{
    struct buyers_sums unknown = { 0 };

    for (size_t i = 0; i < more->count; i++) {
        const struct buyer_sum *m = &more->all[i];
        struct buyer_sum *s = sums->count > 0 ? bsearch(m, sums->all, sums->count, sizeof(*m), compare) : NULL;

        if (m->units == 0) {
            continue;
        }

        if (s == NULL) {
            buyers_sums_add(&unknown, m->user, m->units);
        } else {
            s->units += m->units;
        }

        buyers_sums_add(changed, m->user, s != NULL ? s->units : m->units);
    }

    for (size_t i = 0; i < unknown.count; i++) {
        buyers_sums_add(sums, unknown.all[i].user, unknown.all[i].units);
    }

    if (unknown.count > 0) {
        buyers_sums_total(sums);
    }

    buyers_sums_free(&unknown);
}


/* Items of orders that ended are read too: the page follows the index. */
enum db_result
buyers_sums_read_page(struct db *db, uint64_t product, struct buyers_sums *sums,
                      char after[CHECKOUT_IDENTIFIER_LEN + 1], int *more)
{
    struct buffer sql = { 0 };
    MYSQL_RES *rows;

    buffer_format(
        &sql,
        "SELECT i.order_identifier, o.user_id, IF(o.status IN (" ORDER_SQL_LIVE "), i.quantity, 0)"
        " FROM order_items i FORCE INDEX (order_items_of_product) STRAIGHT_JOIN orders o FORCE INDEX (PRIMARY)"
        " ON o.order_identifier = i.order_identifier WHERE i.product_id = %" PRIu64
        " AND i.order_identifier > '%s' ORDER BY i.order_identifier LIMIT %d",
        product, after, PAGE);

    enum db_result result = EFFECT("buyers.sums", db_rows(db, &sql, &rows));

    buffer_free(&sql);

    if (result != DB_OK) {
        return result;
    }

    *more = mysql_num_rows(rows) == PAGE;

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        int64_t units = number_of_signed_column(row[2]);

        snprintf(after, CHECKOUT_IDENTIFIER_LEN + 1, "%s", row[0]);

        if (units > 0) {
            buyers_sums_add(sums, number_of_column(row[1]), units);
        }
    }

    mysql_free_result(rows);
    return DB_OK;
}


void
buyers_sums_free(struct buyers_sums *sums)
{
    free(sums->all);
    *sums = (struct buyers_sums) { 0 };
}
