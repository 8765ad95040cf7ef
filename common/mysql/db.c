#include "mysql/db.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "failpoint.h"
#include "text/log_text.h"
#include "text/number.h"


static void
close_mysql(struct db *db)
{
    if (db->mysql != NULL) {
        FAILPOINT_MYSQL_SOCKET(-1);
        mysql_close(db->mysql);
        db->mysql = NULL;

        if (db->attached != NULL) {
            db->free_attached(db->attached);
            db->attached = NULL;
        }
    }
}


/* Notes an error of our own. */
static enum db_result
retry_because(struct db *db, const char *why)
{
    db->code = 0;
    snprintf(db->error, sizeof(db->error), "%s", why);
    return DB_RETRY;
}


/* Notes the error of the last call and closes a connection that is in doubt. */
static enum db_result
failed(struct db *db)
{
    db->code = mysql_errno(db->mysql);
    log_clean(db->error, sizeof(db->error), mysql_error(db->mysql));

    enum db_result result = db->code != 0 ? error_class(db->code) : DB_RETRY;

    if (result == DB_RETRY) {
        close_mysql(db);
    }

    return result;
}


enum db_result
db_error(struct db *db, unsigned code, const char *text)
{
    enum db_result result = code != 0 ? error_class(code) : DB_RETRY;

    db->code = code;
    log_clean(db->error, sizeof(db->error), text);

    if (result == DB_RETRY && (code == 0 || (code >= 2000 && code < 3000))) {
        close_mysql(db);
    }

    return result;
}


static int
is_given(const char *text)
{
    return text != NULL && text[0] != '\0';
}


static void
set_file(struct db *db, enum mysql_option option, const char *path)
{
    if (is_given(path)) {
        (void) mysql_options(db->mysql, option, path);
    }
}


/* The two client libraries say "encrypted, and checked so far" in different options. */
static void
set_tls(struct db *db)
{
    const struct db_server *s = db->server;
    int wanted = s->ssl || is_given(s->ssl_ca);
    int verify = wanted && s->ssl_verify;

    /* MariaDB's newer clients check the certificate wherever an authority is given, also without this option. */
    if (verify) {
        set_file(db, MYSQL_OPT_SSL_CA, s->ssl_ca);
    }

    set_file(db, MYSQL_OPT_SSL_CERT, s->ssl_cert);
    set_file(db, MYSQL_OPT_SSL_KEY, s->ssl_key);

#ifdef MARIADB_PACKAGE_VERSION
    my_bool on = 1, check = (my_bool) verify;

    if (wanted) {
        (void) mysql_options(db->mysql, MYSQL_OPT_SSL_ENFORCE, &on);
    }

    (void) mysql_options(db->mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &check);
#else
    unsigned mode = verify ? SSL_MODE_VERIFY_IDENTITY : wanted ? SSL_MODE_REQUIRED : SSL_MODE_PREFERRED;
    bool ask = s->server_public_key != 0;

    (void) mysql_options(db->mysql, MYSQL_OPT_SSL_MODE, &mode);
    (void) mysql_options(db->mysql, MYSQL_OPT_GET_SERVER_PUBLIC_KEY, &ask);
#endif
}


