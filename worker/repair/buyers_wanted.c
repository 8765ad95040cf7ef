#include "repair/buyers_wanted.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/memory.h"
#include "failpoint.h"
#include "mysql/supply.h"
#include "redis/keys.h"
#include "text/number.h"

#define LOOK_PAGE 256 /* products of one call */

/* What buyers_look.lua says of a product. */
enum look {
    LOOK_NOTHING = 0,
    LOOK_CLOSED = 1, /* to be counted; it answers 503 until then */
    LOOK_SELLS = 2   /* to be counted; it sells on */
};

struct wanted {
    uint64_t closed[BUYERS_COUNT_MOST], sells[BUYERS_COUNT_MOST];
    size_t closed_count, sells_count;
};


enum db_result
buyers_limited(struct db *db, uint64_t **ids, size_t *n)
{
    struct buffer sql = { 0 };
    MYSQL_RES *rows;

    *ids = NULL;
    *n = 0;
    buffer_text(&sql, "SELECT id FROM products FORCE INDEX (products_limited) WHERE per_user_limit > 0");

    enum db_result result = db_open(db) == DB_OK ? EFFECT("buyers.limited", db_rows(db, &sql, &rows)) : DB_RETRY;

    buffer_free(&sql);

    if (result != DB_OK) {
        return result;
    }

    if (mysql_num_rows(rows) > 0) {
        *ids = memory_resize(NULL, mysql_num_rows(rows), sizeof(**ids));
    }

    for (MYSQL_ROW row; *ids != NULL && (row = mysql_fetch_row(rows)) != NULL;) {
        (*ids)[(*n)++] = number_of_column(row[0]);
    }

    mysql_free_result(rows);
    return DB_OK;
}


static void
take(struct wanted *w, uint64_t id, int64_t look)
{
    if (look == LOOK_CLOSED && w->closed_count < BUYERS_COUNT_MOST) {
        w->closed[w->closed_count++] = id;
    } else if (look == LOOK_SELLS && w->sells_count < BUYERS_COUNT_MOST) {
        w->sells[w->sells_count++] = id;
    }
}


/* Returns 0, or -1 where Redis failed. */
static int
look_at(struct redis_connection *redis, const uint64_t *ids, size_t n, struct wanted *w)
{
    struct redis_args args = { 0 };

    args_script(&args, &checkout_script_buyers_look, (unsigned) (2 * n));

    for (size_t i = 0; i < n; i++) {
        key_register(&args, ids[i]);
        key_buyers(&args, ids[i]);
    }

    redisReply *reply = EFFECT("buyers.look", redis_script(redis, &checkout_script_buyers_look, &args));

    args_free(&args);

    if (reply == NULL) {
        return -1;
    }

    for (size_t i = 0; i < n && i < reply->elements; i++) {
        take(w, ids[i], reply_number(reply->element[i], LOOK_NOTHING));
    }

    freeReplyObject(reply);
    return 0;
}


int
buyers_is_wanted(struct redis_connection *redis, uint64_t product)
{
    struct wanted w = { .closed_count = 0 };

    return look_at(redis, &product, 1, &w) == 0 ? w.closed_count > 0 : -1;
}


/* *finished: 1 where the operator said that all programs are new. */
static enum db_result
read_finished(struct db *db, int *finished)
{
    struct buffer sql = { 0 };

    buffer_text(&sql, "SELECT 1 FROM settings WHERE name = '" SUPPLY_SETTING "' AND value <> ''");

    enum db_result result = EFFECT("buyers.finished", db_any(db, &sql, finished));

    buffer_free(&sql);
    return result;
}


enum buyers_counted
buyers_count_wanted(struct db *db, struct redis_connection *redis, buyers_go_on go_on, void *data, uint64_t *counted,
                    uint64_t *users)
{
    struct wanted w = { .closed_count = 0 };
    uint64_t *ids;
    size_t n;
    int looked = 0, finished = 0;

    if (buyers_limited(db, &ids, &n) != DB_OK) {
        return BUYERS_DB_FAILED;
    }

    for (size_t first = 0; first < n && looked == 0; first += LOOK_PAGE) {
        looked = look_at(redis, ids + first, n - first < LOOK_PAGE ? n - first : LOOK_PAGE, &w);
    }

    free(ids);

    if (looked == -1) {
        return BUYERS_REDIS_FAILED;
    }

    enum buyers_counted result = buyers_count(db, redis, w.closed, w.closed_count, go_on, data, users);

    if (result == BUYERS_COUNTED && w.sells_count > 0) {
        result = read_finished(db, &finished) == DB_OK ? BUYERS_COUNTED : BUYERS_DB_FAILED;
    }

    if (result == BUYERS_COUNTED && finished) {
        result = buyers_count(db, redis, w.sells, w.sells_count, go_on, data, users);
    }

    *counted += result == BUYERS_COUNTED ? w.closed_count + (finished ? w.sells_count : 0) : 0;
    return result;
}
