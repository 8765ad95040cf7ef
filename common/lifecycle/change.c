#include "lifecycle/change.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failpoint.h"
#include "lifecycle/outgoing_event.h"
#include "lifecycle/statements.h"
#include "text/number.h"


static enum db_result
refuse(struct db *db, enum db_result result, const char *why)
{
    db->code = 0;
    snprintf(db->error, sizeof(db->error), "%s", why);
    return result;
}


/* --- what is there ------------------------------------------------------------------------------------------------ */


static int
compare_orders(const void *a, const void *b)
{
    return strcmp(((const struct changed_order *) a)->identifier, ((const struct changed_order *) b)->identifier);
}


static struct changed_order *
find_order(const struct change_batch *batch, const char *identifier)
{
    struct changed_order key;

    snprintf(key.identifier, sizeof(key.identifier), "%s", identifier);
    return batch->order_count == 0 ? NULL
                                   : bsearch(&key, batch->orders, batch->order_count, sizeof(key), compare_orders);
}


/* One line for each identifier, ascending. */
static void
collect_orders(struct change_batch *batch)
{
    size_t distinct = 0;

    for (size_t i = 0; i < batch->count; i++) {
        batch->orders[i] = (struct changed_order) { .passed_over = batch->skip_locked };
        memcpy(batch->orders[i].identifier, batch->changes[i].identifier, sizeof(batch->orders[i].identifier));
    }

    qsort(batch->orders, batch->count, sizeof(*batch->orders), compare_orders);

    for (size_t i = 0; i < batch->count; i++) {
        if (i == 0 || compare_orders(&batch->orders[i], &batch->orders[distinct - 1]) != 0) {
            batch->orders[distinct++] = batch->orders[i];
        }
    }

    batch->order_count = distinct;

    for (size_t i = 0; i < batch->count; i++) {
        batch->changes[i].order = (size_t) (find_order(batch, batch->changes[i].identifier) - batch->orders);
    }
}


static void
add_identifiers(struct change_batch *batch)
{
    for (size_t i = 0; i < batch->order_count; i++) {
        buffer_format(&batch->sql, "%s'%s'", i > 0 ? "," : "", batch->orders[i].identifier);
    }

    buffer_text(&batch->sql, ")");
}


/*
 * What was sold, or asked for where nothing was. Items are written with their order and never changed, and what a
 * tombstone asked for never changes either, so this can be read before any lock is held.
 */
static enum db_result
read_items(struct change_batch *batch, struct db *db)
{
    MYSQL_RES *rows;

    batch->item_count = 0;
    buffer_clear(&batch->sql);
    buffer_text(&batch->sql,
                "SELECT o.order_identifier, COALESCE(i.product_id, o.product_id, 0),"
                " COALESCE(i.quantity, o.quantity, 0), i.product_id IS NOT NULL, o.status FROM orders o"
                " LEFT JOIN order_items i ON i.order_identifier = o.order_identifier WHERE o.order_identifier IN (");
    add_identifiers(batch);

    enum db_result result = EFFECT("change.read_items", db_rows(db, &batch->sql, &rows));

    if (result != DB_OK) {
        return result;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        struct changed_order *o = find_order(batch, row[0]);

        if (o == NULL || batch->item_count == batch->item_capacity) {
            result = refuse(db, DB_POISON, "orders with more items than a batch has room for");
            break;
        }

        o->product = number_of_column(row[1]);
        o->quantity = number_of_column(row[2]);
        o->items += row[3][0] == '1';
        o->seen = order_status_parse(row[4], strlen(row[4]));
        o->was_read = 1;
        batch->items[batch->item_count++] = (struct changed_item) {
            .order = (size_t) (o - batch->orders), .product = o->product, .quantity = (uint32_t) o->quantity
        };
    }

    mysql_free_result(rows);
    return result;
}


/* Can a change of that order move stock, as far as its status is known? */
static void
mark_moving(struct change_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct changed_order *o = &batch->orders[batch->changes[i].order];
        int ended = o->seen == ORDER_FAILED || o->seen == ORDER_FAILED_PAYMENT || o->seen == ORDER_CANCELLED;

        enum order_event event = batch->changes[i].event;

        o->moves_stock |= (event != EVENT_PAYMENT_SUCCEEDED && event != EVENT_COMPLETE) || ended;
    }
}


static int
compare_products(const void *a, const void *b)
{
    uint64_t x = ((const struct product_row *) a)->id, y = ((const struct product_row *) b)->id;

    return x < y ? -1 : x > y;
}


