/*
 * A run has these steps: prepare (or find), bind and execute, read rows. A step that fails leaves the outcome in the
 * run: an error of the connection, or the result's kind.
 */
#include "mysql/prepared.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mysql/row_json.h"

/* Numbers of errors: of the server, and of the client library (2000 and up). */
#define ERROR_UNKNOWN_STATEMENT 1243
#define ERROR_NEEDS_REPREPARE   1615
#define ERROR_NOT_PREPARED      2030
#define ERROR_OTHER_COLUMNS     2057

#define DIGEST_SIZE 32 /* SHA-256 */


struct cached {
    char *sql;
    MYSQL_STMT *stmt;
    uint64_t used; /* by the cache's clock */
};

struct prepared_cache {
    struct cached entries[PREPARED_CACHE_MAX];
    size_t n;
    uint64_t clock;
};

struct run {
    struct db *db;
    const struct prepared_query *query;
    struct sql_result *result;
    enum db_result error; /* of a step that returned -1; DB_OK: the outcome is the result's kind */
};


/* --- outcomes -------------------------------------------------------------------------------------------------- */

static int
unusable(struct run *run, const char *why)
{
    buffer_clear(&run->result->body);
    buffer_text(&run->result->body, why);
    run->result->kind = PREPARED_UNUSABLE;
    run->error = DB_OK;
    return -1;
}


static int
no_memory(struct run *run)
{
    run->error = db_error(run->db, 0, "out of memory");
    return -1;
}


/* The client library's error. MariaDB's notes one that comes instead of a row at the connection alone. */
static int
failed(struct run *run, MYSQL_STMT *stmt)
{
    int at_statement = stmt != NULL && mysql_stmt_errno(stmt) != 0;

    run->error = at_statement ? db_error(run->db, mysql_stmt_errno(stmt), mysql_stmt_error(stmt))
                              : db_error(run->db, mysql_errno(run->db->mysql), mysql_error(run->db->mysql));
    return -1;
}


/* --- prepared statements --------------------------------------------------------------------------------------- */

static void
forget(struct prepared_cache *cache, struct cached *entry)
{
    mysql_stmt_close(entry->stmt);
    free(entry->sql);
    *entry = cache->entries[--cache->n];
}


/* Called by db.c: without a connection they are only memory. */
static void
free_cache(void *attached)
{
    struct prepared_cache *cache = attached;

    while (cache->n > 0) {
        forget(cache, &cache->entries[cache->n - 1]);
    }

    free(cache);
}


static struct cached *
find(struct prepared_cache *cache, const char *sql)
{
    for (size_t i = 0; i < cache->n; i++) {
        if (strcmp(cache->entries[i].sql, sql) == 0) {
            return &cache->entries[i];
        }
    }

    return NULL;
}


static void
forget_oldest(struct prepared_cache *cache)
{
    struct cached *oldest = &cache->entries[0];

    for (size_t i = 1; i < cache->n; i++) {
        if (cache->entries[i].used < oldest->used) {
            oldest = &cache->entries[i];
        }
    }

    forget(cache, oldest);
}


/* Gives the new statement to the cache; NULL: it failed, and is closed. */
static struct cached *
keep(struct run *run, const char *sql, MYSQL_STMT *stmt)
{
    struct prepared_cache *cache = run->db->attached;
    char *text = strdup(sql);

    db_begin(run->db);

    if (text == NULL || mysql_stmt_prepare(stmt, sql, (unsigned long) strlen(sql)) != 0) {
        (void) (text == NULL ? no_memory(run) : failed(run, stmt));
        free(text);

        /* With the connection the statement lost its link to it, and is freed all the same. */
        mysql_stmt_close(stmt);
        return NULL;
    }

    if (cache->n == PREPARED_CACHE_MAX) {
        forget_oldest(cache);
    }

    struct cached *entry = &cache->entries[cache->n++];

    *entry = (struct cached) { .sql = text, .stmt = stmt };
    return entry;
}


static struct cached *
prepare(struct run *run, const char *sql)
{
    struct db *db = run->db;

    if (db->attached == NULL) {
        db->attached = calloc(1, sizeof(struct prepared_cache));
        db->free_attached = free_cache;
    }

    struct prepared_cache *cache = db->attached;

    if (cache == NULL) {
        (void) no_memory(run);
        return NULL;
    }

    struct cached *entry = find(cache, sql);

    if (entry == NULL) {
        MYSQL_STMT *stmt = mysql_stmt_init(db->mysql);

        if (stmt == NULL) {
            (void) failed(run, NULL);
            return NULL;
        }

        entry = keep(run, sql, stmt);
    }

    if (entry != NULL) {
        entry->used = ++cache->clock;
    }

    return entry;
}


