/*
 * A step of the rebuild: for every product with a limit, the units that each user holds, in live orders and in flight;
 * for the others no such count.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/stop.h"
#include "failpoint.h"
#include "order/order_sql.h"
#include "redis/gate.h"
#include "redis/keys.h"
#include "redis/loaded_products.h"
#include "redis/order_records.h"
#include "repair/rebuild_buyers.h"
#include "text/buffer.h"
#include "text/number.h"

#define TRIES         50 /* counts of one product, while workers settle its orders */
#define WAIT_MS       100
#define MOVED_MINUTES 10     /* a move reaches the gate within seconds, or never */
#define MOVED_MOST    100000 /* of one product; the newest ones */

struct holding {
    uint64_t user;
    int64_t units;
};

/* An order whose record may be about to change, and the count with it. */
struct by_record {
    char identifier[CHECKOUT_IDENTIFIER_LEN + 1];
    uint64_t user;
    uint32_t quantity;
    int without; /* 1: counted also where it has no record */
};

struct holdings {
    struct holding *all;
    size_t count, capacity;
    struct by_record *recorded; /* counted by the gate's records as they are when the count is written */
    size_t recorded_count, recorded_capacity;
};


static void
add_holding(struct holdings *h, uint64_t user, int64_t units)
{
    if (h->count == h->capacity) {
        h->capacity = h->capacity == 0 ? 256 : 2 * h->capacity;
        h->all = memory_resize(h->all, h->capacity, sizeof(*h->all));
    }

    h->all[h->count++] = (struct holding) { user, units };
}


static void
add_by_record(struct holdings *h, const char *identifier, uint64_t user, uint32_t quantity, int without)
{
    if (h->recorded_count == h->recorded_capacity) {
        h->recorded_capacity = h->recorded_capacity == 0 ? 256 : 2 * h->recorded_capacity;
        h->recorded = memory_resize(h->recorded, h->recorded_capacity, sizeof(*h->recorded));
    }

    struct by_record *r = &h->recorded[h->recorded_count++];

    *r = (struct by_record) { .user = user, .quantity = quantity, .without = without };
    snprintf(r->identifier, sizeof(r->identifier), "%s", identifier);
}


static int
compare_users(const void *a, const void *b)
{
    uint64_t x = ((const struct holding *) a)->user, y = ((const struct holding *) b)->user;

    return x < y ? -1 : x > y;
}


/* One line for each user who holds something. */
static void
sum_up(struct holdings *h)
{
    size_t distinct = 0;

    if (h->count > 0) {
        qsort(h->all, h->count, sizeof(*h->all), compare_users);
    }

    for (size_t i = 0; i < h->count; i++) {
        if (distinct > 0 && h->all[distinct - 1].user == h->all[i].user) {
            h->all[distinct - 1].units += h->all[i].units;
        } else {
            h->all[distinct++] = h->all[i];
        }
    }

    h->count = distinct;
}


static enum rebuild_result
read_live(struct rebuild *r, uint64_t product, struct holdings *h)
{
    struct buffer sql = { 0 };
    MYSQL_RES *rows;

    buffer_format(&sql,
                  "SELECT o.user_id, SUM(i.quantity) FROM order_items i"
                  " JOIN orders o ON o.order_identifier = i.order_identifier WHERE i.product_id = %" PRIu64
                  " AND o.status IN (" ORDER_SQL_LIVE ") GROUP BY o.user_id",
                  product);

    enum db_result result = EFFECT("rebuild.read_live", db_rows(r->db, &sql, &rows));

    buffer_free(&sql);

    if (result != DB_OK) {
        return REBUILD_DB_FAILED;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        add_holding(h, number_of_column(row[0]), number_of_signed_column(row[1]));
    }

    mysql_free_result(rows);
    return REBUILD_DONE;
}


/* Is that row the one that the waiting order asks for? The same identifier with other content will fail. */
static const struct queued_order *
find_waiting(const struct rebuild *r, MYSQL_ROW row)
{
    const struct queued_order *q = queue_view_find(&r->waiting, row[0]);

    return q != NULL && q->user == number_of_column(row[1]) && q->quantity == number_of_column(row[2]) ? q : NULL;
}


/*
 * An order that waits is counted as well, and its settle gives the units back if it failed. Where its own row is there
 * already, the gate's record decides when the count is written: whoever changes that record moves the units too: the
 * settle, or the script transition after a later change (cancelled in the queue, paid after that).
 */
