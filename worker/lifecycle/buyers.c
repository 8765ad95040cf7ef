#include "lifecycle/buyers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/stop.h"
#include "failpoint.h"
#include "lifecycle/transition.h"
#include "redis/keys.h"
#include "redis/loss.h"
#include "repair/buyers_wanted.h"
#include "text/number.h"

#define TICK_MS      1000
#define IDENTITY_MAX 100 /* "<run id>.<replication id>" has 81 */
#define TIME_MAX     32
#define BEFORE       "INTERVAL 1 MINUTE" /* told again: what moved so long before it was seen last */


/* Takes or renews the lease; between two steps of a count as well. */
static int
go_on(void *data)
{
    struct buyers *b = data;
    uint64_t now = clock_ms();

    if (b->leased == 0 || now - b->leased >= LEASE_RENEW_MS) {
        b->leased = now;
        b->holds_lease = lease_hold(&b->lease, &b->redis) == 1;
    }

    return b->holds_lease && !stop_requested();
}


/* --- is it the same Redis? ---------------------------------------------------------------------------------------- */


static void
add_part(char identity[IDENTITY_MAX + 1], const char *info, const char *name)
{
    const char *found = strstr(info, name);
    size_t len = strlen(identity);

    if (found != NULL) {
        found += strlen(name);
        snprintf(identity + len, IDENTITY_MAX + 1 - len, "%s%.*s", len > 0 ? "." : "", (int) strcspn(found, "\r\n "),
                 found);
    }
}


/* Returns 0, or -1 where Redis failed; identity is empty where it does not say. */
static int
read_identity(struct buyers *b, char identity[IDENTITY_MAX + 1])
{
    identity[0] = '\0';
    args_clear(&b->args);
    args_text(&b->args, "INFO");
    args_text(&b->args, "server");
    args_text(&b->args, "replication");

    redisReply *reply = EFFECT("buyers.identity", redis_call(&b->redis, &b->args, 0));

    if (reply == NULL) {
        return strncmp(b->redis.error, "NOPERM", 6) == 0 ? 0 : -1;
    }

    if (reply->str != NULL) {
        add_part(identity, reply->str, "run_id:");
        add_part(identity, reply->str, "master_replid:");
    }

    freeReplyObject(reply);
    return 0;
}


/* The field `seen`: "<identity> <time>"; both empty where there is none. Returns 0, or -1 where Redis failed. */
static int
read_seen(struct buyers *b, char identity[IDENTITY_MAX + 1], char time[TIME_MAX + 1])
{
    identity[0] = time[0] = '\0';
    args_clear(&b->args);
    args_text(&b->args, "HGET");
    key_gate(&b->args);
    args_text(&b->args, "seen");

    redisReply *reply = EFFECT("buyers.seen", redis_call(&b->redis, &b->args, 0));

    if (reply == NULL) {
        return -1;
    }

    const char *space = reply->type == REDIS_REPLY_STRING ? strchr(reply->str, ' ') : NULL;

    if (space != NULL) {
        snprintf(identity, IDENTITY_MAX + 1, "%.*s", (int) (space - reply->str), reply->str);
        snprintf(time, TIME_MAX + 1, "%s", space + 1);
    }

    freeReplyObject(reply);
    return 0;
}


static int
write_seen(struct buyers *b, const char *identity, const char *time)
{
    args_clear(&b->args);
    args_text(&b->args, "HSET");
    key_gate(&b->args);
    args_text(&b->args, "seen");
    args_format(&b->args, "%s %s", identity, time);

    redisReply *reply = EFFECT("buyers.note", redis_call(&b->redis, &b->args, 0));

    if (reply == NULL) {
        return -1;
    }

    freeReplyObject(reply);
    return 0;
}