/* --- execution ------------------------------------------------------------------------------------------------- */

static void
bind_value(MYSQL_BIND *b, const struct prepared_value *value)
{
    if (value->type == PREPARED_TEXT) {
        b->buffer_type = MYSQL_TYPE_STRING;
        b->buffer = (void *) (uintptr_t) (value->len > 0 ? value->text : "");
        b->buffer_length = (unsigned long) value->len;

    } else {
        b->buffer_type = MYSQL_TYPE_LONGLONG;
        b->buffer = (void *) (uintptr_t) &value->number;
        b->is_unsigned = value->type == PREPARED_UINT;
    }
}


/* 0, or -1 and the error is the statement's. */
static int
send(struct db *db, MYSQL_STMT *stmt, const struct prepared_value *values, size_t n)
{
    MYSQL_BIND binds[PREPARED_VALUES_MAX + 2];

    memset(binds, 0, sizeof(binds));

    for (size_t i = 0; i < n; i++) {
        bind_value(&binds[i], &values[i]);
    }

    db_begin(db);

    /* The library copies the binds; what they point to is sent at once. */
    return (n > 0 && mysql_stmt_bind_param(stmt, binds)) || mysql_stmt_execute(stmt) != 0 ? -1 : 0;
}


/* Did the server forget the statement, or was a table changed under it? */
static int
is_stale(MYSQL_STMT *stmt)
{
    unsigned code = mysql_stmt_errno(stmt);

    return code == ERROR_UNKNOWN_STATEMENT || code == ERROR_NEEDS_REPREPARE || code == ERROR_NOT_PREPARED
           || code == ERROR_OTHER_COLUMNS;
}


static int
check(struct run *run, MYSQL_STMT *stmt, size_t n)
{
    char why[96];

    if (mysql_stmt_param_count(stmt) != n) {
        snprintf(why, sizeof(why), "it has %lu places for values, and %zu are given",
                 (unsigned long) mysql_stmt_param_count(stmt), n);
        return unusable(run, why);
    }

    return mysql_stmt_field_count(stmt) > 0 ? 0 : unusable(run, "it is none that gives rows");
}


/* Executes the statement; the caller reads its rows and releases them. NULL: the run has the outcome. */
static MYSQL_STMT *
execute(struct run *run, const char *sql, const struct prepared_value *values, size_t n)
{
    for (int again = 0;; again++) {
        struct cached *entry = prepare(run, sql);

        if (entry == NULL || check(run, entry->stmt, n) != 0) {
            return NULL;
        }

        if (send(run->db, entry->stmt, values, n) == 0) {
            return entry->stmt;
        }

        if (again || !is_stale(entry->stmt)) {
            (void) failed(run, entry->stmt);
            return NULL;
        }

        forget(run->db->attached, entry);
    }
}


/* What the statement has left of this execution is read and thrown away. */
static void
release(struct run *run, MYSQL_STMT *stmt)
{
    if (run->db->mysql != NULL && mysql_stmt_free_result(stmt)) {
        db_close(run->db);
    }
}


/* The same, with rows that were taken from it. */
static void
release_rows(struct run *run, MYSQL_STMT *stmt, struct row_json *rows)
{
    row_json_unbind(rows);
    row_json_close(rows);
    release(run, stmt);
}


/* In the middle of a result the connection ends, if an error has not ended it before, and the statement with it. */
static void
abandon_rows(struct run *run, struct row_json *rows)
{
    db_close(run->db);
    row_json_close(rows);
}


/* --- rows ------------------------------------------------------------------------------------------------------ */

static int
stopped(struct run *run, MYSQL_STMT *stmt, const struct row_json *rows, enum row_json_step step)
{
    char why[512];

    switch (step) {
    case ROW_JSON_TOO_LARGE:
        snprintf(why, sizeof(why), "its result is larger than %zu bytes", run->query->max_size);
        return unusable(run, why);

    case ROW_JSON_NO_JSON:
        snprintf(why, sizeof(why), "its column \"%s\" has a value that is no JSON", row_json_broken_column(rows));
        return unusable(run, why);

    case ROW_JSON_NO_MEMORY:
        return no_memory(run);

    default:
        return failed(run, stmt);
    }
}