/* The products whose stock may move, each once, ascending. */
static void
collect_products(struct change_batch *batch)
{
    size_t n = 0, distinct = 0;

    for (size_t i = 0; i < batch->item_count; i++) {
        if (batch->orders[batch->items[i].order].moves_stock) {
            batch->products[n++] = (struct product_row) { .id = batch->items[i].product };
        }
    }

    if (n > 0) {
        qsort(batch->products, n, sizeof(*batch->products), compare_products);
    }

    for (size_t i = 0; i < n; i++) {
        if (i == 0 || batch->products[i].id != batch->products[distinct - 1].id) {
            batch->products[distinct++] = batch->products[i];
        }
    }

    batch->product_count = distinct;
    memset(batch->deltas, 0, distinct * sizeof(*batch->deltas));
}


static enum db_result
lock_products(struct change_batch *batch, struct db *db)
{
    mark_moving(batch);
    collect_products(batch);

    for (size_t i = 0; i < batch->item_count; i++) {
        struct changed_item *item = &batch->items[i];
        struct product_row key = { .id = item->product }, *p = NULL;

        if (batch->orders[item->order].moves_stock) {
            p = bsearch(&key, batch->products, batch->product_count, sizeof(key), compare_products);
        }

        item->place = p != NULL ? (size_t) (p - batch->products) : PRODUCT_NOT_LOCKED;
    }

    return EFFECT("change.lock_products",
                  product_rows_read(db, batch->products, batch->product_count,
                                    batch->skip_locked ? ROW_FOR_UPDATE_SKIP_LOCKED : ROW_FOR_UPDATE));
}


static void
fill_in(struct changed_order *o, MYSQL_ROW row)
{
    o->before = o->status = order_status_parse(row[1], strlen(row[1]));
    o->user = number_of_column(row[2]);
    o->total_known = money_parse(&o->total, row[3], strlen(row[3])) == 0;
    snprintf(o->payment_id, sizeof(o->payment_id), "%s", row[4]);
    snprintf(o->code, sizeof(o->code), "%s", row[5]);
    snprintf(o->now, sizeof(o->now), "%s", row[6]);
    o->archived = row[7][0] == '1';
    o->passed_over = 0;
}


/* Only under its lock is an order's status certain. Orders of products that were passed over are passed over too. */
static enum db_result
lock_orders(struct change_batch *batch, struct db *db)
{
    MYSQL_RES *rows;
    size_t wanted = 0;

    for (size_t i = 0; i < batch->item_count && batch->skip_locked; i++) {
        size_t place = batch->items[i].place;

        batch->orders[batch->items[i].order].product_passed_over |= place != PRODUCT_NOT_LOCKED
                                                                    && !batch->products[place].found;
    }

    buffer_clear(&batch->sql);
    buffer_text(&batch->sql, "SELECT order_identifier, status, user_id, total_price, COALESCE(payment_id, ''),"
                             " COALESCE(failure_code, ''), " OUTGOING_EVENT_NOW ", archived_at IS NOT NULL"
                             " FROM orders FORCE INDEX (PRIMARY) WHERE order_identifier IN (");

    for (size_t i = 0; i < batch->order_count; i++) {
        if (!batch->orders[i].product_passed_over) {
            buffer_format(&batch->sql, "%s'%s'", wanted++ > 0 ? "," : "", batch->orders[i].identifier);
        }
    }

    if (wanted == 0) {
        return DB_OK;
    }

    buffer_text(&batch->sql, batch->skip_locked ? ") ORDER BY order_identifier FOR UPDATE SKIP LOCKED"
                                                : ") ORDER BY order_identifier FOR UPDATE");

    enum db_result result = EFFECT("change.lock_orders", db_rows(db, &batch->sql, &rows));

    if (result != DB_OK) {
        return result;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        fill_in(find_order(batch, row[0]), row);
    }

    mysql_free_result(rows);
    return DB_OK;
}


/* Where units may move: MySQL must not have lost what the gate knows of these products and orders. */
static enum db_result
look(struct change_batch *batch, struct db *db)
{
    for (size_t i = 0; i < batch->order_count && batch->look != NULL; i++) {
        if (batch->orders[i].moves_stock && !batch->orders[i].passed_over) {
            return batch->look(batch, db, batch->look_data);
        }
    }

    return DB_OK;
}


/*
 * Under the locks, so that no event of them is applied meanwhile: one that was read before is not applied later than
 * this, and one that comes now comes too late.
 */
static enum db_result
find_overdue(struct change_batch *batch, struct db *db)
{
    MYSQL_RES *rows;
    size_t wanted = 0;

    buffer_clear(&batch->sql);
    buffer_text(&batch->sql, "SELECT o.order_identifier FROM orders o FORCE INDEX (PRIMARY) WHERE " ORDER_IS_OVERDUE
                             " AND o.order_identifier IN (");

    for (size_t i = 0; i < batch->count; i++) {
        if (batch->changes[i].event == EVENT_EXPIRE && !batch->orders[batch->changes[i].order].passed_over) {
            buffer_format(&batch->sql, "%s'%s'", wanted++ > 0 ? "," : "", batch->changes[i].identifier);
        }
    }

    if (wanted == 0) {
        return DB_OK;
    }

    buffer_text(&batch->sql, ")");

    enum db_result result = EFFECT("change.overdue", db_rows(db, &batch->sql, &rows));

    if (result != DB_OK) {
        return result;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        find_order(batch, row[0])->due = 1;
    }

    mysql_free_result(rows);
    return DB_OK;
}