/* MySQL's time now, or where since is not NULL, that time less BEFORE. */
static enum db_result
read_time(struct buyers *b, const char *since, char time[TIME_MAX + 1])
{
    MYSQL_RES *rows;
    enum db_result result = db_open(&b->db);

    if (result != DB_OK) {
        return result;
    }

    buffer_clear(&b->sql);

    if (since == NULL) {
        buffer_text(&b->sql, "SELECT DATE_FORMAT(NOW(3), '%Y-%m-%dT%T.%f')");
    } else {
        buffer_text(&b->sql, "SELECT COALESCE(CAST(");
        db_quote(&b->db, &b->sql, since);
        buffer_text(&b->sql, " AS DATETIME(3)), NOW(3)) - " BEFORE);
    }

    if ((result = EFFECT("buyers.time", db_rows(&b->db, &b->sql, &rows))) == DB_OK) {
        MYSQL_ROW row = mysql_fetch_row(rows);

        snprintf(time, TIME_MAX + 1, "%s", row != NULL ? row[0] : "");
        mysql_free_result(rows);
    }

    return result;
}


/* --- told again --------------------------------------------------------------------------------------------------- */


/* Where the next page begins: behind the movement with that id, of that time. */
struct place {
    char time[TIME_MAX + 1];
    uint64_t id;
};


/* Movements behind *after, which becomes the last one. *n: orders; *more: whether there were any. */
static enum db_result
read_moved(struct buyers *b, struct place *after, size_t *n, int *more)
{
    MYSQL_RES *rows;

    *n = 0;
    buffer_clear(&b->sql);
    buffer_format(
        &b->sql,
        "SELECT m.created_at, m.id, o.order_identifier, m.product_id, o.user_id, COALESCE(o.quantity, 0), o.status,"
        " COALESCE(o.failure_code, '') FROM (SELECT created_at, id, order_identifier, product_id"
        " FROM stock_movements FORCE INDEX (stock_movements_time) WHERE created_at >= '%s' AND (created_at > '%s'"
        " OR id > %" PRIu64 ") ORDER BY created_at, id LIMIT %d) m"
        " LEFT JOIN orders o ON o.order_identifier = m.order_identifier ORDER BY m.created_at, m.id",
        after->time, after->time, after->id, BUYERS_RETELL_PAGE);

    enum db_result result = EFFECT("buyers.moved", db_rows(&b->db, &b->sql, &rows));

    if (result != DB_OK) {
        return result;
    }

    *more = mysql_num_rows(rows) > 0;

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        struct changed_order *o = &b->orders[*n];
        enum order_status status = row[2] != NULL ? order_status_parse(row[6], strlen(row[6])) : ORDER_UNKNOWN;

        snprintf(after->time, sizeof(after->time), "%s", row[0]);
        after->id = number_of_column(row[1]);

        if (status != ORDER_UNKNOWN) {
            *o = (struct changed_order) { .status = status, .quantity = number_of_column(row[5]) };
            o->product = number_of_column(row[3]);
            o->user = number_of_column(row[4]);
            snprintf(o->identifier, sizeof(o->identifier), "%s", row[2]);
            snprintf(o->code, sizeof(o->code), "%s", row[7]);
            b->products[(*n)++] = (struct product_row) { .id = o->product };
        }
    }

    mysql_free_result(rows);
    return DB_OK;
}


/* Units 0: an order without a record is left to the count. */
static int
tell_again(struct buyers *b, const char *since)
{
    struct place after = { .id = 0 };
    size_t n, told = 0;
    int more = since[0] != '\0';

    if (more && read_time(b, since, after.time) != DB_OK) {
        return -1;
    }

    while (more && go_on(b)) {
        if (read_moved(b, &after, &n, &more) != DB_OK) {
            return -1;
        }

        struct transition moved = { b->orders, n, b->products, n, 0 };

        if (n > 0 && transition_send(&b->redis, &b->args, &moved, NULL) == -1) {
            return -1;
        }

        told += n;
    }

    log_info("event=orders_told_again orders=%zu since=%s", told, since[0] != '\0' ? since : "-");
    return more ? -1 : 0;
}


/* --- the tick ----------------------------------------------------------------------------------------------------- */