/* All rows, or `most` of them; *more is 1 where there is one more. */
static int
add_rows(struct run *run, MYSQL_STMT *stmt, struct row_json *rows, uint64_t most, int *more)
{
    struct buffer *body = &run->result->body;
    size_t max = run->query->max_size;
    enum row_json_step step = ROW_JSON_ROW;

    while (step == ROW_JSON_ROW && run->result->rows < most) {
        size_t len = body->len;

        if (run->result->rows > 0) {
            buffer_text(body, ",");
        }

        step = row_json_next(rows, body, max);

        if (step == ROW_JSON_END) {
            body->len = len;
            return 0;
        }

        run->result->rows += step == ROW_JSON_ROW;
    }

    if (step == ROW_JSON_ROW) {
        step = row_json_skip(rows);
        *more = step == ROW_JSON_ROW;
    }

    return step == ROW_JSON_ROW || step == ROW_JSON_END ? 0 : stopped(run, stmt, rows, step);
}


/* The rows that are left are read, if they are few, else the connection ends. */
static void
leave_rest(struct run *run, MYSQL_STMT *stmt, struct row_json *rows)
{
    enum row_json_step step = ROW_JSON_ROW;

    for (int i = 0; i < PREPARED_REST_MAX && step == ROW_JSON_ROW; i++) {
        step = row_json_skip(rows);
    }

    if (step == ROW_JSON_END) {
        release_rows(run, stmt, rows);

    } else {
        abandon_rows(run, rows);
    }
}


static int
read_rows(struct run *run, MYSQL_STMT *stmt, uint64_t most, int *more)
{
    struct row_json *rows = row_json_open(stmt);

    if (rows == NULL) {
        (void) (mysql_stmt_errno(stmt) != 0 ? failed(run, stmt) : no_memory(run));
        db_close(run->db);
        return -1;
    }

    int outcome = add_rows(run, stmt, rows, most, more);

    if (outcome == 0 && !*more) {
        release_rows(run, stmt, rows);

    } else if (outcome == 0) {
        leave_rest(run, stmt, rows);

    } else {
        abandon_rows(run, rows);
    }

    return outcome;
}


/* --- answers --------------------------------------------------------------------------------------------------- */

static int
read_total(struct run *run, uint64_t *total)
{
    const struct prepared_query *query = run->query;
    MYSQL_STMT *stmt = execute(run, query->count_sql, query->values, query->nvalues);
    MYSQL_BIND bind = { .buffer_type = MYSQL_TYPE_LONGLONG, .buffer = total, .is_unsigned = 1 };

    if (stmt == NULL) {
        return -1;
    }

    *total = 0;

    if (mysql_stmt_bind_result(stmt, &bind) || mysql_stmt_fetch(stmt) != 0) {
        (void) failed(run, stmt);
        db_close(run->db);
        return -1;
    }

    release(run, stmt);
    return 0;
}


static int
answer_object(struct run *run)
{
    const struct prepared_query *query = run->query;
    struct buffer *body = &run->result->body;
    MYSQL_STMT *stmt = execute(run, query->sql, query->values, query->nvalues);
    int more = 0;

    if (stmt == NULL) {
        return -1;
    }

    buffer_text(body, query->form == PREPARED_OBJECT ? "{\"data\":" : "");

    if (read_rows(run, stmt, 1, &more) != 0) {
        return -1;
    }

    if (run->result->rows == 0) {
        run->result->kind = PREPARED_NO_ROW;
        run->error = DB_OK;
        return -1;
    }

    buffer_text(body, query->form == PREPARED_OBJECT ? "}" : "");
    return 0;
}


/* The first row of a page; a number that no table reaches where there is none. */
static uint64_t
offset_of(const struct prepared_query *query)
{
    uint64_t before = query->page - 1;

    return before <= INT64_MAX / query->per_page ? before * query->per_page : INT64_MAX;
}