/* Under the orders' locks too: what outcome earlier events had is certain. Orders with a refund alone. */
static enum db_result
find_second_payments(struct change_batch *batch, struct db *db)
{
    MYSQL_RES *rows;
    size_t wanted = 0;

    buffer_clear(&batch->sql);
    buffer_text(&batch->sql,
                "SELECT e.order_identifier, MIN(e.payment_id) FROM payment_events e JOIN orders o"
                " ON o.order_identifier = e.order_identifier WHERE e.outcome = 'paid_twice'"
                " AND e.payment_id <> COALESCE(o.payment_id, '') AND NOT EXISTS (SELECT 1 FROM payment_events r"
                " WHERE r.order_identifier = e.order_identifier AND r.payment_id = e.payment_id"
                " AND r.outcome IN ('other_payment', 'payment_replaced')) AND e.order_identifier IN (");

    for (size_t i = 0; i < batch->count; i++) {
        if (batch->changes[i].event == EVENT_PAYMENT_REFUNDED) {
            buffer_format(&batch->sql, "%s'%s'", wanted++ > 0 ? "," : "", batch->changes[i].identifier);
        }
    }

    if (wanted == 0) {
        return DB_OK;
    }

    buffer_text(&batch->sql, ") GROUP BY e.order_identifier");

    enum db_result result = EFFECT("change.payments", db_rows(db, &batch->sql, &rows));

    if (result != DB_OK) {
        return result;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        struct changed_order *o = find_order(batch, row[0]);

        snprintf(o->second_payment, sizeof(o->second_payment), "%s", row[1]);
    }

    mysql_free_result(rows);
    return DB_OK;
}


/* Items are written under the lock of their order, so under it there is no doubt about them. */
static enum db_result
count_items(struct change_batch *batch, struct db *db, uint64_t *count)
{
    MYSQL_RES *rows;
    size_t doubtful = 0;

    *count = 0;
    buffer_clear(&batch->sql);
    buffer_text(&batch->sql, "SELECT COUNT(*) FROM order_items WHERE order_identifier IN (");

    for (size_t i = 0; i < batch->order_count; i++) {
        const struct changed_order *o = &batch->orders[i];

        if (!o->was_read || (order_is_live(o->status) && o->items == 0)) {
            buffer_format(&batch->sql, "%s'%s'", doubtful++ > 0 ? "," : "", o->identifier);
        }
    }

    if (doubtful == 0) {
        return DB_OK;
    }

    buffer_text(&batch->sql, ")");

    enum db_result result = EFFECT("change.count_items", db_rows(db, &batch->sql, &rows));

    if (result == DB_OK) {
        MYSQL_ROW row = mysql_fetch_row(rows);

        *count = row != NULL ? number_of_column(row[0]) : 0;
        mysql_free_result(rows);
    }

    return result;
}


/*
 * An order that came between the read and the locks, or a tombstone that was paid after all meanwhile: its products are
 * not locked, and the transaction begins again.
 */
static enum db_result
check_items(struct change_batch *batch, struct db *db)
{
    uint64_t count;
    enum db_result result = count_items(batch, db, &count);

    if (result == DB_OK && count > 0) {
        return refuse(db, DB_AGAIN, "an order came to life while its products were locked");
    }

    for (size_t i = 0; i < batch->order_count && result == DB_OK; i++) {
        const struct changed_order *o = &batch->orders[i];

        if (!o->was_read && o->status != ORDER_UNKNOWN) {
            return refuse(db, DB_AGAIN, "an order came while its products were locked");
        }

        if (!o->moves_stock && !o->passed_over && o->status != o->seen) {
            return refuse(db, DB_AGAIN, "an order changed before it was locked");
        }
    }

    return result;
}


enum db_result
change_batch_apply(struct change_batch *batch, struct db *db)
{
    static const struct plan_listener statements = { statements_add_movement, statements_add_event };
    enum db_result result;

    if (batch->count == 0) {
        return DB_OK;
    }

    batch->actor = db->actor;
    collect_orders(batch);
    statements_begin(batch);

    if ((result = read_items(batch, db)) != DB_OK || (result = lock_products(batch, db)) != DB_OK
        || (result = lock_orders(batch, db)) != DB_OK || (result = look(batch, db)) != DB_OK
        || (result = check_items(batch, db)) != DB_OK || (result = find_overdue(batch, db)) != DB_OK
        || (result = find_second_payments(batch, db)) != DB_OK)
    {
        return result;
    }

    if (plan_changes(batch, &statements) == -1) {
        batch->inconsistent = 1;
        return refuse(db, DB_RETRY, "a product whose stock moves is not locked");
    }

    return statements_send(batch, db);
}
