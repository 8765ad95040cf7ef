#include "db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failpoint.h"
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


int
db_is_environmental(unsigned code)
{
    static const unsigned codes[] = {
        1021, 1026, 1030, 1114,                 /* disk full, a file cannot be written, storage engine, table full */
        1037, 1038, 1041,                       /* out of memory */
        1040, 1129, 1203, 1226,                 /* too many connections, host blocked, resources used up */
        1044, 1045, 1142, 1143, 1227, 1370,     /* a grant is missing */
        1049, 1054, 1146,                       /* no such database, column, table: not migrated yet */
        1053, 1077, 1079, 1080,                 /* the server shuts down */
        1158, 1159, 1160, 1161,                 /* network */
        1192, 1205, 1206, 1223, 1099, 1100,     /* locks */
        1290, 1792, 1836, 3100,                 /* read-only, a hook of replication */
        1317, 1927, 1969, 3024, 3168,           /* killed, or over its time */
    };

    if (code < 1000 || (code >= 2000 && code < 3000)) {
        return 1;    /* ours, or the client library's */
    }

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i] == code) {
            return 1;
        }
    }

    return 0;
}


static void
close_mysql(struct db *db)
{
    if (db->mysql != NULL) {
        FAILPOINT_MYSQL_SOCKET(-1);
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
set_file(struct db *db, enum mysql_option option, const char *path)
{
    if (path[0] != '\0') {
        (void) mysql_options(db->mysql, option, path);
    }
}


/* The two client libraries say "encrypted, and checked so far" in different options. */
static void
set_tls(struct db *db)
{
    int wanted = db->config->mysql.ssl || db->config->mysql.ssl_ca[0] != '\0';
    int verify = wanted && db->config->mysql.ssl_verify;

    set_file(db, MYSQL_OPT_SSL_CA, db->config->mysql.ssl_ca);
    set_file(db, MYSQL_OPT_SSL_CERT, db->config->mysql.ssl_cert);
    set_file(db, MYSQL_OPT_SSL_KEY, db->config->mysql.ssl_key);

#ifdef MARIADB_PACKAGE_VERSION
    my_bool on = 1, check = (my_bool) verify;

    if (wanted) {
        (void) mysql_options(db->mysql, MYSQL_OPT_SSL_ENFORCE, &on);
    }

    (void) mysql_options(db->mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &check);
#else
    unsigned mode = verify ? SSL_MODE_VERIFY_IDENTITY : wanted ? SSL_MODE_REQUIRED : SSL_MODE_PREFERRED;
    bool ask = db->config->mysql.server_public_key != 0;

    (void) mysql_options(db->mysql, MYSQL_OPT_SSL_MODE, &mode);
    (void) mysql_options(db->mysql, MYSQL_OPT_GET_SERVER_PUBLIC_KEY, &ask);
#endif
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
    set_tls(db);
}


static enum db_result
prepare_session(struct db *db)
{
    struct buffer sql = { 0 };

    /* A lock that is waited for longer than a read would look like a lost connection. */
    buffer_format(&sql, "SET SESSION autocommit = 1, time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES',"
                  " innodb_lock_wait_timeout = %u; SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
                  db->config->mysql.timeout / 2000);

    enum db_result result = EFFECT("mysql.session", db_run(db, &sql));

    buffer_free(&sql);

    if (result != DB_OK) {
        close_mysql(db);
        return DB_RETRY;
    }

    return DB_OK;
}


static MYSQL *
dial(struct db *db)
{
    const struct config *c = db->config;
    int local = c->mysql.socket[0] != '\0';

    return mysql_real_connect(db->mysql, local ? NULL : c->mysql.host, c->mysql.user, c->mysql.password,
                              c->mysql.database, local ? 0 : c->mysql.port, local ? c->mysql.socket : NULL,
                              CLIENT_MULTI_STATEMENTS);
}


enum db_result
db_open(struct db *db)
{
    if (db->mysql != NULL) {
        return DB_OK;
    }

    db->mysql = mysql_init(NULL);

    if (db->mysql == NULL) {
        snprintf(db->error, sizeof(db->error), "out of memory");
        return DB_RETRY;
    }

    set_options(db);

    if (EFFECT("mysql.connect", dial(db)) == NULL) {
        (void) failed(db);
        close_mysql(db);
        return DB_RETRY;
    }

    FAILPOINT_MYSQL_SOCKET((int) db->mysql->net.fd);
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
    if (db->mysql != NULL && EFFECT("mysql.rollback", mysql_rollback(db->mysql))) {
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
