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
#include "repair/rebuild_products.h"
#include "repair/sync.h"
#include "text/buffer.h"
#include "text/number.h"


static int
forget_register(struct redis_connection *conn, uint64_t product)
{
    struct redis_args args = { 0 };

    args_text(&args, "UNLINK");
    key_register(&args, product);

    redisReply *reply = EFFECT("rebuild.forget_register", redis_call(conn, &args, 0));

    args_free(&args);

    if (reply == NULL) {
        return -1;
    }

    freeReplyObject(reply);
    return 0;
}


/* A register of another type blocks its product: delete it and load once more. Its units in flight are counted. */
static enum gate_pushed
load_one(struct rebuild *r, const struct product_row *row, struct in_flight *count)
{
    struct gate_counted counted;
    enum gate_pushed pushed = EFFECT("rebuild.push", gate_load(r->redis, row, GATE_LOAD_RECOUNT, count, &counted));

    if (pushed == GATE_PUSH_BROKEN) {
        pushed = forget_register(r->redis, row->id) == -1 ? GATE_PUSH_FAILED : GATE_PUSH_NOT_LOADED;
    }

    return pushed != GATE_PUSH_NOT_LOADED
               ? pushed
               : EFFECT("rebuild.push", gate_load(r->redis, row, GATE_LOAD_CREATE, count, &counted));
}


static enum rebuild_result
load_group(struct rebuild *r, const struct product_row *rows, size_t n, struct in_flight *count)
{
    for (size_t i = 0; i < n; i++) {
        enum gate_pushed pushed = load_one(r, &rows[i], count);

        if (pushed == GATE_PUSH_FAILED || pushed == GATE_PUSH_COUNT) {
            return REBUILD_REDIS_FAILED;
        }
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
load_again(struct rebuild *r, struct product_row *rows, size_t n, struct in_flight *count)
{
    if (EFFECT("rebuild.read_again", product_rows_read(r->db, rows, n, ROW_NO_LOCK)) != DB_OK) {
        return REBUILD_DB_FAILED;
    }

    return load_group(r, rows, n, count);
}


/* rows: ids ascending, n <= GATE_INSPECT_MOST. Redis is read first, so a register is never ahead for a good reason. */
static enum rebuild_result
rebuild_group(struct rebuild *r, struct product_row *rows, size_t n, struct in_flight *count)
{
    struct gate_product gate[GATE_INSPECT_MOST];
    struct gate_counts counts;
    int created = 0;

    for (size_t i = 0; i < n; i++) {
        gate[i] = (struct gate_product) { .id = rows[i].id };
    }

    if (gate_inspect(r->redis, gate, n, &counts) == -1) {
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

    enum rebuild_result result = load_group(r, rows, n, count);

    return result == REBUILD_DONE && created ? load_again(r, rows, n, count) : result;
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


/* What is in flight of all products, counted by one pass over the queue. */
static enum rebuild_result
count_units(struct rebuild *r, const struct product_row *rows, size_t n, struct in_flight *count)
{
    uint64_t *ids = memory_resize(NULL, n + 1, sizeof(*ids));

    for (size_t i = 0; i < n; i++) {
        ids[i] = rows[i].id;
    }

    in_flight_begin(count, ids, n, 1);
    free(ids);
    return in_flight_read(count, r->redis) == 0 ? REBUILD_DONE : REBUILD_REDIS_FAILED;
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

        if (gate_inspect(r->redis, &gate, 1, &counts) == -1) {
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
    struct in_flight in_flight = { 0 };
    enum rebuild_result result = read_ids(r, &rows, &count);

    if (result == REBUILD_DONE && !r->dry_run) {
        result = count_units(r, rows, count, &in_flight);
    }

    for (size_t i = 0; result == REBUILD_DONE && i < count; i += GATE_INSPECT_MOST) {
        result = rebuild_group(r, rows + i, count - i < GATE_INSPECT_MOST ? count - i : GATE_INSPECT_MOST, &in_flight);
    }

    if (result == REBUILD_DONE) {
        result = loaded_products_read(r->redis, &ids, &loaded, &capacity) == -1
                     ? REBUILD_REDIS_FAILED
                     : close_gone(r, rows, count, ids, loaded);
    }

    in_flight_free(&in_flight);
    free(rows);
    free(ids);
    return result;
}
