/*
 * A step of the rebuild: for every product with a limit, the units that each user holds, in live orders and in flight;
 * for the others no such count.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "buffer.h"
#include "ctl_days.h"
#include "failpoint.h"
#include "gate.h"
#include "keys.h"
#include "rebuild.h"
#include "scan.h"
#include "stop.h"

#define TRIES   50    /* counts of one product, while workers settle its jobs */
#define WAIT_MS 100

struct holding {
    uint64_t user;
    int64_t units;
};

struct holdings {
    struct holding *all;
    size_t count, capacity;
    const struct queued_order **ended;   /* in flight, and their rows say that they ended; the gate's records may not */
    size_t ended_count, ended_capacity;
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
add_ended(struct holdings *h, const struct queued_order *q)
{
    if (h->ended_count == h->ended_capacity) {
        h->ended_capacity = h->ended_capacity == 0 ? 256 : 2 * h->ended_capacity;
        h->ended = memory_resize(h->ended, h->ended_capacity, sizeof(*h->ended));
    }

    h->ended[h->ended_count++] = q;
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

    buffer_format(&sql, "SELECT o.user_id, SUM(i.quantity) FROM order_items i"
                  " JOIN orders o ON o.order_identifier = i.order_identifier WHERE i.product_id = %" PRIu64
                  " AND o.status IN ('pending_payment', 'paid', 'completed') GROUP BY o.user_id", product);

    enum db_result result = EFFECT("rebuild.read_live", db_rows(r->db, &sql, &rows));

    buffer_free(&sql);

    if (result != DB_OK) {
        return REBUILD_DB_FAILED;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL; ) {
        add_holding(h, strtoull(row[0], NULL, 10), strtoll(row[1], NULL, 10));
    }

    mysql_free_result(rows);
    return REBUILD_DONE;
}


/*
 * An order that waits is counted as well, and its settle gives the units back if it failed. Where its own row is there
 * already, that row counts it while it is live; one that ended is counted by what the gate's record says when the count
 * is written. The same identifier with other content is another matter: it will fail.
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
                " o.status IN ('pending_payment', 'paid', 'completed') FROM orders o LEFT JOIN order_items i"
                " ON i.order_identifier = o.order_identifier WHERE o.order_identifier IN (");
    buffer_add(&sql, identifiers->data, identifiers->len);
    buffer_text(&sql, ")");

    enum db_result result = db_rows(r->db, &sql, &rows);

    buffer_free(&sql);

    if (result != DB_OK) {
        return REBUILD_DB_FAILED;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL; ) {
        const struct queued_order *q = queue_view_find(&r->waiting, row[0]);

        if (q != NULL && q->user == strtoull(row[1], NULL, 10) && q->quantity == strtoul(row[2], NULL, 10)) {
            add_holding(h, q->user, -(int64_t) q->quantity);

            if (row[3][0] == '0') {
                add_ended(h, q);
            }
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


/* *answer: 1 written, 0 units in flight changed since they were counted. */
static enum rebuild_result
write_buyers(struct rebuild *r, uint64_t product, const struct holdings *h, const struct days *days, int64_t *answer)
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
    args_number(&args, h->ended_count);

    for (size_t i = 0; i < h->ended_count; i++) {
        args_text(&args, h->ended[i]->identifier);
        args_number(&args, h->ended[i]->user);
        args_number(&args, h->ended[i]->quantity);
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

    enum rebuild_result result = rebuild_answer(r, reply, answer);

    if (result == REBUILD_DONE && *answer == 1) {
        r->buyers += users;
    }

    return result;
}


/* Under the product's lock, so that the jobs in flight can be settled but no verdict comes. */
static enum rebuild_result
count_product(struct rebuild *r, uint64_t product)
{
    struct days days;
    enum rebuild_result result = days_read(r->redis, &days) == -1 ? REBUILD_REDIS_FAILED : REBUILD_BUSY;

    for (int i = 0; i < TRIES && result == REBUILD_BUSY; i++) {
        struct holdings h = { 0 };
        int64_t written = 1;

        if (i > 0 && (stop_wait(WAIT_MS), queue_view_read(r->redis, &r->waiting) == -1)) {
            return REBUILD_REDIS_FAILED;
        }

        result = read_live(r, product, &h);

        if (result == REBUILD_DONE && (result = read_waiting(r, product, &h)) == REBUILD_DONE) {
            sum_up(&h);
            result = write_buyers(r, product, &h, &days, &written);
        }

        free(h.all);
        free(h.ended);

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

    args_text(&args, "DEL");
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

    for (MYSQL_ROW row; result == REBUILD_DONE && (row = mysql_fetch_row(rows)) != NULL; ) {
        uint64_t id = strtoull(row[0], NULL, 10);

        result = row[1] != NULL ? count_locked(r, id) : forget_buyers(r, id);
    }

    mysql_free_result(rows);
    return result;
}
