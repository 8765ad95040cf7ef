#include "redis/loss.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "failpoint.h"
#include "redis/keys.h"

#define EPOCH_ANY      (-1)
#define CACHE_SMALLEST 64 /* a power of 2, as each size after it */

enum loss_answer {
    ANSWER_NONE,
    ANSWER_RECOVERING,
    ANSWER_BEGINS
};


static int
take_number(redisReply *reply, int64_t *number)
{
    if (reply == NULL) {
        return -1;
    }

    *number = reply_number(reply, 0);
    freeReplyObject(reply);
    return 0;
}


int
loss_read_epoch(struct redis_connection *conn, int64_t *epoch)
{
    struct redis_args args = { 0 };

    args_text(&args, "HGET");
    key_gate(&args);
    args_text(&args, "epoch");

    redisReply *reply = EFFECT("loss.epoch", redis_call(conn, &args, 0));

    args_free(&args);
    return take_number(reply, epoch);
}


int
loss_announce(struct redis_connection *conn, const struct db *db, int64_t *epoch)
{
    struct redis_args args = { 0 };

    args_script(&args, &checkout_script_server_seen, 1);
    key_gate(&args);
    args_text(&args, db->server_name);
    args_number(&args, db->server_started);

    redisReply *reply = EFFECT("loss.announce", redis_script(conn, &checkout_script_server_seen, &args));

    args_free(&args);
    return take_number(reply, epoch);
}


static enum db_result
redis_failed(struct db *db, const struct redis_connection *conn)
{
    db->code = 0;
    snprintf(db->error, sizeof(db->error), "Redis: %.400s", conn->error);
    return DB_RETRY;
}


enum db_result
loss_announce_session(struct redis_connection *conn, struct db *db)
{
    int64_t epoch;

    if (db->announced == db->sessions || !db->server->writable) {
        return DB_OK;
    }

    if (loss_announce(conn, db, &epoch) == -1) {
        return redis_failed(db, conn);
    }

    db->announced = db->sessions;
    return DB_OK;
}


/* words: for each of n products its id and a version. Returns the reply of the script, or NULL with conn->error set. */
static redisReply *
call(struct redis_connection *conn, const struct product_row *rows, const size_t *which, size_t n, int by_records)
{
    struct redis_args args = { 0 };

    args_script(&args, &checkout_script_loss, (unsigned) (2 + n));
    key_gate(&args);
    key_recovering(&args);

    for (size_t i = 0; i < n; i++) {
        key_register(&args, rows[which[i]].id);
    }

    for (size_t i = 0; i < n; i++) {
        args_number(&args, rows[which[i]].id);

        if (by_records) {
            args_text(&args, "+");
        } else {
            args_number(&args, rows[which[i]].version);
        }
    }

    redisReply *reply = EFFECT("loss.look", redis_script(conn, &checkout_script_loss, &args));

    args_free(&args);

    if (reply != NULL && (reply->type != REDIS_REPLY_ARRAY || reply->elements != n)) {
        snprintf(conn->error, sizeof(conn->error), "loss gave a reply of another form");
        freeReplyObject(reply);
        return NULL;
    }

    return reply;
}


static void
report_begun(uint64_t product, const char *why)
{
    log_warn("event=recovery_begun product=%" PRIu64 " why=\"%s\"", product, why);
}


/* Asks of up to LOSS_LOOK_MOST rows, by their indexes. Returns 0, or -1 with conn->error set. */
static int
look_at(struct redis_connection *conn, const struct product_row *rows, const size_t *which, size_t n,
        unsigned char *closed, size_t *count)
{
    redisReply *reply = n > 0 ? call(conn, rows, which, n, 0) : NULL;

    if (reply == NULL) {
        return n > 0 ? -1 : 0;
    }

    for (size_t i = 0; i < n; i++) {
        int64_t answer = reply_number(reply->element[i], ANSWER_NONE);

        closed[which[i]] = answer != ANSWER_NONE;
        *count += answer != ANSWER_NONE;

        if (answer == ANSWER_BEGINS) {
            report_begun(rows[which[i]].id, "the gate knows a later version than MySQL: commits are lost");
        }
    }

    freeReplyObject(reply);
    return 0;
}


/* --- the cache ---------------------------------------------------------------------------------------------------- */


static size_t
slot_of(const struct loss_cache *cache, uint64_t id)
{
    size_t mask = cache->capacity - 1, at = (size_t) (id * 0x9E3779B97F4A7C15u >> 20) & mask;

    while (cache->slots[at] != 0 && cache->slots[at] != id) {
        at = (at + 1) & mask;
    }

    return at;
}


static int
cache_holds(const struct loss_cache *cache, uint64_t id)
{
    return cache->capacity > 0 && cache->slots[slot_of(cache, id)] == id;
}


/* Doubles the table. */
static void
cache_grow(struct loss_cache *cache)
{
    uint64_t *slots = cache->slots;
    size_t capacity = cache->capacity;

    cache->capacity = capacity == 0 ? CACHE_SMALLEST : 2 * capacity;
    cache->slots = memory_resize(NULL, cache->capacity, sizeof(*cache->slots));
    memset(cache->slots, 0, cache->capacity * sizeof(*cache->slots));

    for (size_t i = 0; i < capacity; i++) {
        if (slots[i] != 0) {
            cache->slots[slot_of(cache, slots[i])] = slots[i];
        }
    }

    free(slots);
}


