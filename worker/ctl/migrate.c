/*
 * checkoutctl migrate: applies the migrations of sql/, which are built into the program, in order. A lock of MySQL's
 * lets one process do it at a time. A migration that failed goes on at the statement that failed.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "checkout_migrations.h"
#include "ctl/ctl.h"
#include "ctl/migrate_finish.h"
#include "ctl/report.h"
#include "ctl/sql_split.h"
#include "ctl/words.h"
#include "text/number.h"

#define LOCK_WAIT_SECONDS  60
#define TABLE_WAIT_SECONDS 3 /* of a statement for its table: behind it waits whoever else wants the table */
#define TABLE_TRIES        5
#define TABLE_REST_SECONDS 5
#define STATEMENT_MOST_MS  86400000 /* a day: a statement may rebuild a large table */

struct applied {
    int known; /* it was begun before */
    int finished;
    char sha1[41];
    unsigned statements; /* of them already run */
};


static int
report_statement(const struct db *db, const char *name, unsigned statement)
{
    fprintf(stderr, "migrate: %s: statement %u: %s (error %u)\n", name, statement, db->error, db->code);
    return -1;
}


/* Runs a statement that gives one row of texts. Returns the result with the row in *row (NULL: none), or NULL. */
static MYSQL_RES *
ask(struct db *db, const char *text, MYSQL_ROW *row)
{
    struct buffer sql = { 0 };
    MYSQL_RES *rows = NULL;

    buffer_text(&sql, text);

    if (db_rows(db, &sql, &rows) != DB_OK) {
        rows = NULL;
    }

    buffer_free(&sql);

    if (rows != NULL) {
        *row = mysql_fetch_row(rows);
    }

    return rows;
}


/* Returns 1: taken, 0: another session has it, -1: an error. */
static int
try_lock(struct db *db, unsigned seconds)
{
    char sql[128];
    MYSQL_ROW row;

    snprintf(sql, sizeof(sql), "SELECT GET_LOCK(CONCAT(DATABASE(), '.migrate'), %u)", seconds);

    MYSQL_RES *rows = ask(db, sql, &row);

    if (rows == NULL) {
        return report_statement(db, "lock", 1);
    }

    int taken = row != NULL && row[0] != NULL && strcmp(row[0], "1") == 0;

    mysql_free_result(rows);
    return taken;
}


static int
take_lock(struct db *db)
{
    int taken = try_lock(db, 0);

    if (taken == 0) {
        fprintf(stderr, "migrate: another migration of this database is running; waiting for it, %d s at most\n",
                LOCK_WAIT_SECONDS);
        taken = try_lock(db, LOCK_WAIT_SECONDS);
    }

    if (taken == 0) {
        fprintf(stderr, "migrate: another migration of this database is still running; nothing was done\n");
    }

    return taken == 1 ? 0 : -1;
}


static int
read_applied(struct db *db, const struct checkout_migration *m, struct applied *applied)
{
    char sql[256];
    MYSQL_ROW row;

    snprintf(sql, sizeof(sql),
             "SELECT checksum, statements, finished_at IS NOT NULL FROM schema_migrations"
             " WHERE name = '%s'",
             m->name);

    MYSQL_RES *rows = ask(db, sql, &row);

    if (rows == NULL) {
        return report_statement(db, "schema_migrations", 1);
    }

    *applied = (struct applied) { 0 };

    if (row != NULL) {
        applied->known = 1;
        snprintf(applied->sha1, sizeof(applied->sha1), "%s", row[0]);
        applied->statements = (unsigned) number_of_column(row[1]);
        applied->finished = strcmp(row[2], "1") == 0;
    }

    mysql_free_result(rows);
    return 0;
}


/* A statement that defines tables commits by itself, so the progress is noted after each one. */
static int
note_progress(struct db *db, const struct checkout_migration *m, unsigned statements, int finished)
{
    char sql[512];

    snprintf(sql, sizeof(sql),
             "INSERT INTO schema_migrations (name, checksum, statements, finished_at)"
             " VALUES ('%s', '%s', %u, %s) ON DUPLICATE KEY UPDATE statements = VALUES(statements),"
             " finished_at = VALUES(finished_at)",
             m->name, m->sha1, statements, finished ? "NOW(3)" : "NULL");

    return db_text(db, sql) == DB_OK ? 0 : report_statement(db, m->name, statements);
}


/*
 * Opens a session whose statements have no time-out, since one may build a large index, but wait for no table for long,
 * and takes the lock of migrations. Returns 0, or -1 after a message.
 */
static int
open_session(struct db *db)
{
    char sql[96];

    snprintf(sql, sizeof(sql), "SET SESSION lock_wait_timeout = %d, innodb_lock_wait_timeout = %d", TABLE_WAIT_SECONDS,
             TABLE_WAIT_SECONDS);

    if (db_open(db) != DB_OK || db_text(db, sql) != DB_OK) {
        fprintf(stderr, "migrate: no connection to MySQL: %s (error %u)\n", db->error, db->code);
        return -1;
    }

    return take_lock(db);
}


/*
 * A statement that changes a table waits until the transactions that use it have ended, and all that come after wait
 * behind it. So it gives up soon, lets them pass, and tries again. Returns 0, or -1 after a message.
 */