static enum rebuild_result
subtract_decided(struct rebuild *r, const struct buffer *identifiers, struct holdings *h)
{
    struct buffer sql = { 0 };
    MYSQL_RES *rows;

    if (identifiers->len == 0) {
        return REBUILD_DONE;
    }

    buffer_text(&sql, "SELECT o.order_identifier, o.user_id, COALESCE(i.quantity, o.quantity, 0),"
                      " o.status IN (" ORDER_SQL_LIVE ") FROM orders o LEFT JOIN order_items i"
                      " ON i.order_identifier = o.order_identifier WHERE o.order_identifier IN (");
    buffer_add(&sql, identifiers->data, identifiers->len);
    buffer_text(&sql, ")");

    enum db_result result = db_rows(r->db, &sql, &rows);

    buffer_free(&sql);

    if (result != DB_OK) {
        return REBUILD_DB_FAILED;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        const struct queued_order *q = find_waiting(r, row);

        if (q != NULL) {
            /* Once as it waits, and once more where its row is live. */
            add_holding(h, q->user, -(int64_t) q->quantity * (row[3][0] == '1' ? 2 : 1));
            add_by_record(h, q->identifier, q->user, q->quantity, 1);
        }
    }

    mysql_free_result(rows);
    return REBUILD_DONE;
}


static enum rebuild_result
read_waiting(struct rebuild *r, uint64_t product, struct holdings *h)
{
    struct buffer identifiers = { 0 };
    enum rebuild_result result = REBUILD_DONE;
    size_t in_list = 0;

    for (size_t i = 0; i < r->waiting.count && result == REBUILD_DONE; i++) {
        const struct queued_order *q = &r->waiting.orders[i];

        if (q->product != product) {
            continue;
        }

        add_holding(h, q->user, q->quantity);

        /* Once for each identifier, and not too many in one statement. */
        if (queue_view_find(&r->waiting, q->identifier) == q) {
            buffer_format(&identifiers, "%s'%s'", in_list++ > 0 ? "," : "", q->identifier);
        }

        if (in_list == 1000) {
            result = subtract_decided(r, &identifiers, h);
            buffer_clear(&identifiers);
            in_list = 0;
        }
    }

    if (result == REBUILD_DONE) {
        result = subtract_decided(r, &identifiers, h);
    }

    buffer_free(&identifiers);
    return result;
}


/*
 * A move of stock that was committed and perhaps has not reached the gate: whoever brings it there changes record and
 * count. An order that ended is counted until its record says so, and one that was paid after it had ended is counted
 * only then. Orders that wait in the queue were counted before.
 */
static enum rebuild_result
read_moved(struct rebuild *r, uint64_t product, struct holdings *h)
{
    struct buffer sql = { 0 };
    MYSQL_RES *rows;

    buffer_format(&sql,
                  "SELECT DISTINCT o.order_identifier, o.user_id, COALESCE(i.quantity, o.quantity, 0),"
                  " o.status IN (" ORDER_SQL_LIVE ") FROM (SELECT order_identifier FROM stock_movements"
                  " WHERE product_id = %" PRIu64 " AND order_identifier IS NOT NULL"
                  " AND created_at > NOW(3) - INTERVAL %d MINUTE ORDER BY id DESC LIMIT %d) m"
                  " JOIN orders o ON o.order_identifier = m.order_identifier LEFT JOIN order_items i"
                  " ON i.order_identifier = o.order_identifier AND i.product_id = %" PRIu64,
                  product, MOVED_MINUTES, MOVED_MOST, product);

    enum db_result result = EFFECT("rebuild.read_moved", db_rows(r->db, &sql, &rows));

    buffer_free(&sql);

    if (result != DB_OK) {
        return REBUILD_DB_FAILED;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        uint64_t user = number_of_column(row[1]);
        uint32_t quantity = (uint32_t) number_of_column(row[2]);
        int live = row[3][0] == '1';

        if (find_waiting(r, row) != NULL) {
            continue;
        }

        if (live) {
            add_holding(h, user, -(int64_t) quantity);
        }

        add_by_record(h, row[0], user, quantity, live);
    }

    mysql_free_result(rows);
    return REBUILD_DONE;
}


