#include "lifecycle/change.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failpoint.h"
#include "lifecycle/statements.h"


struct life *
life_create(size_t capacity)
{
    struct life *life = calloc(1, sizeof(*life));

    if (life == NULL) {
        return NULL;
    }

    life->capacity = capacity;
    life->item_capacity = 2 * capacity + LIFE_ITEMS_MOST;
    life->changes = calloc(capacity, sizeof(*life->changes));
    life->orders = calloc(capacity, sizeof(*life->orders));
    life->items = calloc(life->item_capacity, sizeof(*life->items));
    life->products = calloc(life->item_capacity, sizeof(*life->products));
    life->deltas = calloc(life->item_capacity, sizeof(*life->deltas));

    if (life->changes == NULL || life->orders == NULL || life->items == NULL || life->products == NULL
        || life->deltas == NULL)
    {
        life_free(life);
        return NULL;
    }

    return life;
}


void
life_free(struct life *life)
{
    if (life == NULL) {
        return;
    }

    free(life->changes);
    free(life->orders);
    free(life->items);
    free(life->products);
    free(life->deltas);
    buffer_free(&life->sql);
    buffer_free(&life->movements);
    buffer_free(&life->new_items);
    buffer_free(&life->outgoing);
    free(life);
}


void
life_clear(struct life *life)
{
    life->count = life->order_count = life->item_count = life->product_count = 0;
}


struct life_change *
life_add(struct life *life, const char *identifier, enum life_event event)
{
    if (life->count == life->capacity) {
        return NULL;
    }

    struct life_change *c = &life->changes[life->count++];

    *c = (struct life_change) { .event = event };
    memcpy(c->identifier, identifier, CHECKOUT_IDENTIFIER_LEN);
    return c;
}


int
life_has_moved(const struct life_order *order)
{
    return order->status != order->before;
}


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
    return strcmp(((const struct life_order *) a)->identifier, ((const struct life_order *) b)->identifier);
}


static struct life_order *
find_order(const struct life *life, const char *identifier)
{
    struct life_order key;

    snprintf(key.identifier, sizeof(key.identifier), "%s", identifier);
    return life->order_count == 0 ? NULL
           : bsearch(&key, life->orders, life->order_count, sizeof(key), compare_orders);
}


/* One line for each identifier, ascending. */
static void
collect_orders(struct life *life)
{
    size_t distinct = 0;

    for (size_t i = 0; i < life->count; i++) {
        life->orders[i] = (struct life_order) { .left = life->skip_locked };
        memcpy(life->orders[i].identifier, life->changes[i].identifier, sizeof(life->orders[i].identifier));
    }

    qsort(life->orders, life->count, sizeof(*life->orders), compare_orders);

    for (size_t i = 0; i < life->count; i++) {
        if (i == 0 || compare_orders(&life->orders[i], &life->orders[distinct - 1]) != 0) {
            life->orders[distinct++] = life->orders[i];
        }
    }

    life->order_count = distinct;

    for (size_t i = 0; i < life->count; i++) {
        life->changes[i].order = (size_t) (find_order(life, life->changes[i].identifier) - life->orders);
    }
}


static void
add_identifiers(struct life *life)
{
    for (size_t i = 0; i < life->order_count; i++) {
        buffer_format(&life->sql, "%s'%s'", i > 0 ? "," : "", life->orders[i].identifier);
    }

    buffer_text(&life->sql, ")");
}


/*
 * What was sold, or asked for where nothing was. Items are written with their order and never changed, and what a
 * tombstone asked for never changes either, so this can be read before any lock is held.
 */
