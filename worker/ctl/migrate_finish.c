#include "ctl/migrate_finish.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random_hex.h"
#include "ctl/report.h"
#include "failpoint.h"
#include "mysql/supply.h"
#include "redis/beats.h"

#define ERA_DIGITS    32
#define STEP_PRODUCTS 200 /* whose rows one statement locks */
#define STEP_TRIES    20  /* at a step whose rows are locked by others */
#define WATCH_MS      10000
#define POLL_US       250000


/* --- the era ------------------------------------------------------------------------------------------------------ */


enum db_result
migrate_begin_era(struct db *db)
{
    char era[ERA_DIGITS + 1], sql[256];

    random_hex(era, ERA_DIGITS);
    snprintf(sql, sizeof(sql),
             "INSERT INTO settings (name, value) VALUES ('" SUPPLY_SETTING "', '%s')"
             " ON DUPLICATE KEY UPDATE value = IF(value = '', VALUES(value), value)",
             era);
    return EFFECT("migrate.era", db_text(db, sql));
}


static enum db_result
end_era(struct db *db)
{
    return EFFECT("migrate.no_era", db_text(db, "UPDATE settings SET value = '' WHERE name = '" SUPPLY_SETTING "'"));
}


enum db_result
migrate_has_era(struct db *db, int *counts)
{
    struct buffer sql = { 0 };

    buffer_text(&sql, "SELECT 1 FROM settings WHERE name = '" SUPPLY_SETTING "' AND value <> ''");

    enum db_result result = db_any(db, &sql, counts);

    buffer_free(&sql);
    return result;
}


/* --- all products, in steps --------------------------------------------------------------------------------------- */


/* A step that waits for one row keeps the others of its step locked, and so their orders waiting. */
static const char short_lock_wait[] = "SET SESSION innodb_lock_wait_timeout = 1";


/* Sets counters of the products in (after, last]. Rows that orders keep locked are waited for, a bounded time. */
static enum db_result
set_step(struct db *db, const char *counter, uint64_t after, uint64_t last)
{
    struct buffer sql = { 0 };
    enum db_result result = DB_AGAIN;

    buffer_format(&sql,
                  "UPDATE products SET live_units = %s, supplied_units = %s, counted_at = NULL, updated_at = updated_at"
                  " WHERE id > %" PRIu64 " AND id <= %" PRIu64,
                  counter, counter, after, last);

    for (int i = 0; i < STEP_TRIES && result != DB_OK && result != DB_POISON; i++) {
        if (i > 0) {
            (void) usleep(POLL_US);
        }

        if ((result = db_open(db)) == DB_OK && (result = db_text(db, short_lock_wait)) == DB_OK) {
            result = EFFECT("migrate.set_counters", db_run(db, &sql));
        }
    }

    buffer_free(&sql);
    return result;
}


/* counter: constant text of SQL. *products: how many there are. Pauses as long as each step took. */
static enum db_result
set_all(struct db *db, const char *counter, uint64_t *products)
{
    static struct supply rows[STEP_PRODUCTS];
    size_t n = STEP_PRODUCTS;
    uint64_t after = 0;
    enum db_result result = db_open(db);

    *products = 0;

    while (result == DB_OK && n == STEP_PRODUCTS
           && (result = supply_rows_read(db, after, rows, STEP_PRODUCTS, &n)) == DB_OK && n > 0)
    {
        uint64_t begun = clock_us();

        result = set_step(db, counter, after, rows[n - 1].product);

        if (result != DB_OK) {
            return result;
        }

        after = rows[n - 1].product;
        *products += n;
        (void) usleep((useconds_t) (clock_us() - begun < POLL_US ? clock_us() - begun : POLL_US));
    }

    return result;
}


/* --- workers of the release before -------------------------------------------------------------------------------- */


/*
 * A heartbeat lives where its value changes while it is watched; the values' own times say nothing, since Redis' clock
 * may step. Returns CTL_OK: there is none, else the code after a message.
 */
static int
refuse_old_workers(struct ctl *ctl)
{
    struct beats first, now;
    uint64_t begun = clock_ms(), most = ctl->config.worker.dead_after + 1000;

    if (beats_read_old(&ctl->redis, &first) == -1) {
        return report_redis_failed(ctl);
    }

    most = most > WATCH_MS ? most : WATCH_MS;

    if (first.count > 0) {
        fprintf(stderr,
                "migrate: a worker of the release before left a heartbeat (%s); watching it for %" PRIu64 " s\n",
                first.beats[0].name, most / 1000);
    }

    while (first.count > 0 && clock_ms() - begun < most) {
        (void) usleep(POLL_US);

        if (beats_read_old(&ctl->redis, &now) == -1) {
            return report_redis_failed(ctl);
        }

        const char *alive = beats_find_changed(&first, &now);

        if (alive != NULL) {
            return report_error("a worker of the release before is at work (%s); stop it, then repeat this", alive);
        }
    }

    return CTL_OK;
}


/* --- commands ----------------------------------------------------------------------------------------------------- */


static int
report_products(const struct ctl *ctl, uint64_t products, const char *what)
{
    cJSON *o = cJSON_CreateObject();

    cJSON_AddNumberToObject(o, "products", (double) products);
    return report_result(ctl, o, "%s: %" PRIu64 " products", what, products);
}


static int
report_failed(const struct db *db)
{
    return report_error("migrate: MySQL: %s (error %u)", db->error, db->code);
}


static int
finish(struct ctl *ctl, struct db *db)
{
    uint64_t products = 0;
    int has, code = refuse_old_workers(ctl);

    if (code != CTL_OK) {
        return code;
    }

    if (db_open(db) != DB_OK || migrate_has_era(db, &has) != DB_OK) {
        return report_failed(db);
    }

    if (has || ctl->dry_run) {
        return report_result(ctl, cJSON_CreateObject(),
                             has ? "the counters count already" : "the counters of all products would begin to count");
    }

    if (set_all(db, "0", &products) != DB_OK) {
        return report_failed(db);
    }

    /* One that began in the meantime has sold without counting. */
    code = refuse_old_workers(ctl);

    if (code != CTL_OK) {
        return code;
    }

    if (migrate_begin_era(db) != DB_OK) {
        return report_failed(db);
    }

    return report_products(ctl, products, "the counters count from now on; a worker adds what was before");
}


static int
unfinish(struct ctl *ctl, struct db *db)
{
    uint64_t products = 0;

    if (ctl->dry_run) {
        return report_result(ctl, cJSON_CreateObject(), "the counters of all products would be NULL");
    }

    /* Twice: a product that was added with the era still seen may have been committed behind the first pass. */
    if (db_open(db) != DB_OK || end_era(db) != DB_OK || set_all(db, "NULL", &products) != DB_OK
        || set_all(db, "NULL", &products) != DB_OK)
    {
        return report_failed(db);
    }

    return report_products(ctl, products, "the counters do not count any more, and are NULL");
}


/* On a connection of its own, with the ordinary time-outs: the command's has migrate's lock, and waits for a day. */
static int
run_apart(struct ctl *ctl, int (*run)(struct ctl *ctl, struct db *db))
{
    struct db db = { .server = &ctl->config.db };
    int code = run(ctl, &db);

    db_close(&db);
    return code;
}


int
migrate_finish(struct ctl *ctl)
{
    return run_apart(ctl, finish);
}


int
migrate_unfinish(struct ctl *ctl)
{
    return run_apart(ctl, unfinish);
}