/* *answer: 1 written, 0 units in flight changed since they were counted. */
static enum rebuild_result
write_buyers(struct rebuild *r, uint64_t product, const struct holdings *h, const struct record_days *days,
             int64_t *answer)
{
    struct redis_args args = { 0 };
    uint64_t users = 0;

    args_script(&args, &checkout_script_set_buyers, (unsigned) (3 + days->count));
    key_gate(&args);
    key_register(&args, product);
    key_buyers(&args, product);

    for (size_t i = 0; i < days->count; i++) {
        key_bucket(&args, days->day[i]);
    }

    args_text(&args, r->token);
    args_signed(&args, queue_view_units(&r->waiting, product));
    args_number(&args, h->recorded_count);

    for (size_t i = 0; i < h->recorded_count; i++) {
        args_text(&args, h->recorded[i].identifier);
        args_number(&args, h->recorded[i].user);
        args_number(&args, h->recorded[i].quantity);
        args_text(&args, h->recorded[i].without ? "1" : "0");
    }

    for (size_t i = 0; i < h->count; i++) {
        if (h->all[i].units > 0) {
            args_number(&args, h->all[i].user);
            args_signed(&args, h->all[i].units);
            users++;
        }
    }

    redisReply *reply = EFFECT("rebuild.set_buyers", redis_script(r->redis, &checkout_script_set_buyers, &args));

    args_free(&args);

    enum rebuild_result result = rebuild_context_answer(r, reply, answer);

    if (result == REBUILD_DONE && *answer == 1) {
        r->buyers += users;
    }

    return result;
}


/* Under the product's lock, so that orders in flight can be settled but no new verdict comes. */
static enum rebuild_result
count_product(struct rebuild *r, uint64_t product)
{
    struct record_days days;
    enum rebuild_result result = order_records_read_days(r->redis, &days) == -1 ? REBUILD_REDIS_FAILED : REBUILD_BUSY;

    for (int i = 0; i < TRIES && result == REBUILD_BUSY; i++) {
        struct holdings h = { 0 };
        int64_t written = 1;

        if (i > 0 && (stop_wait(WAIT_MS), queue_view_read(r->redis, &r->waiting) == -1)) {
            return REBUILD_REDIS_FAILED;
        }

        result = read_live(r, product, &h);

        if (result == REBUILD_DONE && (result = read_waiting(r, product, &h)) == REBUILD_DONE
            && (result = read_moved(r, product, &h)) == REBUILD_DONE)
        {
            sum_up(&h);
            result = write_buyers(r, product, &h, &days, &written);
        }

        free(h.all);
        free(h.recorded);

        if (result == REBUILD_DONE && written == 0) {
            result = REBUILD_BUSY;
        }
    }

    return result;
}


static enum rebuild_result
count_locked(struct rebuild *r, uint64_t product)
{
    struct product_row row = { .id = product };

    if (db_text(r->db, "START TRANSACTION") != DB_OK || product_rows_read(r->db, &row, 1, ROW_FOR_UPDATE) != DB_OK) {
        return REBUILD_DB_FAILED;
    }

    enum rebuild_result result = count_product(r, product);

    db_rollback(r->db);
    return result;
}


static enum rebuild_result
forget_buyers(struct rebuild *r, uint64_t product)
{
    struct redis_args args = { 0 };

    args_text(&args, "UNLINK");
    key_buyers(&args, product);

    redisReply *reply = EFFECT("rebuild.forget_buyers", redis_call(r->redis, &args, 0));

    args_free(&args);

    if (reply == NULL) {
        return REBUILD_REDIS_FAILED;
    }

    freeReplyObject(reply);
    return REBUILD_DONE;
}


enum rebuild_result
rebuild_buyers(struct rebuild *r)
{
    struct buffer sql = { 0 };
    MYSQL_RES *rows;

    if (r->dry_run) {
        return REBUILD_DONE;
    }

    buffer_text(&sql, "SELECT id, per_user_limit FROM products ORDER BY id");

    enum db_result read = db_rows(r->db, &sql, &rows);
    enum rebuild_result result = REBUILD_DONE;

    buffer_free(&sql);

    if (read != DB_OK) {
        return REBUILD_DB_FAILED;
    }

    /* The list of what waits may be old by now: orders were enqueued again, others settled. */
    if (queue_view_read(r->redis, &r->waiting) == -1) {
        result = REBUILD_REDIS_FAILED;
    }

    for (MYSQL_ROW row; result == REBUILD_DONE && (row = mysql_fetch_row(rows)) != NULL;) {
        uint64_t id = number_of_column(row[0]);

        result = row[1] != NULL ? count_locked(r, id) : forget_buyers(r, id);
    }

    mysql_free_result(rows);
    return result;
}
