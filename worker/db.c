#include "db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

/* Numbers of the server's errors: MySQL Reference Manual and MariaDB Knowledge Base, "Error Codes". */
#define ERROR_DUPLICATE_KEY      1062
#define ERROR_DEADLOCK           1213
#define ERROR_RECORD_CHANGED     1020   /* MariaDB: innodb_snapshot_isolation */


enum db_result
db_class(unsigned code)
{
    switch (code) {
    case 0:
        return DB_OK;

    case ERROR_DUPLICATE_KEY:
    case ERROR_DEADLOCK:
    case ERROR_RECORD_CHANGED:
        return DB_AGAIN;

    case 1048:   /* column cannot be null */
    case 1264:   /* out of range for a column */
    case 1265:   /* data truncated */
    case 1292:   /* incorrect value */
    case 1366:   /* incorrect value for a column */
    case 1406:   /* data too long */
    case 1690:   /* out of range in an expression */
    case 3819:   /* MySQL: check constraint */
    case 4025:   /* MariaDB: check constraint */
        return DB_POISON;

    default:
        return DB_RETRY;
    }
}


static void
close_mysql(struct db *db)
{
    if (db->mysql != NULL) {
        mysql_close(db->mysql);
        db->mysql = NULL;
    }
}


/* Notes the error of the last call and closes a connection that is in doubt. */
static enum db_result
failed(struct db *db)
{
    db->code = mysql_errno(db->mysql);
    log_clean(db->error, sizeof(db->error), mysql_error(db->mysql));

    enum db_result result = db->code != 0 ? db_class(db->code) : DB_RETRY;

    if (result == DB_RETRY) {
        close_mysql(db);
    }

    return result;
}


static void
set_options(struct db *db)
{
    unsigned connect = (db->config->mysql.connect_timeout + 999) / 1000;
    unsigned wait = (db->config->mysql.timeout + 999) / 1000;

    (void) mysql_options(db->mysql, MYSQL_OPT_CONNECT_TIMEOUT, &connect);
    (void) mysql_options(db->mysql, MYSQL_OPT_READ_TIMEOUT, &wait);
    (void) mysql_options(db->mysql, MYSQL_OPT_WRITE_TIMEOUT, &wait);
    (void) mysql_options(db->mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
}


static enum db_result
prepare_session(struct db *db)
{
    struct buffer sql = { 0 };

    /* A lock that is waited for longer than a read would look like a lost connection. */
    buffer_format(&sql, "SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES',"
                  " innodb_lock_wait_timeout = %u; SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
                  db->config->mysql.timeout / 2000);

    enum db_result result = db_run(db, &sql);

    buffer_free(&sql);

    if (result != DB_OK) {
        close_mysql(db);
        return DB_RETRY;
    }

    return DB_OK;
}


enum db_result
db_open(struct db *db)
{
    if (db->mysql != NULL) {
        return DB_OK;
    }

    const char *socket = db->config->mysql.socket;
    int local = socket[0] != '\0';

    db->mysql = mysql_init(NULL);

    if (db->mysql == NULL) {
        snprintf(db->error, sizeof(db->error), "out of memory");
        return DB_RETRY;
    }

    set_options(db);

    if (mysql_real_connect(db->mysql, local ? NULL : db->config->mysql.host, db->config->mysql.user,
                           db->config->mysql.password, db->config->mysql.database,
                           local ? 0 : db->config->mysql.port, local ? socket : NULL,
                           CLIENT_MULTI_STATEMENTS) == NULL)
    {
        (void) failed(db);
        close_mysql(db);
        return DB_RETRY;
    }

    return prepare_session(db);
}


static enum db_result
send_sql(struct db *db, const char *sql, size_t len)
{
    if (db->mysql == NULL) {
        db->code = 0;
        snprintf(db->error, sizeof(db->error), "not connected");
        return DB_RETRY;
    }

    return mysql_real_query(db->mysql, sql, (unsigned long) len) == 0 ? DB_OK : failed(db);
}


static enum db_result
run(struct db *db, const char *sql, size_t len)
{
    enum db_result result = send_sql(db, sql, len);

    while (result == DB_OK) {
        int next = mysql_next_result(db->mysql);

        if (next == -1) {
            return DB_OK;
        }

        if (next > 0) {
            result = failed(db);
        }
    }

    return result;
}


enum db_result
db_run(struct db *db, const struct buffer *sql)
{
    return run(db, sql->data, sql->len);
}


enum db_result
db_text(struct db *db, const char *sql)
{
    return run(db, sql, strlen(sql));
}


enum db_result
db_rows(struct db *db, const struct buffer *sql, MYSQL_RES **rows)
{
    enum db_result result = send_sql(db, sql->data, sql->len);

    if (result != DB_OK) {
        return result;
    }

    *rows = mysql_store_result(db->mysql);
    return *rows != NULL ? DB_OK : failed(db);
}


enum db_result
db_change_one_each(struct db *db, const struct buffer *sql, size_t statements)
{
    enum db_result result = send_sql(db, sql->data, sql->len);
    size_t changed_one = 0;

    while (result == DB_OK) {
        changed_one += mysql_affected_rows(db->mysql) == 1;

        int next = mysql_next_result(db->mysql);

        if (next == -1) {
            break;
        }

        if (next > 0) {
            result = failed(db);
        }
    }

    if (result == DB_OK && changed_one != statements) {
        db->code = 0;
        snprintf(db->error, sizeof(db->error), "%zu of %zu guarded updates found their row", changed_one, statements);
        return DB_AGAIN;
    }

    return result;
}


void
db_rollback(struct db *db)
{
    if (db->mysql != NULL && mysql_rollback(db->mysql)) {
        close_mysql(db);
    }
}


void
db_quote(struct db *db, struct buffer *sql, const char *text)
{
    size_t len = strlen(text);
    char *escaped = memory_resize(NULL, 2 * len + 1, 1);
    unsigned long escaped_len = mysql_real_escape_string(db->mysql, escaped, text, (unsigned long) len);

    buffer_text(sql, "'");
    buffer_add(sql, escaped, escaped_len);
    buffer_text(sql, "'");
    free(escaped);
}


void
db_close(struct db *db)
{
    close_mysql(db);
}


void
db_thread_end(void)
{
    mysql_thread_end();
}
