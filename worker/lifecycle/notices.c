#include "lifecycle/notices.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/stop.h"
#include "failpoint.h"
#include "lifecycle/transition.h"
#include "observe/stats.h"
#include "repair/buyers_count.h"
#include "text/number.h"

#define TICK_MS     500
#define LEFT_MS     1500 /* a notice that was there so long ago was left behind */
#define LEFT_ALL_MS 6000 /* the same, for those who do not hold the lease */


/* --- which ones --------------------------------------------------------------------------------------------------- */


/* *last: the greatest id, 0 where there is none. Counts no further than an operator needs to know. */
static enum db_result
look(struct notices *n, uint64_t *last)
{
    MYSQL_RES *rows;

    buffer_clear(&n->sql);
    buffer_text(&n->sql, "SELECT COALESCE((SELECT MAX(id) FROM gate_notices), 0),"
                         " (SELECT COUNT(*) FROM (SELECT 1 FROM gate_notices LIMIT 10000) few),"
                         " COALESCE((SELECT TIMESTAMPDIFF(SECOND, created_at, NOW(3)) FROM gate_notices"
                         " ORDER BY id LIMIT 1), 0)");

    enum db_result result = EFFECT("notices.look", db_rows(&n->db, &n->sql, &rows));

    if (result != DB_OK) {
        return result;
    }

    MYSQL_ROW row = mysql_fetch_row(rows);

    *last = row != NULL ? number_of_column(row[0]) : 0;

    if (row != NULL) {
        stats_set(STATS_NOTICES_WAITING, number_of_signed_column(row[1]));
        stats_set(STATS_NOTICES_AGE, number_of_signed_column(row[2]) > 0 ? number_of_signed_column(row[2]) : 0);
    }

    mysql_free_result(rows);
    return DB_OK;
}


static void
hold_lease(struct notices *n)
{
    uint64_t now = clock_ms();

    if (!n->began || now - n->leased >= LEASE_RENEW_MS) {
        n->leased = now;
        n->holds_lease = lease_hold(&n->lease, &n->redis) == 1;
    }
}


static void
move_horizon(struct notices *n, uint64_t last)
{
    uint64_t now = clock_ms();

    if (!n->began) {
        n->horizon = last;
    } else if (now - n->seen_ms >= (n->holds_lease ? LEFT_MS : LEFT_ALL_MS)) {
        n->horizon = n->seen;
    } else {
        return;
    }

    n->began = 1;
    n->seen = last;
    n->seen_ms = now;
}


/* --- a page ------------------------------------------------------------------------------------------------------- */


static void
add_product(struct notices *n, uint64_t id)
{
    for (size_t i = 0; i < n->product_count; i++) {
        if (n->products[i].id == id) {
            return;
        }
    }

    n->products[n->product_count++] = (struct product_row) { .id = id };
}


/* A status that this program does not know was written by a later one, which also tells it. */
static void
add_notice(struct notices *n, MYSQL_ROW row)
{
    enum order_status status = order_status_parse(row[5], strlen(row[5]));

    if (status == ORDER_UNKNOWN) {
        return;
    }

    struct changed_order *o = &n->orders[n->count];

    *o = (struct changed_order) {
        .before = ORDER_UNKNOWN,
        .status = status,
        .product = number_of_column(row[2]),
        .user = number_of_column(row[3]),
        .quantity = number_of_column(row[4]),
        .taken = number_of_signed_column(row[7])
    };
    snprintf(o->identifier, sizeof(o->identifier), "%s", row[1]);
    snprintf(o->code, sizeof(o->code), "%s", row[6]);

    n->ids[n->count] = number_of_column(row[0]);
    n->old[n->count] = row[8][0] == '1' && o->taken != 0;
    o->taken = n->old[n->count] ? 0 : o->taken;
    n->count++;
    add_product(n, o->product);
}