static void
set_options(struct db *db)
{
    unsigned connect = (db->server->connect_timeout + 999) / 1000;
    unsigned wait = (db->server->timeout + 999) / 1000;

    (void) mysql_options(db->mysql, MYSQL_OPT_CONNECT_TIMEOUT, &connect);
    (void) mysql_options(db->mysql, MYSQL_OPT_READ_TIMEOUT, &wait);
    (void) mysql_options(db->mysql, MYSQL_OPT_WRITE_TIMEOUT, &wait);
    (void) mysql_options(db->mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    set_tls(db);
}


/*
 * MariaDB counts seconds, for all statements; MySQL milliseconds, for those that only read: there, those that write are
 * bounded by their waits for locks. Each finds its own in a comment that the other passes over: MariaDB does so with
 * versions of MySQL that are not its own, 5.7.0 and later. 0, which the server may have another default for: none.
 */
static void
add_statement_timeout(struct buffer *sql, unsigned ms)
{
    buffer_format(sql,
                  "; /*M! SET SESSION max_statement_time = %u.%03u */"
                  "/*!50708 SET SESSION max_execution_time = %u */",
                  ms / 1000, ms % 1000, ms);
}


static enum db_result
prepare_session(struct db *db)
{
    struct buffer sql = { 0 };
    unsigned lock_wait = db->lock_wait > 0 ? db->lock_wait : db->server->timeout / 2000;

    /*
     * A wait for a lock that is longer than a read may take would look like a lost connection: for a row's, and for a
     * table's, which a migration may have. The servers count whole seconds; with 0, MariaDB would not wait at all.
     */
    lock_wait = lock_wait > 0 ? lock_wait : 1;
    buffer_format(&sql,
                  "SET SESSION autocommit = 1, time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES',"
                  " innodb_lock_wait_timeout = %u, lock_wait_timeout = %u;"
                  " SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
                  lock_wait, lock_wait);
    add_statement_timeout(&sql, db->server->statement_timeout);

    enum db_result result = EFFECT("mysql.session", db_run(db, &sql));

    buffer_free(&sql);

    if (result != DB_OK) {
        close_mysql(db);
        return DB_RETRY;
    }

    return DB_OK;
}


/* 0 and OFF; MariaDB 12 has several words for "on". */
static int
is_off(const char *value)
{
    return value == NULL || strcmp(value, "0") == 0 || strcasecmp(value, "OFF") == 0;
}


/* A word of it: the log and the gate's scripts know no spaces in words. */
static void
note_server(struct db *db, const char *name)
{
    snprintf(db->server_name, sizeof(db->server_name), "%s", name);

    for (char *c = db->server_name; *c != '\0'; c++) {
        *c = (unsigned char) *c <= ' ' ? '_' : *c;
    }
}


/* *now: the server's time of day, in seconds since 1970. */
static enum db_result
ask_server(struct db *db, uint64_t *now)
{
    struct buffer sql = { 0 };
    MYSQL_RES *rows;

    /* MariaDB passes over the comment, and has no server_uuid. On a reader of Aurora innodb_read_only alone is set. */
    buffer_text(&sql, "SELECT @@global.read_only, @@global.innodb_read_only, UNIX_TIMESTAMP(),"
                      " CONCAT_WS('/', @@server_id, @@hostname, @@port/*!50708 , @@server_uuid */)");

    enum db_result result = EFFECT("mysql.writable", db_rows(db, &sql, &rows));

    buffer_free(&sql);

    if (result != DB_OK) {
        return DB_RETRY;
    }

    MYSQL_ROW row = mysql_fetch_row(rows);
    int writable = row != NULL && is_off(row[0]) && is_off(row[1]);

    if (row != NULL) {
        *now = number_of_column(row[2]);
        note_server(db, row[3] != NULL ? row[3] : "");
    }

    mysql_free_result(rows);

    if (!writable) {
        db->code = DB_READ_ONLY;
        snprintf(db->error, sizeof(db->error), "the server is read-only: it is no primary, and nothing is done on it");
        return DB_RETRY;
    }

    return DB_OK;
}


enum db_result
db_check_writable(struct db *db)
{
    uint64_t now = 0;
    enum db_result result = ask_server(db, &now);

    /* A primary that was demoted keeps its connections: over a new one the caller may reach the new primary. */
    if (result != DB_OK) {
        close_mysql(db);
    }

    return result;
}


static enum db_result
read_start(struct db *db, uint64_t now)
{
    struct buffer sql = { 0 };
    MYSQL_RES *rows;

    buffer_text(&sql, "SHOW GLOBAL STATUS LIKE 'Uptime'");

    enum db_result result = EFFECT("mysql.uptime", db_rows(db, &sql, &rows));

    buffer_free(&sql);

    if (result != DB_OK) {
        return DB_RETRY;
    }

    MYSQL_ROW row = mysql_fetch_row(rows);

    db->server_started = now - (row != NULL ? number_of_column(row[1]) : 0);
    mysql_free_result(rows);
    return DB_OK;
}


static enum db_result
check_server(struct db *db)
{
    uint64_t now = 0;
    enum db_result result = db->server->writable ? ask_server(db, &now) : DB_OK;

    if (result == DB_OK && db->server->writable) {
        result = read_start(db, now);
    }

    if (result != DB_OK) {
        close_mysql(db);
        return DB_RETRY;
    }

    db->sessions++;
    return DB_OK;
}


static MYSQL *
dial(struct db *db)
{
    const struct db_server *s = db->server;
    int local = is_given(s->socket);

    return mysql_real_connect(db->mysql, local ? NULL : s->host, s->user, s->password, s->database, local ? 0 : s->port,
                              local ? s->socket : NULL, CLIENT_MULTI_STATEMENTS);
}


enum db_result
db_open(struct db *db)
{
    if (db->mysql != NULL) {
        return DB_OK;
    }

    db->mysql = mysql_init(NULL);

    if (db->mysql == NULL) {
        return retry_because(db, "out of memory");
    }

    set_options(db);

    if (EFFECT("mysql.connect", dial(db)) == NULL) {
        (void) failed(db);
        close_mysql(db);
        return DB_RETRY;
    }

    FAILPOINT_MYSQL_SOCKET((int) db->mysql->net.fd);

    enum db_result result = prepare_session(db);

    return result == DB_OK ? check_server(db) : result;
}


uint64_t
db_begun(const struct db *db)
{
    return __atomic_load_n(&db->statement_at, __ATOMIC_RELAXED);
}


void
db_begin(struct db *db)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_MONOTONIC, &now);
    __atomic_store_n(&db->statement_at, (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000,
                     __ATOMIC_RELAXED);
}


