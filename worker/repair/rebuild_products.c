/*
 * A step of the rebuild: every product of MySQL loaded at the gate as its row is, with its units in flight
 * counted; products that MySQL does not have are closed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "failpoint.h"
#include "redis/gate.h"
#include "redis/keys.h"
#include "redis/loaded_products.h"
#include "redis/push_words.h"
#include "repair/rebuild_products.h"
#include "repair/sync.h"
#include "text/buffer.h"
#include "text/number.h"


static redisReply *
push_all(struct redis_connection *conn, const struct product_row *rows, size_t n)
{
    struct redis_args args = { 0 };

    args_script(&args, &checkout_script_push, (unsigned) (3 + 2 * n));
    key_queue(&args);
    key_dead_letters(&args);
    key_gate(&args);

    for (size_t i = 0; i < n; i++) {
        key_stock(&args, rows[i].id);
        key_register(&args, rows[i].id);
    }

    args_text(&args, "1");
    args_text(&args, "1");

    for (size_t i = 0; i < n; i++) {
        args_number(&args, rows[i].id);
        push_words_add(&args, &rows[i]);
    }

    redisReply *reply = EFFECT("rebuild.push", redis_script(conn, &checkout_script_push, &args));

    args_free(&args);
    return reply;
}


static int
forget_register(struct redis_connection *conn, uint64_t product)
{
    struct redis_args args = { 0 };

    args_text(&args, "DEL");
    key_register(&args, product);

    redisReply *reply = EFFECT("rebuild.forget_register", redis_call(conn, &args, 0));

    args_free(&args);

    if (reply == NULL) {
        return -1;
    }

    freeReplyObject(reply);
    return 0;
}


/* A register of another type blocks its product: delete it and push once more. */
static enum rebuild_result
push_group(struct rebuild *r, const struct product_row *rows, size_t n)
{
    redisReply *reply = push_all(r->redis, rows, n);

    if (reply == NULL) {
        return REBUILD_REDIS_FAILED;
    }

    int broken = 0;

    for (size_t i = 0; i < n && i < reply->elements; i++) {
        if (reply_number(reply->element[i], 0) == GATE_PUSH_BROKEN) {
            broken = 1;

            if (forget_register(r->redis, rows[i].id) == -1) {
                freeReplyObject(reply);
                return REBUILD_REDIS_FAILED;
            }
        }
    }

    freeReplyObject(reply);

    if (broken && (reply = push_all(r->redis, rows, n)) == NULL) {
        return REBUILD_REDIS_FAILED;
    }

    if (broken) {
        freeReplyObject(reply);
    }

    return REBUILD_DONE;
}


static int
differs(const struct rebuild *r, const struct gate_product *gate, const struct product_row *row)
{
    return gate->version != (int64_t) row->version || gate->register_stock != row->stock
           || !sale_terms_equal(&gate->terms, &row->terms) || gate->in_flight != queue_view_units(&r->waiting, row->id)
           || gate->stock != gate_expected_stock(gate);
}


/*
 * A register that was missing was created from a row that was read without its lock: a worker may have committed and
 * settled in between, and found no register to push to. What is committed from now on finds one.
 */
static enum rebuild_result
push_again(struct rebuild *r, struct product_row *rows, size_t n)
{
    if (EFFECT("rebuild.read_again", product_rows_read(r->db, rows, n, ROW_NO_LOCK)) != DB_OK) {
        return REBUILD_DB_FAILED;
    }

    return push_group(r, rows, n);
}