static int
read_page(struct run *run, int *more)
{
    const struct prepared_query *query = run->query;
    struct prepared_value values[PREPARED_VALUES_MAX + 2];
    size_t n = query->nvalues;

    if (n > 0) {
        memcpy(values, query->values, n * sizeof(values[0]));
    }

    if (query->per_page > 0) {
        /* without a total, one row more shows whether there is another page */
        uint64_t limit = query->per_page + (query->count_sql == NULL);

        values[n++] = (struct prepared_value) { .type = PREPARED_UINT, .number = limit };
        values[n++] = (struct prepared_value) { .type = PREPARED_UINT, .number = offset_of(query) };
    }

    MYSQL_STMT *stmt = execute(run, query->sql, values, n);

    return stmt != NULL ? read_rows(run, stmt, query->per_page > 0 ? query->per_page : UINT64_MAX, more) : -1;
}


static void
add_meta(struct run *run, uint64_t total, int more)
{
    const struct prepared_query *query = run->query;
    struct buffer *body = &run->result->body;

    buffer_format(body, ",\"meta\":{\"current_page\":%" PRIu64 ",\"per_page\":%" PRIu64, query->page, query->per_page);

    if (query->count_sql != NULL) {
        int bounded = query->pages_most > 0, more_than = bounded && total > query->total_most;

        total = more_than ? query->total_most : total;

        uint64_t last = total / query->per_page + (total % query->per_page != 0);

        last = bounded && last > query->pages_most ? query->pages_most : last;
        buffer_format(body, ",\"total\":%" PRIu64 ",\"last_page\":%" PRIu64, total, last > 0 ? last : 1);
        buffer_text(body, !bounded ? "}" : more_than ? ",\"total_at_least\":true}" : ",\"total_at_least\":false}");

    } else {
        buffer_text(body, more ? ",\"has_more\":true}" : ",\"has_more\":false}");
    }
}


static int
answer_rows(struct run *run)
{
    const struct prepared_query *query = run->query;
    uint64_t total = UINT64_MAX;
    int more = 0;

    if (query->count_sql != NULL && read_total(run, &total) != 0) {
        return -1;
    }

    buffer_text(&run->result->body, "{\"data\":[");

    /* A page behind the last one is not looked for: MySQL would read all rows in front of it. */
    if ((query->count_sql == NULL || offset_of(query) < total) && read_page(run, &more) != 0) {
        return -1;
    }

    buffer_text(&run->result->body, "]");

    if (query->per_page > 0) {
        add_meta(run, total, more);
    }

    buffer_text(&run->result->body, "}");
    return 0;
}


static int
add_digest(struct run *run)
{
    unsigned char digest[DIGEST_SIZE];
    struct buffer *body = &run->result->body;

    if (body->failed || EVP_Digest(body->data, body->len, digest, NULL, EVP_sha256(), NULL) != 1) {
        return no_memory(run);
    }

    memcpy(run->result->numbers, digest, 2 * sizeof(uint64_t));
    return 0;
}


enum db_result
prepared_run(struct db *db, const void *input, struct sql_result *result)
{
    struct run run = { .db = db, .query = input, .result = result };

    if (db->mysql == NULL) {
        return db_error(db, 0, "not connected");
    }

    result->kind = PREPARED_ANSWER;

    if ((run.query->form == PREPARED_ROWS ? answer_rows(&run) : answer_object(&run)) != 0) {
        return run.error;
    }

    return add_digest(&run) == 0 ? DB_OK : run.error;
}


/* --- places for values ----------------------------------------------------------------------------------------- */

static const char *
skip_quoted(const char *p)
{
    char quote = *p++;

    while (*p != '\0' && *p != quote) {
        p += *p == '\\' && quote != '`' && p[1] != '\0' ? 2 : 1;
    }

    return *p != '\0' ? p + 1 : p;
}


/* The end of the comment that begins here; p itself where none does. */
static const char *
skip_comment(const char *p)
{
    if (*p == '#' || (p[0] == '-' && p[1] == '-' && (unsigned char) p[2] <= ' ')) {
        return p + strcspn(p, "\n");
    }

    if (p[0] == '/' && p[1] == '*' && p[2] != '!' && p[2] != 'M') {
        const char *end = strstr(p + 2, "*/");

        return end != NULL ? end + 2 : p + strlen(p);
    }

    return p;
}


size_t
prepared_placeholders(const char *sql)
{
    size_t n = 0;

    for (const char *p = sql; *p != '\0';) {
        const char *behind = *p == '\'' || *p == '"' || *p == '`' ? skip_quoted(p) : skip_comment(p);

        if (behind == p) {
            n += *p == '?';
            behind++;
        }

        p = behind;
    }

    return n;
}