/* The next of several statements that were sent together begins when the one before it is done. */
static int
next_result(struct db *db)
{
    db_begin(db);
    return mysql_next_result(db->mysql);
}


static enum db_result
send_sql(struct db *db, const char *sql, size_t len)
{
    if (db->mysql == NULL) {
        return retry_because(db, "not connected");
    }

    db_begin(db);
    return mysql_real_query(db->mysql, sql, (unsigned long) len) == 0 ? DB_OK : failed(db);
}


static enum db_result
send_buffer(struct db *db, const struct buffer *sql)
{
    return sql->failed ? retry_because(db, "out of memory") : send_sql(db, sql->data, sql->len);
}


/* Takes the answers of all statements that were sent. */
static enum db_result
finish(struct db *db, enum db_result result)
{
    while (result == DB_OK) {
        int next = next_result(db);

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
    return finish(db, send_buffer(db, sql));
}


enum db_result
db_text(struct db *db, const char *sql)
{
    return finish(db, send_sql(db, sql, strlen(sql)));
}


enum db_result
db_rows(struct db *db, const struct buffer *sql, MYSQL_RES **rows)
{
    enum db_result result = send_buffer(db, sql);

    if (result != DB_OK) {
        return result;
    }

    *rows = mysql_store_result(db->mysql);
    return *rows != NULL ? DB_OK : failed(db);
}


enum db_result
db_any(struct db *db, const struct buffer *sql, int *any)
{
    MYSQL_RES *rows;
    enum db_result result = db_rows(db, sql, &rows);

    if (result == DB_OK) {
        *any = mysql_num_rows(rows) > 0;
        mysql_free_result(rows);
    }

    return result;
}


/* Sends guarded updates; counts rows changed, and statements that changed exactly one. */
static enum db_result
change(struct db *db, const struct buffer *sql, uint64_t *rows, size_t *changed_one)
{
    enum db_result result = send_buffer(db, sql);

    *rows = *changed_one = 0;

    while (result == DB_OK) {
        *rows += mysql_affected_rows(db->mysql);
        *changed_one += mysql_affected_rows(db->mysql) == 1;

        int next = next_result(db);

        if (next == -1) {
            break;
        }

        if (next > 0) {
            result = failed(db);
        }
    }

    return result;
}


enum db_result
db_run_counted(struct db *db, const struct buffer *sql, uint64_t *rows)
{
    size_t changed_one;

    return change(db, sql, rows, &changed_one);
}


static enum db_result
lost_a_row(struct db *db, uint64_t found, uint64_t wanted)
{
    db->code = 0;
    snprintf(db->error, sizeof(db->error), "%llu of %llu guarded updates found their row", (unsigned long long) found,
             (unsigned long long) wanted);
    return DB_AGAIN;
}


enum db_result
db_change_one_each(struct db *db, const struct buffer *sql, size_t statements)
{
    uint64_t rows;
    size_t changed_one;
    enum db_result result = change(db, sql, &rows, &changed_one);

    return result == DB_OK && changed_one != statements ? lost_a_row(db, changed_one, statements) : result;
}


enum db_result
db_change_rows(struct db *db, const struct buffer *sql, uint64_t wanted)
{
    uint64_t rows;
    size_t changed_one;
    enum db_result result = change(db, sql, &rows, &changed_one);

    return result == DB_OK && rows != wanted ? lost_a_row(db, rows, wanted) : result;
}


void
db_rollback(struct db *db)
{
    if (db->mysql == NULL) {
        return;
    }

    db_begin(db);

    if (EFFECT("mysql.rollback", mysql_rollback(db->mysql))) {
        close_mysql(db);
    }
}


void
db_quote(struct db *db, struct buffer *sql, const char *text)
{
    size_t len = strlen(text);

    /* Each byte may become two. */
    if (buffer_reserve(sql, 2 * len + 2) == -1) {
        return;
    }

    sql->data[sql->len++] = '\'';
    sql->len += mysql_real_escape_string(db->mysql, sql->data + sql->len, text, (unsigned long) len);
    sql->data[sql->len++] = '\'';
    sql->data[sql->len] = '\0';
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