/* *after: the last id that was read. *more: whether the page was full. */
static enum db_result
read_page(struct notices *n, uint64_t *after, int *more)
{
    MYSQL_RES *rows;

    n->count = n->product_count = 0;
    buffer_clear(&n->sql);
    buffer_format(
        &n->sql,
        "SELECT id, order_identifier, product_id, user_id, quantity, status, COALESCE(failure_code, ''), units,"
        " created_at < NOW(3) - INTERVAL %d HOUR FROM gate_notices FORCE INDEX (PRIMARY) WHERE id > %" PRIu64
        " AND id <= %" PRIu64 " ORDER BY id LIMIT %d",
        NOTICES_OLD_HOURS, *after, n->horizon, NOTICES_PAGE);

    enum db_result result = EFFECT("notices.read", db_rows(&n->db, &n->sql, &rows));

    if (result != DB_OK) {
        return result;
    }

    *more = mysql_num_rows(rows) == NOTICES_PAGE;

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        *after = number_of_column(row[0]);
        add_notice(n, row);
    }

    mysql_free_result(rows);
    return DB_OK;
}


static enum db_result
delete_told(struct notices *n)
{
    size_t told = 0;

    buffer_clear(&n->sql);
    buffer_text(&n->sql, "DELETE n FROM gate_notices n FORCE INDEX (PRIMARY) WHERE n.id IN (");

    for (size_t i = 0; i < n->count; i++) {
        if (n->told[i]) {
            buffer_format(&n->sql, "%s%" PRIu64, told++ > 0 ? "," : "", n->ids[i]);
        }
    }

    buffer_text(&n->sql, ")");
    return told > 0 ? EFFECT("notices.delete", db_run(&n->db, &n->sql)) : DB_OK;
}


/* The buyers of products whose notices are too old to be told. */
static int
mark_old(struct notices *n)
{
    uint64_t ids[NOTICES_PAGE];
    size_t count = 0;

    for (size_t i = 0; i < n->count; i++) {
        if (n->old[i]) {
            ids[count++] = n->orders[i].product;
        }
    }

    return count > 0 ? buyers_mark(&n->redis, ids, count) : 0;
}


/*
 * Tells the page, then deletes it. Too old ones: a count that ends between mark and delete may have taken the notice
 * for one that was not told, so it is marked again behind the delete.
 */
static int
tell_page(struct notices *n)
{
    struct transition moved = { n->orders, n->count, n->products, n->product_count, 1 };

    if (n->count == 0) {
        return 0;
    }

    if (mark_old(n) == -1 || transition_send(&n->redis, &n->args, &moved, n->told) == -1 || delete_told(n) != DB_OK
        || mark_old(n) == -1)
    {
        return -1;
    }

    log_debug("event=notices_told notices=%zu", n->count);
    return 0;
}


static int
sweep(struct notices *n)
{
    uint64_t after = 0;
    int more = 1;

    while (more && !stop_requested()) {
        if (read_page(n, &after, &more) != DB_OK || tell_page(n) == -1) {
            return -1;
        }
    }

    return 0;
}


static int
tick(struct notices *n)
{
    uint64_t last;

    if (db_open(&n->db) != DB_OK || look(n, &last) != DB_OK) {
        stats_set(STATS_NOTICES_WAITING, -1);
        stats_set(STATS_NOTICES_AGE, -1);
        return -1;
    }

    hold_lease(n);
    move_horizon(n, last);
    return last > 0 && n->horizon > 0 ? sweep(n) : 0;
}


/* --- the thread --------------------------------------------------------------------------------------------------- */


static void *
run(void *data)
{
    struct notices *n = data;
    unsigned wait = 0;

    while (!stop_wait(wait)) {
        n->db.error[0] = n->redis.error[0] = '\0';
        wait = TICK_MS;

        if (tick(n) == -1) {
            db_rollback(&n->db);
            wait = backoff_next(&n->backoff);
            log_warn("event=notices_failed mysql=\"%s\" redis=\"%s\" wait_ms=%u", n->db.error, n->redis.error, wait);
        } else {
            backoff_reset(&n->backoff);
        }
    }

    if (n->holds_lease) {
        lease_give_back(&n->lease, &n->redis);
    }

    db_close(&n->db);
    db_thread_end();
    atomic_store(&n->ended, 1);
    return NULL;
}


int
notices_start(struct notices *n, const struct config *config)
{
    *n = (struct notices) { .config = config, .redis.config = config, .db.server = &config->db };
    n->orders = memory_resize(NULL, NOTICES_PAGE, sizeof(*n->orders));
    lease_init(&n->lease, "notices", config->worker.name);
    return pthread_create(&n->thread, NULL, run, n);
}


void
notices_join(struct notices *n)
{
    pthread_join(n->thread, NULL);
    redis_close(&n->redis);
    args_free(&n->args);
    buffer_free(&n->sql);
    free(n->orders);
}