static enum db_result
read_items(struct life *life, struct db *db)
{
    MYSQL_RES *rows;

    life->item_count = 0;
    buffer_clear(&life->sql);
    buffer_text(&life->sql, "SELECT o.order_identifier, COALESCE(i.product_id, o.product_id, 0),"
                " COALESCE(i.quantity, o.quantity, 0), i.product_id IS NOT NULL, o.status FROM orders o"
                " LEFT JOIN order_items i ON i.order_identifier = o.order_identifier WHERE o.order_identifier IN (");
    add_identifiers(life);

    enum db_result result = EFFECT("life.read_items", db_rows(db, &life->sql, &rows));

    if (result != DB_OK) {
        return result;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL; ) {
        struct life_order *o = find_order(life, row[0]);

        if (o == NULL || life->item_count == life->item_capacity) {
            result = refuse(db, DB_POISON, "orders with more items than a batch has room for");
            break;
        }

        o->product = strtoull(row[1], NULL, 10);
        o->quantity = strtoull(row[2], NULL, 10);
        o->items += row[3][0] == '1';
        o->seen = life_status_read(row[4], strlen(row[4]));
        o->was_read = 1;
        life->items[life->item_count++] = (struct life_item) {
            .order = (size_t) (o - life->orders), .product = o->product, .quantity = (uint32_t) o->quantity
        };
    }

    mysql_free_result(rows);
    return result;
}