static void
cache_add(struct loss_cache *cache, uint64_t id)
{
    if (2 * (cache->count + 1) > cache->capacity) {
        cache_grow(cache);
    }

    size_t at = slot_of(cache, id);

    cache->count += cache->slots[at] == 0;
    cache->slots[at] = id;
}


static void
cache_begin(struct loss_cache *cache, uint64_t session, int64_t epoch)
{
    if (cache->session == session && cache->epoch == epoch) {
        return;
    }

    cache->session = session;
    cache->epoch = epoch;
    cache->count = 0;

    if (cache->capacity > 0) {
        memset(cache->slots, 0, cache->capacity * sizeof(*cache->slots));
    }
}


void
loss_cache_free(struct loss_cache *cache)
{
    free(cache->slots);
    *cache = (struct loss_cache) { 0 };
}


/* --- asking ------------------------------------------------------------------------------------------------------- */


enum db_result
loss_look_cached(struct loss_cache *cache, int64_t epoch, struct db *db, struct redis_connection *conn,
                 const struct product_row *rows, size_t n, unsigned char *closed, size_t *count)
{
    size_t which[LOSS_LOOK_MOST], asked = 0;
    int sure = 0;
    enum db_result result = loss_announce_session(conn, db);

    *count = 0;

    if (result != DB_OK) {
        return result;
    }

    if (cache != NULL) {
        cache_begin(cache, db->sessions, epoch);
    }

    for (size_t i = 0; i <= n; i++) {
        if (asked == LOSS_LOOK_MOST || (i == n && asked > 0)) {
            if (!sure && db_check_writable(db) != DB_OK) {
                return DB_RETRY;
            }

            sure = 1;

            if (look_at(conn, rows, which, asked, closed, count) == -1) {
                return redis_failed(db, conn);
            }

            for (size_t k = 0; k < asked && cache != NULL; k++) {
                if (!closed[which[k]]) {
                    cache_add(cache, rows[which[k]].id);
                }
            }

            asked = 0;
        }

        if (i < n) {
            closed[i] = 0;

            if (rows[i].found && (cache == NULL || !cache_holds(cache, rows[i].id))) {
                which[asked++] = i;
            }
        }
    }

    return DB_OK;
}


enum db_result
loss_look(struct db *db, struct redis_connection *conn, const struct product_row *rows, size_t n, unsigned char *closed,
          size_t *count)
{
    return loss_look_cached(NULL, EPOCH_ANY, db, conn, rows, n, closed, count);
}


static enum db_result
prove_by_records(struct db *db, struct redis_connection *conn, uint64_t product, int *recovering)
{
    struct product_row row = { .id = product };
    unsigned char closed = 0;
    size_t count = 0, first = 0;
    enum db_result result;

    if ((result = db_open(db)) != DB_OK || (result = EFFECT("loss.begin", db_text(db, "START TRANSACTION"))) != DB_OK
        || (result = product_rows_read(db, &row, 1, ROW_FOR_UPDATE)) != DB_OK
        || (result = db_check_writable(db)) != DB_OK
        || (result = loss_look(db, conn, &row, 1, &closed, &count)) != DB_OK)
    {
        return result;
    }

    *recovering = count > 0;

    if (count > 0) {
        return DB_OK;
    }

    redisReply *reply = call(conn, &row, &first, 1, 1);

    if (reply == NULL) {
        return redis_failed(db, conn);
    }

    int64_t answer = reply_number(reply->element[0], ANSWER_NONE);

    freeReplyObject(reply);
    *recovering = answer != ANSWER_NONE;

    if (answer == ANSWER_BEGINS) {
        report_begun(product, "the gate has a record of an order that MySQL lacks: commits are lost");
    }

    return DB_OK;
}


enum db_result
loss_by_records(struct db *db, struct redis_connection *conn, uint64_t product, int *recovering)
{
    *recovering = 0;

    enum db_result result = prove_by_records(db, conn, product, recovering);

    db_rollback(db);
    return result;
}


int
loss_ask_for_comparison(struct redis_connection *conn)
{
    struct redis_args args = { 0 };
    int64_t count;

    args_text(&args, "HINCRBY");
    key_gate(&args);
    args_text(&args, "compare");
    args_text(&args, "1");

    redisReply *reply = EFFECT("loss.compare", redis_call(conn, &args, 0));

    args_free(&args);
    return take_number(reply, &count);
}


int
loss_recovering(struct redis_connection *conn, const uint64_t *ids, size_t n, unsigned char *recovering)
{
    struct redis_args args = { 0 };

    if (n == 0) {
        return 0;
    }

    args_text(&args, "SMISMEMBER");
    key_recovering(&args);

    for (size_t i = 0; i < n; i++) {
        args_number(&args, ids[i]);
    }

    redisReply *reply = EFFECT("loss.recovering", redis_call(conn, &args, 0));

    args_free(&args);

    if (reply == NULL) {
        return -1;
    }

    for (size_t i = 0; i < n; i++) {
        recovering[i] = i < reply->elements && reply_number(reply->element[i], 0) == 1;
    }

    freeReplyObject(reply);
    return 0;
}