/* Closed before anything is told, so that nobody buys by counts that are too low. */
static int
went_back(struct buyers *b, const char *since)
{
    uint64_t *ids;
    size_t n;

    if (buyers_limited(&b->db, &ids, &n) != DB_OK) {
        return -1;
    }

    log_warn("event=redis_changed limited_products=%zu since=%s why=\"it may have lost the last that it was told:"
             " buyers are counted again\"",
             n, since[0] != '\0' ? since : "-");

    int result = buyers_mark(&b->redis, ids, n) == 0 && tell_again(b, since) == 0 ? buyers_mark(&b->redis, ids, n) : -1;

    free(ids);
    return result;
}


static int
watch(struct buyers *b)
{
    char now[IDENTITY_MAX + 1], seen[IDENTITY_MAX + 1], since[TIME_MAX + 1], time[TIME_MAX + 1];

    if (read_identity(b, now) == -1 || read_seen(b, seen, since) == -1 || read_time(b, NULL, time) != DB_OK) {
        return -1;
    }

    if (now[0] == '\0') {
        if (!b->unwatched) {
            log_warn("event=redis_unwatched why=\"INFO is refused or says nothing: after Redis lost data, run"
                     " checkoutctl rebuild\"");
        }

        b->unwatched = 1;
        return 0;
    }

    if (seen[0] != '\0' && strcmp(seen, now) != 0 && went_back(b, since) == -1) {
        return -1;
    }

    return write_seen(b, now, time);
}


/* A session that was opened under another epoch may be on a server that was replaced since (redis/loss.h). */
static int
see_epoch(struct buyers *b)
{
    int64_t epoch;

    if (loss_read_epoch(&b->redis, &epoch) == -1) {
        return -1;
    }

    if (epoch != b->epoch) {
        db_close(&b->db);
    }

    b->epoch = epoch;
    return 0;
}


static int
count(struct buyers *b)
{
    uint64_t begun = clock_ms(), counted = 0, users = 0;
    enum buyers_counted result = buyers_count_wanted(&b->db, &b->redis, go_on, b, &counted, &users);

    if (counted > 0) {
        log_info("event=buyers_counted products=%" PRIu64 " users=%" PRIu64 " took_ms=%" PRIu64, counted, users,
                 clock_ms() - begun);
    }

    return result == BUYERS_COUNTED || result == BUYERS_STOPPED ? 0 : -1;
}


static void *
run(void *data)
{
    struct buyers *b = data;
    unsigned wait = 0;

    while (!stop_wait(wait)) {
        b->db.error[0] = b->redis.error[0] = '\0';
        wait = TICK_MS;

        if (!go_on(b)) {
            continue;
        }

        if (see_epoch(b) == -1 || watch(b) == -1 || count(b) == -1) {
            wait = TICK_MS + backoff_next(&b->backoff);
            log_warn("event=buyers_not_counted mysql=\"%s\" redis=\"%s\" wait_ms=%u", b->db.error, b->redis.error,
                     wait);
        } else {
            backoff_reset(&b->backoff);
        }
    }

    if (b->holds_lease) {
        lease_give_back(&b->lease, &b->redis);
    }

    db_close(&b->db);
    db_thread_end();
    atomic_store(&b->ended, 1);
    return NULL;
}


int
buyers_start(struct buyers *b, const struct config *config)
{
    *b = (struct buyers) { .config = config, .redis.config = config, .db.server = &config->db };
    b->orders = memory_resize(NULL, BUYERS_RETELL_PAGE, sizeof(*b->orders));
    b->products = memory_resize(NULL, BUYERS_RETELL_PAGE, sizeof(*b->products));
    lease_init(&b->lease, BUYERS_LEASE, config->worker.name);
    return pthread_create(&b->thread, NULL, run, b);
}


void
buyers_join(struct buyers *b)
{
    pthread_join(b->thread, NULL);
    redis_close(&b->redis);
    args_free(&b->args);
    buffer_free(&b->sql);
    free(b->orders);
    free(b->products);
}