/* Can a change of that order move stock, as far as its status is known? */
static void
mark_moving(struct life *life)
{
    for (size_t i = 0; i < life->count; i++) {
        struct life_order *o = &life->orders[life->changes[i].order];
        int ended = o->seen == LIFE_FAILED || o->seen == LIFE_FAILED_PAYMENT || o->seen == LIFE_CANCELLED;

        o->moves_stock |= life->changes[i].event != LIFE_PAYMENT_SUCCEEDED || ended;
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
collect_products(struct life *life)
{
    size_t n = 0, distinct = 0;

    for (size_t i = 0; i < life->item_count; i++) {
        if (life->orders[life->items[i].order].moves_stock) {
            life->products[n++] = (struct product_row) { .id = life->items[i].product };
        }
    }

    if (n > 0) {
        qsort(life->products, n, sizeof(*life->products), compare_products);
    }

    for (size_t i = 0; i < n; i++) {
        if (i == 0 || life->products[i].id != life->products[distinct - 1].id) {
            life->products[distinct++] = life->products[i];
        }
    }

    life->product_count = distinct;
    memset(life->deltas, 0, distinct * sizeof(*life->deltas));
}


static enum db_result
lock_products(struct life *life, struct db *db)
{
    mark_moving(life);
    collect_products(life);

    for (size_t i = 0; i < life->item_count; i++) {
        struct life_item *item = &life->items[i];
        struct product_row key = { .id = item->product }, *p = NULL;

        if (life->orders[item->order].moves_stock) {
            p = bsearch(&key, life->products, life->product_count, sizeof(key), compare_products);
        }

        item->place = p != NULL ? (size_t) (p - life->products) : LIFE_NO_PLACE;
    }

    return EFFECT("life.lock_products", product_rows_read(db, life->products, life->product_count,
                  life->skip_locked ? ROW_FOR_UPDATE_SKIP_LOCKED : ROW_FOR_UPDATE));
}


static void
fill_in(struct life_order *o, MYSQL_ROW row)
{
    o->before = o->status = life_status_read(row[1], strlen(row[1]));
    o->user = strtoull(row[2], NULL, 10);
    o->total_known = money_parse(&o->total, row[3], strlen(row[3])) == 0;
    snprintf(o->payment_id, sizeof(o->payment_id), "%s", row[4]);
    snprintf(o->code, sizeof(o->code), "%s", row[5]);
    snprintf(o->now, sizeof(o->now), "%s", row[6]);
    o->left = 0;
}


/* The lock of an order tells its status for certain. Orders of products that were passed over are passed over too. */
static enum db_result
lock_orders(struct life *life, struct db *db)
{
    MYSQL_RES *rows;
    size_t wanted = 0;

    for (size_t i = 0; i < life->item_count && life->skip_locked; i++) {
        size_t place = life->items[i].place;

        life->orders[life->items[i].order].product_left |= place != LIFE_NO_PLACE && !life->products[place].found;
    }

    buffer_clear(&life->sql);
    buffer_text(&life->sql, "SELECT order_identifier, status, user_id, total_price, COALESCE(payment_id, ''),"
                " COALESCE(failure_code, ''), DATE_FORMAT(NOW(3), '%Y-%m-%dT%H:%i:%s.%f')"
                " FROM orders FORCE INDEX (PRIMARY) WHERE order_identifier IN (");

    for (size_t i = 0; i < life->order_count; i++) {
        if (!life->orders[i].product_left) {
            buffer_format(&life->sql, "%s'%s'", wanted++ > 0 ? "," : "", life->orders[i].identifier);
        }
    }

    if (wanted == 0) {
        return DB_OK;
    }

    buffer_text(&life->sql, life->skip_locked ? ") ORDER BY order_identifier FOR UPDATE SKIP LOCKED"
                                              : ") ORDER BY order_identifier FOR UPDATE");

    enum db_result result = EFFECT("life.lock_orders", db_rows(db, &life->sql, &rows));

    if (result != DB_OK) {
        return result;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL; ) {
        fill_in(find_order(life, row[0]), row);
    }

    mysql_free_result(rows);
    return DB_OK;
}


/*
 * Under the locks, so that no event of them is applied meanwhile: one that was read before is not applied later than
 * this, and one that comes now comes too late.
 */
static enum db_result
find_overdue(struct life *life, struct db *db)
{
    MYSQL_RES *rows;
    size_t wanted = 0;

    buffer_clear(&life->sql);
    buffer_text(&life->sql, "SELECT o.order_identifier FROM orders o FORCE INDEX (PRIMARY) WHERE " LIFE_IS_OVERDUE
                " AND o.order_identifier IN (");

    for (size_t i = 0; i < life->count; i++) {
        if (life->changes[i].event == LIFE_EXPIRE && !life->orders[life->changes[i].order].left) {
            buffer_format(&life->sql, "%s'%s'", wanted++ > 0 ? "," : "", life->changes[i].identifier);
        }
    }

    if (wanted == 0) {
        return DB_OK;
    }

    buffer_text(&life->sql, ")");

    enum db_result result = EFFECT("life.overdue", db_rows(db, &life->sql, &rows));

    if (result != DB_OK) {
        return result;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL; ) {
        find_order(life, row[0])->due = 1;
    }

    mysql_free_result(rows);
    return DB_OK;
}


/* Under the orders' locks too: what outcome earlier events had is certain. Orders with a refund alone. */
static enum db_result
find_second_payments(struct life *life, struct db *db)
{
    MYSQL_RES *rows;
    size_t wanted = 0;

    buffer_clear(&life->sql);
    buffer_text(&life->sql, "SELECT e.order_identifier, MIN(e.payment_id) FROM payment_events e JOIN orders o"
                " ON o.order_identifier = e.order_identifier WHERE e.outcome = 'paid_twice'"
                " AND e.payment_id <> COALESCE(o.payment_id, '') AND NOT EXISTS (SELECT 1 FROM payment_events r"
                " WHERE r.order_identifier = e.order_identifier AND r.payment_id = e.payment_id"
                " AND r.outcome IN ('other_payment', 'payment_replaced')) AND e.order_identifier IN (");

    for (size_t i = 0; i < life->count; i++) {
        if (life->changes[i].event == LIFE_PAYMENT_REFUNDED) {
            buffer_format(&life->sql, "%s'%s'", wanted++ > 0 ? "," : "", life->changes[i].identifier);
        }
    }

    if (wanted == 0) {
        return DB_OK;
    }

    buffer_text(&life->sql, ") GROUP BY e.order_identifier");

    enum db_result result = EFFECT("life.payments", db_rows(db, &life->sql, &rows));

    if (result != DB_OK) {
        return result;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL; ) {
        struct life_order *o = find_order(life, row[0]);

        snprintf(o->second_payment, sizeof(o->second_payment), "%s", row[1]);
    }

    mysql_free_result(rows);
    return DB_OK;
}


/* Items are written under the lock of their order, so under it there is no doubt about them. */
static enum db_result
count_items(struct life *life, struct db *db, uint64_t *count)
{
    MYSQL_RES *rows;
    size_t doubtful = 0;

    *count = 0;
    buffer_clear(&life->sql);
    buffer_text(&life->sql, "SELECT COUNT(*) FROM order_items WHERE order_identifier IN (");

    for (size_t i = 0; i < life->order_count; i++) {
        const struct life_order *o = &life->orders[i];

        if (!o->was_read || (life_is_live(o->status) && o->items == 0)) {
            buffer_format(&life->sql, "%s'%s'", doubtful++ > 0 ? "," : "", o->identifier);
        }
    }

    if (doubtful == 0) {
        return DB_OK;
    }

    buffer_text(&life->sql, ")");

    enum db_result result = EFFECT("life.count_items", db_rows(db, &life->sql, &rows));

    if (result == DB_OK) {
        MYSQL_ROW row = mysql_fetch_row(rows);

        *count = row != NULL ? strtoull(row[0], NULL, 10) : 0;
        mysql_free_result(rows);
    }

    return result;
}


/*
 * An order that came between the read and the locks, or a tombstone that was paid after all meanwhile: its products are
 * not locked, and the transaction begins again.
 */
static enum db_result
check_items(struct life *life, struct db *db)
{
    uint64_t count;
    enum db_result result = count_items(life, db, &count);

    if (result == DB_OK && count > 0) {
        return refuse(db, DB_AGAIN, "an order came to life while its products were locked");
    }

    for (size_t i = 0; i < life->order_count && result == DB_OK; i++) {
        const struct life_order *o = &life->orders[i];

        if (!o->was_read && o->status != LIFE_UNKNOWN) {
            return refuse(db, DB_AGAIN, "an order came while its products were locked");
        }

        if (!o->moves_stock && !o->left && o->status != o->seen) {
            return refuse(db, DB_AGAIN, "an order changed before it was locked");
        }
    }

    return result;
}


/* --- decide ------------------------------------------------------------------------------------------------------- */


/* Of a tombstone, today's price counts; it has no other. */
static int
total_of(const struct life *life, const struct life_order *o, uint64_t *total)
{
    uint64_t sum = 0, price, units;

    if (o->items > 0 || o->total > 0) {
        *total = o->total;
        return o->total_known;
    }

    for (size_t i = 0; i < life->item_count; i++) {
        const struct life_item *item = &life->items[i];
        const struct product_row *p = item->place != LIFE_NO_PLACE ? &life->products[item->place] : NULL;

        if (&life->orders[item->order] != o) {
            continue;
        }

        if (p == NULL || !p->found || money_parse(&price, p->price, strlen(p->price)) == -1
            || __builtin_mul_overflow(price, item->quantity, &units) || __builtin_add_overflow(sum, units, &sum))
        {
            return 0;
        }
    }

    *total = sum;
    return 1;
}


static int
stock_suffices(const struct life *life, size_t order)
{
    int any = 0;

    for (size_t i = 0; i < life->item_count; i++) {
        const struct life_item *item = &life->items[i];
        const struct product_row *p = item->place != LIFE_NO_PLACE ? &life->products[item->place] : NULL;

        if (item->order != order) {
            continue;
        }

        if (p == NULL || !p->found || item->quantity == 0
            || p->stock + life->deltas[item->place].delta < (int64_t) item->quantity)
        {
            return 0;
        }

        any = 1;
    }

    return any;
}


static struct life_facts
facts_of(const struct life *life, const struct life_change *c)
{
    const struct life_order *o = &life->orders[c->order];
    struct life_facts facts = { .due = o->due, .too_old = c->too_old, .without_items = o->items == 0 };
    uint64_t total;

    if (o->status == LIFE_UNKNOWN) {
        return facts;
    }

    facts.currency_right = strcmp(c->currency, life->currency) == 0;
    facts.amount_right = total_of(life, o, &total) && total == c->amount;
    facts.same_payment = c->payment_id[0] == '\0' || o->payment_id[0] == '\0'
                         || strcmp(c->payment_id, o->payment_id) == 0;
    facts.paid_twice = o->second_payment[0] != '\0';
    facts.stock_suffices = stock_suffices(life, c->order);
    return facts;
}


/* Moves the units of an order's items, in memory. */
static void
move_stock(struct life *life, const struct life_change *c, enum life_status from, enum life_stock stock)
{
    struct life_order *o = &life->orders[c->order];

    for (size_t i = 0; i < life->item_count && stock != LIFE_STOCK_STAYS; i++) {
        const struct life_item *item = &life->items[i];

        if (item->order != c->order) {
            continue;
        }

        int64_t units = stock == LIFE_STOCK_TAKEN ? -(int64_t) item->quantity : (int64_t) item->quantity;

        if (stock != LIFE_STOCK_WRITTEN_OFF) {
            life->deltas[item->place].delta += units;
        }

        if (item->product == o->product) {
            o->taken -= units;
        }

        life_write_movement(life, c, item, from, stock);
    }
}


static void
remember(struct life_order *o, const struct life_change *c, const struct life_step *step)
{
    if (step->outcome == LIFE_OUT_PAID || step->outcome == LIFE_OUT_PAID_LATE
        || step->outcome == LIFE_OUT_REFUND_PENDING)
    {
        snprintf(o->payment_id, sizeof(o->payment_id), "%s", c->payment_id);
        o->new_payment = 1;

        if (o->items == 0) {
            o->total = c->amount;
            o->new_total = 1;
        }

        o->code[0] = '\0';
    }

    if (step->outcome == LIFE_OUT_PAID_LATE && o->items == 0) {
        o->new_item = 1;
        o->items = 1;
    }

    if (step->outcome == LIFE_OUT_REFUND_PENDING) {
        snprintf(o->code, sizeof(o->code), "late_payment");
    } else if (c->code != NULL && !life_is_live(step->status)) {
        snprintf(o->code, sizeof(o->code), "%s", c->code);
    }
}


static void
decide_one(struct life *life, struct life_change *c)
{
    struct life_order *o = &life->orders[c->order];

    if (o->left) {
        c->outcome = LIFE_OUT_LEFT;
        return;
    }

    /* What was read of earlier payments does not know of those in this batch: the next one does. */
    if (c->event == LIFE_PAYMENT_REFUNDED && o->paid_now) {
        c->outcome = LIFE_OUT_WAITS;
        return;
    }

    enum life_status seen = c->user != 0 && c->user != o->user ? LIFE_UNKNOWN : o->status;
    struct life_facts facts = facts_of(life, c);
    struct life_step step = life_decide(seen, c->event, &facts);

    c->outcome = step.outcome;
    o->paid_now |= c->event == LIFE_PAYMENT_SUCCEEDED || c->event == LIFE_PAYMENT_REFUNDED;

    if (step.outcome == LIFE_OUT_PAYMENT_REPLACED) {
        memcpy(o->payment_id, o->second_payment, sizeof(o->payment_id));
        o->new_payment = 1;
    }

    if (step.status == seen) {
        return;
    }

    enum life_status from = o->status;

    o->status = step.status;
    remember(o, c, &step);
    move_stock(life, c, from, step.stock);
    life_write_outgoing(life, o);
}


enum db_result
life_apply(struct life *life, struct db *db)
{
    enum db_result result;

    if (life->count == 0) {
        return DB_OK;
    }

    collect_orders(life);
    life_write_begin(life);

    if ((result = read_items(life, db)) != DB_OK
        || (result = lock_products(life, db)) != DB_OK
        || (result = lock_orders(life, db)) != DB_OK
        || (result = check_items(life, db)) != DB_OK
        || (result = find_overdue(life, db)) != DB_OK
        || (result = find_second_payments(life, db)) != DB_OK)
    {
        return result;
    }

    for (size_t i = 0; i < life->count; i++) {
        decide_one(life, &life->changes[i]);
    }

    return life_write(life, db);
}