static int
run_statement(struct db *db, const struct checkout_migration *m, unsigned number, const struct buffer *sql)
{
    for (unsigned i = 1;; i++) {
        if (db_run(db, sql) == DB_OK) {
            return 0;
        }

        (void) report_statement(db, m->name, number);

        if (db->code != ERROR_LOCK_WAIT) {
            return -1;
        }

        if (i == TABLE_TRIES) {
            fprintf(stderr,
                    "migrate: a transaction uses the table for longer than %d s; information_schema.innodb_trx shows"
                    " it. End it and run migrate again: it goes on at this statement\n",
                    TABLE_WAIT_SECONDS);
            return -1;
        }

        fprintf(stderr, "migrate: another session uses the table; trying again in %d s\n", TABLE_REST_SECONDS);
        db_close(db);
        (void) sleep(TABLE_REST_SECONDS);

        if (open_session(db) == -1) {
            return -1;
        }
    }
}


static int
apply(struct db *db, const struct checkout_migration *m, unsigned done)
{
    const char *at = m->sql, *statement;
    size_t len;
    unsigned number = 0;

    while ((statement = sql_next_statement(&at, &len)) != NULL) {
        if (++number <= done) {
            continue;
        }

        struct buffer sql = { 0 };

        buffer_add(&sql, statement, len);

        int result = run_statement(db, m, number, &sql);

        buffer_free(&sql);

        if (result == -1 || note_progress(db, m, number, 0) == -1) {
            return -1;
        }
    }

    return note_progress(db, m, number, 1);
}


static int
apply_if_new(struct db *db, const struct checkout_migration *m)
{
    struct applied applied;

    if (read_applied(db, m, &applied) == -1) {
        return -1;
    }

    if (applied.known && strcmp(applied.sha1, m->sha1) != 0) {
        fprintf(stderr, "migrate: %s was changed after it was applied\n", m->name);
        return -1;
    }

    if (!applied.finished && apply(db, m, applied.statements) == -1) {
        return -1;
    }

    printf("%s %s\n", m->name, applied.finished ? "was applied before" : "applied");
    return 0;
}


/* *fresh: 1 where no migration was begun before, so that no program can have worked on the database. */
static int
is_fresh(struct db *db, int *fresh)
{
    MYSQL_ROW row;
    MYSQL_RES *rows = ask(db, "SELECT COUNT(*) FROM schema_migrations", &row);

    if (rows == NULL) {
        return report_statement(db, "schema_migrations", 1);
    }

    *fresh = row != NULL && strcmp(row[0], "0") == 0;
    mysql_free_result(rows);
    return 0;
}


/* Prints one line for each migration. Returns CTL_OK, or CTL_ERROR after a message. */
static int
apply_all(struct ctl *ctl)
{
    struct db *db = &ctl->db;
    int result = 0, fresh, counts = 0;

    if (db_text(db, "CREATE TABLE IF NOT EXISTS schema_migrations ("
                    " name VARCHAR(255) CHARACTER SET ascii NOT NULL PRIMARY KEY,"
                    " checksum CHAR(40) CHARACTER SET ascii NOT NULL,"
                    " statements INT UNSIGNED NOT NULL,"
                    " started_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),"
                    " finished_at DATETIME(3) NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4")
        != DB_OK)
    {
        return (void) report_statement(db, "schema_migrations", 1), CTL_ERROR;
    }

    result = is_fresh(db, &fresh);

    for (size_t i = 0; result == 0 && i < sizeof(checkout_migrations) / sizeof(checkout_migrations[0]); i++) {
        result = apply_if_new(db, &checkout_migrations[i]);
    }

    if (result == 0 && ((fresh && migrate_begin_era(db) != DB_OK) || migrate_has_era(db, &counts) != DB_OK)) {
        result = report_statement(db, "settings", 1);
    }

    if (result == 0 && !counts) {
        printf("counters do not count yet: \"migrate --finish\" once all programs, nginx too, are of this release\n");
    }

    return result == 0 ? CTL_OK : CTL_ERROR;
}


/* Runs it over a connection that waits long enough, while no other migration runs. Returns the exit code. */
static int
run_locked(struct ctl *ctl, int (*run)(struct ctl *ctl))
{
    struct db *db = &ctl->db;
    int code = CTL_ERROR;
    const struct db_server *configured = db->server;
    struct db_server slow_server = *configured;

    /*
     * A time-out before the lock is granted, or before a long statement is done, would look like a lost connection.
     */
    slow_server.timeout = STATEMENT_MOST_MS;
    slow_server.statement_timeout = 0;
    db_close(db);
    db->server = &slow_server;

    if (open_session(db) == 0) {
        code = run(ctl);
    }

    db_close(db); /* gives the lock back */
    db->server = configured;
    return code;
}


int
ctl_migrate(struct ctl *ctl, int argc, char **argv)
{
    int finish = words_take_flag(&argc, argv, "--finish"), unfinish = words_take_flag(&argc, argv, "--unfinish");

    if (argc > 0 || (finish && unfinish)) {
        return report_error("migrate takes --finish, or --unfinish, or nothing");
    }

    return run_locked(ctl, finish ? migrate_finish : unfinish ? migrate_unfinish : apply_all);
}