/* rows: ids ascending, n <= GATE_INSPECT_MOST. Redis is read first, so a register is never ahead for a good reason. */
static enum rebuild_result
rebuild_group(struct rebuild *r, struct product_row *rows, size_t n)
{
    struct gate_product gate[GATE_INSPECT_MOST];
    struct gate_counts counts;
    int created = 0;

    for (size_t i = 0; i < n; i++) {
        gate[i] = (struct gate_product) { .id = rows[i].id };
    }

    if (gate_inspect(r->redis, gate, n, 0, &counts) == -1) {
        return REBUILD_REDIS_FAILED;
    }

    if (product_rows_read(r->db, rows, n, ROW_NO_LOCK) != DB_OK) {
        return REBUILD_DB_FAILED;
    }

    for (size_t i = 0; i < n; i++) {
        int missing = gate[i].register_stock == GATE_MISSING;

        created |= missing;
        r->loaded += (uint64_t) missing;
        r->corrected += !missing && differs(r, &gate[i], &rows[i]);

        if (r->dry_run || missing || !rows[i].found || !sync_must_raise(&gate[i], &rows[i])) {
            continue;
        }

        enum sync_result synced = EFFECT(
            "rebuild.raise", sync_product(r->db, r->redis, rows[i].id, GATE_NEWER_ONLY, NULL, NULL, &rows[i]));

        if (synced == SYNC_DB_FAILED) {
            return REBUILD_DB_FAILED;
        }

        if (synced == SYNC_REDIS_FAILED || synced == SYNC_NOT_PUSHED) {
            return REBUILD_REDIS_FAILED;
        }
    }

    if (r->dry_run) {
        return REBUILD_DONE;
    }

    enum rebuild_result result = push_group(r, rows, n);

    return result == REBUILD_DONE && created ? push_again(r, rows, n) : result;
}


static enum rebuild_result
read_ids(struct rebuild *r, struct product_row **rows, size_t *count)
{
    struct buffer sql = { 0 };
    MYSQL_RES *result;

    buffer_text(&sql, "SELECT id FROM products ORDER BY id");

    enum db_result outcome = EFFECT("rebuild.read_products", db_rows(r->db, &sql, &result));

    buffer_free(&sql);

    if (outcome != DB_OK) {
        return REBUILD_DB_FAILED;
    }

    *rows = memory_resize(NULL, (size_t) mysql_num_rows(result) + 1, sizeof(**rows));

    for (MYSQL_ROW row; (row = mysql_fetch_row(result)) != NULL;) {
        (*rows)[(*count)++] = (struct product_row) { .id = number_of_column(row[0]) };
    }

    mysql_free_result(result);
    return REBUILD_DONE;
}


static int
is_in_mysql(const struct product_row *rows, size_t count, uint64_t id)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (rows[middle].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }

    return low < count && rows[low].id == id;
}


/* Closes what MySQL does not have and counts what is loaded. */
static enum rebuild_result
close_gone(struct rebuild *r, const struct product_row *rows, size_t count, const uint64_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct gate_product gate = { .id = ids[i] };
        struct gate_counts counts;

        if (is_in_mysql(rows, count, ids[i])) {
            r->products++;
            continue;
        }

        if (gate_inspect(r->redis, &gate, 1, 0, &counts) == -1) {
            return REBUILD_REDIS_FAILED;
        }

        if (gate.register_stock == GATE_MISSING) {
            continue;
        }

        r->products++;
        r->closed++;

        enum sync_result closed = r->dry_run ? SYNC_UP_TO_DATE
                                             : EFFECT("rebuild.close_gone", sync_close_gone(r->db, r->redis, ids[i]));

        if (closed != SYNC_PUSHED && closed != SYNC_UP_TO_DATE) {
            return closed == SYNC_DB_FAILED ? REBUILD_DB_FAILED : REBUILD_REDIS_FAILED;
        }
    }

    return REBUILD_DONE;
}


enum rebuild_result
rebuild_products(struct rebuild *r)
{
    struct product_row *rows = NULL;
    uint64_t *ids = NULL;
    size_t count = 0, loaded = 0, capacity = 0;
    enum rebuild_result result = read_ids(r, &rows, &count);

    for (size_t i = 0; result == REBUILD_DONE && i < count; i += GATE_INSPECT_MOST) {
        result = rebuild_group(r, rows + i, count - i < GATE_INSPECT_MOST ? count - i : GATE_INSPECT_MOST);
    }

    if (result == REBUILD_DONE) {
        result = loaded_products_read(r->redis, &ids, &loaded, &capacity) == -1
                     ? REBUILD_REDIS_FAILED
                     : close_gone(r, rows, count, ids, loaded);
    }

    free(rows);
    free(ids);
    return result;
}
