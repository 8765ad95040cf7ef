/* Prepared statements and their rows as JSON, on a server of the test's own: common/mysql/prepared.c, row_json.c. */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mysql/prepared.h"
#include "suite.h"

#define SECONDS 60 /* for the server to start */

static char folder[] = "/tmp/checkout-XXXXXX";
static char socket_path[64];
static pid_t server_pid;
static struct db_server server = { .user = "root", .password = "", .connect_timeout = 5000, .timeout = 10000 };
static struct db db;


/* --- the server ------------------------------------------------------------------------------------------------ */

static void
start_server(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(socket_path, sizeof(socket_path), "%s/s", folder);
    server_pid = fork();

    if (server_pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl("t/lib/mysql-server", "mysql-server", folder, (char *) NULL);
        _exit(127);
    }

    server.socket = socket_path;
    db = (struct db) { .server = &server };

    for (int i = 0; i < SECONDS * 20 && db_open(&db) != DB_OK; i++) {
        nanosleep(&(struct timespec) { .tv_nsec = 50000000 }, NULL);
    }

    ck_assert_msg(db.mysql != NULL, "%s: %s", folder, db.error);
    ck_assert_int_eq(db_text(&db, "CREATE DATABASE checkout CHARACTER SET utf8mb4"), DB_OK);
    db_close(&db);
    server.database = "checkout";
}


static void
stop_server(void)
{
    char command[128];

    kill(server_pid, SIGKILL);
    waitpid(server_pid, NULL, 0);
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}


static void
connect_db(void)
{
    ck_assert_msg(db_open(&db) == DB_OK, "%s", db.error);
}


static void
close_db(void)
{
    db_close(&db);
}


/* --- helpers --------------------------------------------------------------------------------------------------- */

static void
sql(const char *text)
{
    ck_assert_msg(db_text(&db, text) == DB_OK, "%s: %s", text, db.error);
}


static struct sql_result
run(const struct prepared_query *query)
{
    struct sql_result result = { 0 };

    ck_assert_msg(prepared_run(&db, query, &result) == DB_OK, "%s: %s", query->sql, db.error);
    return result;
}


#define ck_assert_answer(query, text) \
    do { \
        struct sql_result answer_ = run(query); \
        ck_assert_msg(answer_.kind == PREPARED_ANSWER, "%s: %s", (query)->sql, answer_.body.data); \
        ck_assert_str_eq(answer_.body.data, text); \
        buffer_free(&answer_.body); \
    } while (0)

#define ck_assert_unusable(query, text) \
    do { \
        struct sql_result answer_ = run(query); \
        ck_assert_int_eq(answer_.kind, PREPARED_UNUSABLE); \
        ck_assert_str_eq(answer_.body.data, text); \
        buffer_free(&answer_.body); \
    } while (0)

static const struct prepared_query rows = { .form = PREPARED_ROWS, .max_size = 1 << 20 };


static struct prepared_query
query_of(const char *text)
{
    struct prepared_query query = rows;

    query.sql = text;
    return query;
}


static struct prepared_value
text_value(const char *text)
{
    return (struct prepared_value) { .type = PREPARED_TEXT, .text = text, .len = strlen(text) };
}


static struct prepared_value
uint_value(uint64_t number)
{
    return (struct prepared_value) { .type = PREPARED_UINT, .number = number };
}


/* One row with one column, whose value is what stands between {"x": and }. */
static void
assert_value(const char *expression, const char *json)
{
    char text[512], expected[512];
    struct prepared_query query = query_of(text);

    query.form = PREPARED_PLAIN;
    snprintf(text, sizeof(text), "SELECT %s AS x", expression);
    snprintf(expected, sizeof(expected), "{\"x\":%s}", json);
    ck_assert_answer(&query, expected);
}


/* --- tests ----------------------------------------------------------------------------------------------------- */

START_TEST(R4_integers)
{
    sql("CREATE TABLE i (a TINYINT, b SMALLINT UNSIGNED, c MEDIUMINT, d INT UNSIGNED ZEROFILL, e BIGINT,"
        " f BIGINT UNSIGNED, g YEAR, h BIT(1), j BIT(64), k BOOL)");
    sql("INSERT INTO i VALUES (-128, 65535, -8388608, 7, -9223372036854775808, 18446744073709551615, 2026, b'1',"
        " b'1000000000000000000000000000000000000000000000000000000000000001', TRUE), (127, 0, 8388607, 4294967295,"
        " 9223372036854775807, 9007199254740993, 1901, b'0', 0, FALSE),"
        " (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)");

    struct prepared_query query = query_of("SELECT * FROM i");

    ck_assert_answer(
        &query,
        "{\"data\":["
        "{\"a\":-128,\"b\":65535,\"c\":-8388608,\"d\":7,\"e\":-9223372036854775808,"
        "\"f\":18446744073709551615,"
        "\"g\":2026,\"h\":1,\"j\":9223372036854775809,\"k\":1},"
        "{\"a\":127,\"b\":0,\"c\":8388607,\"d\":4294967295,\"e\":9223372036854775807,"
        "\"f\":9007199254740993,"
        "\"g\":1901,\"h\":0,\"j\":0,\"k\":0},"
        "{\"a\":null,\"b\":null,\"c\":null,\"d\":null,\"e\":null,\"f\":null,\"g\":null,\"h\":null,"
        "\"j\":null,"
        "\"k\":null}]}");
    assert_value("NULL", "null");
    assert_value("COUNT(*)", "1");
    sql("DROP TABLE i");
}
END_TEST


START_TEST(R4_decimals_and_floats)
{
    sql("CREATE TABLE d (a DECIMAL(12,2), b DECIMAL(65,30), c FLOAT, d DOUBLE, e FLOAT(7,2))");
    sql("INSERT INTO d VALUES (19.80, 12345678901234567890123456789012345.123456789012345678901234567890, 0.1,"
        " 0.1, 1.10), (-0.01, -0.000000000000000000000000000001, 3.4028234e38, 1.7976931348623157e308, 0),"
        " (0, 0, 16777217, 5e-324, -2.5)");

    struct prepared_query query = query_of("SELECT * FROM d");

    ck_assert_answer(
        &query,
        "{\"data\":["
        "{\"a\":\"19.80\",\"b\":\"12345678901234567890123456789012345.123456789012345678901234567890\","
        "\"c\":0.1,\"d\":0.1,\"e\":1.1},"
        "{\"a\":\"-0.01\",\"b\":\"-0.000000000000000000000000000001\",\"c\":3.4028235e+38,"
        "\"d\":1.7976931348623157e+308,\"e\":0},"
        "{\"a\":\"0.00\",\"b\":\"0.000000000000000000000000000000\",\"c\":16777216,"
        "\"d\":4.94065645841247e-324,\"e\":-2.5}]}");
    sql("DROP TABLE d");
}
END_TEST


START_TEST(R4_times)
{
    sql("CREATE TABLE t (a DATE, b DATETIME, c DATETIME(3), d TIMESTAMP(6) NULL, e TIME, f TIME(1))");
    sql("INSERT INTO t VALUES ('2026-11-21', '2026-11-21 06:30:00', '2026-11-21 06:30:00.1', '2026-11-21 "
        "06:30:00.000009',"
        " '-838:59:59', '-00:00:00.5'), ('0000-00-00', '0000-00-00', '9999-12-31 23:59:59.999', NULL, '100:00:00', 0)");

    struct prepared_query query = query_of("SELECT * FROM t");

    ck_assert_answer(&query,
                     "{\"data\":["
                     "{\"a\":\"2026-11-21\",\"b\":\"2026-11-21T06:30:00Z\",\"c\":\"2026-11-21T06:30:00.100Z\","
                     "\"d\":\"2026-11-21T06:30:00.000009Z\",\"e\":\"-838:59:59\",\"f\":\"-00:00:00.5\"},"
                     "{\"a\":\"0000-00-00\",\"b\":\"0000-00-00T00:00:00Z\",\"c\":\"9999-12-31T23:59:59.999Z\","
                     "\"d\":null,"
                     "\"e\":\"100:00:00\",\"f\":\"00:00:00.0\"}]}");
    assert_value("TIMESTAMP'2026-01-02 03:04:05'", "\"2026-01-02T03:04:05Z\"");
    sql("DROP TABLE t");
}
END_TEST


START_TEST(R4_texts_and_bytes)
{
    sql("CREATE TABLE t (a VARCHAR(64), b TEXT, c ENUM('x','y\"z'), d SET('p','q'), e BINARY(3), f VARBINARY(8),"
        " g BLOB,"
        " h CHAR(4) CHARACTER SET latin1)");
    sql("INSERT INTO t VALUES ('\"quoted\" \\\\ / \\n\\r\\t', CONCAT('emoji 😀', CHAR(0 USING utf8mb4), CHAR(31 "
        "USING utf8mb4)),"
        " 'y\"z', 'p,q', 'ab', x'ff00', x'01020304', x'e9'), ('', '', 'x', '', '', '', '', '')");

    struct prepared_query query = query_of("SELECT * FROM t");

    ck_assert_answer(&query,
                     "{\"data\":["
                     "{\"a\":\"\\\"quoted\\\" \\\\ / \\n\\r\\t\",\"b\":\"emoji 😀\\u0000\\u001f\","
                     "\"c\":\"y\\\"z\",\"d\":\"p,q\","
                     "\"e\":\"YWIA\",\"f\":\"/wA=\",\"g\":\"AQIDBA==\",\"h\":\"é\"},"
                     "{\"a\":\"\",\"b\":\"\",\"c\":\"x\",\"d\":\"\",\"e\":\"AAAA\",\"f\":\"\",\"g\":\"\","
                     "\"h\":\"\"}]}");
    assert_value("CONCAT(1, '')", "\"1\"");
    sql("DROP TABLE t");
}
END_TEST


static void
remove_spaces(char *text)
{
    char *to = text;

    for (; *text != '\0'; text++) {
        if (*text != ' ') {
            *to++ = *text;
        }
    }

    *to = '\0';
}


START_TEST(R4_json)
{
    sql("CREATE TABLE t (a JSON, b TEXT)");
    sql("INSERT INTO t VALUES ('{\"k\": [1, 2.5, \"x\", null]}', '[1,{}]'), (NULL, NULL)");

    struct prepared_query query = query_of("SELECT a, b AS `b:json` FROM t");

    ck_assert_answer(&query, "{\"data\":[{\"a\":{\"k\": [1, 2.5, \"x\", null]},\"b\":[1,{}]},{\"a\":null,"
                             "\"b\":null}]}");

    query.sql = "SELECT JSON_ARRAYAGG(x) AS a, JSON_OBJECT('x', MAX(x)) AS b, COALESCE(JSON_ARRAYAGG(x), '[]') "
                "AS `c:json`"
                " FROM (SELECT 1 AS x UNION SELECT 2) AS t";

    /* MariaDB and MySQL set their spaces in other places */
    struct sql_result result = run(&query);

    ck_assert_int_eq(result.kind, PREPARED_ANSWER);
    remove_spaces(result.body.data);
    ck_assert_str_eq(result.body.data, "{\"data\":[{\"a\":[1,2],\"b\":{\"x\":2},\"c\":[1,2]}]}");
    buffer_free(&result.body);

    sql("DROP TABLE t");

    query.sql = "SELECT 1 AS a, '{\"x\":' AS `b:json`";
    ck_assert_unusable(&query, "its column \"b:json\" has a value that is no JSON");
}
END_TEST


START_TEST(R3_values_are_values)
{
    struct prepared_value values[] = {
        text_value("' OR 1=1 --"),
        uint_value(UINT64_MAX),
        { .type = PREPARED_INT, .number = (uint64_t) INT64_MIN },
        text_value("")
    };
    struct prepared_query query = query_of("SELECT ? AS a, ? AS b, ? AS c, ? AS d");

    query.values = values;
    query.nvalues = 4;
    ck_assert_answer(&query, "{\"data\":[{\"a\":\"' OR 1=1 --\",\"b\":18446744073709551615,"
                             "\"c\":-9223372036854775808,\"d\":\"\"}]}");
}
END_TEST


START_TEST(forms)
{
    struct prepared_query query = query_of("SELECT 7 AS a, 8 AS a UNION SELECT 9, 10");
    struct prepared_query none = query_of("SELECT 7 AS a FROM DUAL WHERE FALSE");

    ck_assert_answer(&query, "{\"data\":[{\"a\":7,\"a\":8},{\"a\":9,\"a\":10}]}");
    query.form = PREPARED_OBJECT;
    ck_assert_answer(&query, "{\"data\":{\"a\":7,\"a\":8}}");
    query.form = PREPARED_PLAIN;
    ck_assert_answer(&query, "{\"a\":7,\"a\":8}");

    ck_assert_answer(&none, "{\"data\":[]}");
    none.form = PREPARED_OBJECT;

    struct sql_result result = run(&none);

    ck_assert_int_eq(result.kind, PREPARED_NO_ROW);
    buffer_free(&result.body);
}
END_TEST


START_TEST(pages)
{
    sql("CREATE TABLE p (id INT PRIMARY KEY)");
    sql("INSERT INTO p VALUES (1), (2), (3), (4), (5)");

    struct prepared_value least = uint_value(2);
    struct prepared_query query = query_of("SELECT id FROM p WHERE id >= ? ORDER BY id\nLIMIT ? OFFSET ?");

    query.values = &least;
    query.nvalues = 1;
    query.per_page = 3;
    query.page = 1;
    ck_assert_answer(&query, "{\"data\":[{\"id\":2},{\"id\":3},{\"id\":4}],"
                             "\"meta\":{\"current_page\":1,\"per_page\":3,\"has_more\":true}}");
    query.page = 2;
    ck_assert_answer(&query, "{\"data\":[{\"id\":5}],\"meta\":{\"current_page\":2,\"per_page\":3,\"has_more\":false}}");
    query.count_sql = "SELECT COUNT(*) FROM (\nSELECT id FROM p WHERE id >= ? ORDER BY id\n) AS checkout_rows";
    ck_assert_answer(&query, "{\"data\":[{\"id\":5}],\"meta\":{\"current_page\":2,\"per_page\":3,\"total\":4,"
                             "\"last_page\":2}}");
    query.pages_most = 1;
    query.total_most = 3;
    ck_assert_answer(&query, "{\"data\":[{\"id\":5}],\"meta\":{\"current_page\":2,\"per_page\":3,\"total\":3,"
                             "\"last_page\":1,\"total_at_least\":true}}");
    query.pages_most = 2;
    query.total_most = 6;
    ck_assert_answer(&query, "{\"data\":[{\"id\":5}],\"meta\":{\"current_page\":2,\"per_page\":3,\"total\":4,"
                             "\"last_page\":2,\"total_at_least\":false}}");
    query.pages_most = 0;
    query.page = UINT64_MAX;
    ck_assert_answer(&query, "{\"data\":[],\"meta\":{\"current_page\":18446744073709551615,\"per_page\":3,\"total\":4,"
                             "\"last_page\":2}}");
    query.count_sql = NULL;
    ck_assert_answer(&query, "{\"data\":[],\"meta\":{\"current_page\":18446744073709551615,\"per_page\":3,"
                             "\"has_more\":false}}");
    least = uint_value(99);
    query.count_sql = "SELECT COUNT(*) FROM (\nSELECT id FROM p WHERE id >= ? ORDER BY id\n) AS checkout_rows";
    query.page = 1;
    ck_assert_answer(&query, "{\"data\":[],\"meta\":{\"current_page\":1,\"per_page\":3,\"total\":0,\"last_page\":1}}");
    sql("DROP TABLE p");
}
END_TEST


START_TEST(large_results)
{
    struct prepared_query query = query_of("SELECT REPEAT('a', 1048576) AS x, 1 AS y");
    struct sql_result result;

    query.max_size = 1048576 + 29;
    result = run(&query);
    ck_assert_int_eq(result.kind, PREPARED_ANSWER);
    ck_assert_uint_eq(result.body.len, 1048576 + strlen("{\"data\":[{\"x\":\"\",\"y\":1}]}"));
    buffer_free(&result.body);

    query.max_size = 1048576;
    ck_assert_unusable(&query, "its result is larger than 1048576 bytes");
    ck_assert_ptr_null(db.mysql);
    connect_db();

    /* many rows: most of them are never read */
    sql("CREATE TABLE n (id INT)");
    sql("INSERT INTO n SELECT 12345678 FROM (SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5"
        " UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9 UNION SELECT 0) a"
        " JOIN (SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5"
        " UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9 UNION SELECT 0) b");
    query.sql = "SELECT a.id FROM n a, n b, n c, n d";
    ck_assert_unusable(&query, "its result is larger than 1048576 bytes");
    connect_db();

    query.form = PREPARED_PLAIN;
    ck_assert_answer(&query, "{\"id\":12345678}");
    connect_db();

    query.form = PREPARED_ROWS;
    query.sql = "SELECT a.id FROM n a, n b";
    result = run(&query);
    ck_assert_uint_eq(result.rows, 10000);
    ck_assert_uint_eq(result.body.len, strlen("{\"data\":[]}") + 10000 * strlen("{\"id\":12345678},") - 1);
    buffer_free(&result.body);
    sql("DROP TABLE n");
}
END_TEST


START_TEST(statements_that_cannot_be_used)
{
    struct prepared_query query = query_of("SET @x = 1");
    struct sql_result result = { 0 };

    ck_assert_unusable(&query, "it is none that gives rows");
    query.sql = "SELECT ?";
    ck_assert_unusable(&query, "it has 1 places for values, and 0 are given");

    query.sql = "SELECT nothing FROM nowhere";
    ck_assert_int_eq(prepared_run(&db, &query, &result), DB_RETRY);
    ck_assert_uint_eq(db.code, 1146);
    ck_assert_ptr_nonnull(strstr(db.error, "nowhere"));
    ck_assert_ptr_nonnull(db.mysql);
    buffer_free(&result.body);
    query.sql = "SELECT 1 AS a";
    ck_assert_answer(&query, "{\"data\":[{\"a\":1}]}");
}
END_TEST


/* How many statements the server has prepared on this connection. */
static int
prepared(const char *what)
{
    struct buffer text = { 0 };
    MYSQL_RES *found;

    buffer_format(&text, "SHOW SESSION STATUS LIKE '%s'", what);
    ck_assert_int_eq(db_rows(&db, &text, &found), DB_OK);

    int n = atoi(mysql_fetch_row(found)[1]);

    mysql_free_result(found);
    buffer_free(&text);
    return n;
}


START_TEST(statements_are_prepared_once)
{
    char text[64];
    struct prepared_query query = query_of("SELECT 1 AS a");

    for (int i = 0; i < 5; i++) {
        ck_assert_answer(&query, "{\"data\":[{\"a\":1}]}");
    }

    ck_assert_int_eq(prepared("Com_stmt_prepare"), 1);
    ck_assert_int_eq(prepared("Com_stmt_execute"), 5);

    /* the connection keeps so many */
    query.sql = text;

    for (int i = 0; i < PREPARED_CACHE_MAX + 10; i++) {
        struct sql_result result;

        snprintf(text, sizeof(text), "SELECT %d AS a", i);
        result = run(&query);
        buffer_free(&result.body);
    }

    ck_assert_int_eq(prepared("Com_stmt_close"), 10);
}
END_TEST


START_TEST(a_table_changes_under_a_statement)
{
    struct prepared_query query = query_of("SELECT * FROM c");

    sql("CREATE TABLE c (a INT)");
    sql("INSERT INTO c VALUES (1)");
    ck_assert_answer(&query, "{\"data\":[{\"a\":1}]}");
    sql("ALTER TABLE c ADD COLUMN b VARCHAR(9) DEFAULT 'x'");
    ck_assert_answer(&query, "{\"data\":[{\"a\":1,\"b\":\"x\"}]}");
    sql("ALTER TABLE c MODIFY a BIGINT UNSIGNED");
    sql("UPDATE c SET a = 18446744073709551615");
    ck_assert_answer(&query, "{\"data\":[{\"a\":18446744073709551615,\"b\":\"x\"}]}");
    sql("ALTER TABLE c DROP COLUMN a");
    ck_assert_answer(&query, "{\"data\":[{\"b\":\"x\"}]}");
    sql("DROP TABLE c");
}
END_TEST


START_TEST(a_connection_that_was_killed)
{
    struct prepared_query query = query_of("SELECT 1 AS a");
    struct sql_result result = { 0 };
    struct db other = { .server = &server };
    struct buffer text = { 0 };

    ck_assert_answer(&query, "{\"data\":[{\"a\":1}]}");
    buffer_format(&text, "KILL %lu", mysql_thread_id(db.mysql));
    ck_assert_int_eq(db_open(&other), DB_OK);
    ck_assert_int_eq(db_run(&other, &text), DB_OK);
    db_close(&other);
    buffer_free(&text);

    ck_assert_int_eq(prepared_run(&db, &query, &result), DB_RETRY);
    ck_assert_ptr_null(db.mysql);
    ck_assert_ptr_null(db.attached);
    buffer_free(&result.body);
    connect_db();
    ck_assert_answer(&query, "{\"data\":[{\"a\":1}]}");
}
END_TEST


/* Rows that come slowly; each is larger than what the server keeps back to send it together with others. */
#define SLOW_ROWS(seconds) \
    "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 100)" \
    " SELECT i, REPEAT('x', 40000) AS t, IF(i > 3, SLEEP(" seconds "), 0) AS s FROM n"


/* Ends the connection of the tests after a moment. */
static void *
kill_soon(void *data)
{
    struct db other = { .server = &server };
    struct buffer text = { 0 };

    nanosleep(&(struct timespec) { .tv_nsec = 500000000 }, NULL);
    buffer_format(&text, "KILL %lu", *(unsigned long *) data);
    ck_assert_int_eq(db_open(&other), DB_OK);
    ck_assert_int_eq(db_run(&other, &text), DB_OK);
    db_close(&other);
    buffer_free(&text);
    db_thread_end();
    return NULL;
}


/* The statement ends with its connection, and the rows that were read from it do not reach for it afterwards. */
START_TEST(a_connection_that_is_killed_between_two_rows)
{
    struct prepared_query query = query_of(SLOW_ROWS("0.1"));
    struct sql_result result = { 0 };
    unsigned long id = mysql_thread_id(db.mysql);
    pthread_t killer;

    query.max_size = 1 << 24;
    ck_assert_int_eq(pthread_create(&killer, NULL, kill_soon, &id), 0);
    ck_assert_int_eq(prepared_run(&db, &query, &result), DB_RETRY);
    ck_assert_uint_ge(result.rows, 3);
    ck_assert_int_eq(pthread_join(killer, NULL), 0);
    ck_assert_ptr_null(db.mysql);
    ck_assert_ptr_null(db.attached);
    buffer_free(&result.body);
}
END_TEST


START_TEST(a_time_out_between_two_rows)
{
    struct db_server hasty = server;
    struct db other = { .server = &hasty };
    struct prepared_query query = query_of(SLOW_ROWS("5"));
    struct sql_result result = { 0 };

    hasty.timeout = 1000;
    ck_assert_int_eq(db_open(&other), DB_OK);
    ck_assert_int_eq(prepared_run(&other, &query, &result), DB_RETRY);
    ck_assert_uint_eq(result.rows, 3);
    ck_assert_ptr_null(other.mysql);
    buffer_free(&result.body);
}
END_TEST


/* The server itself ends a statement of such a session, and says so. */
START_TEST(a_statement_that_takes_too_long)
{
    struct db_server strict = server;
    struct db other = { .server = &strict };
    struct sql_result result = { 0 };
    struct prepared_query query = query_of(
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL"
        " SELECT i + 1 FROM n WHERE i < 900) SELECT COUNT(*)"
        " FROM n a, n b, n c, n d WHERE a.i + b.i + c.i + d.i = 5");

    strict.statement_timeout = 250;
    ck_assert_msg(db_open(&other) == DB_OK, "%s", other.error);
    ck_assert_int_eq(prepared_run(&other, &query, &result), DB_RETRY);
    ck_assert_msg(error_is_timeout(other.code), "%u %s", other.code, other.error);
    buffer_free(&result.body);
    db_close(&other);
}
END_TEST


/* Less than a second would be none, or no wait at all. */
START_TEST(a_lock_is_waited_for_a_second_at_least)
{
    struct db_server hasty = server;
    struct db other = { .server = &hasty };
    struct sql_result result = { 0 };
    struct prepared_query query = query_of("SELECT @@innodb_lock_wait_timeout AS a");

    hasty.timeout = 1200;
    ck_assert_int_eq(db_open(&other), DB_OK);
    ck_assert_int_eq(prepared_run(&other, &query, &result), DB_OK);
    ck_assert_str_eq(result.body.data, "{\"data\":[{\"a\":1}]}");
    buffer_free(&result.body);
    db_close(&other);
}
END_TEST


START_TEST(digest)
{
    struct prepared_query query = query_of("SELECT 1 AS a");
    struct sql_result one = run(&query), same = run(&query), other;

    query.sql = "SELECT 2 AS a";
    other = run(&query);
    ck_assert_mem_eq(one.numbers, same.numbers, 16);
    ck_assert_mem_ne(one.numbers, other.numbers, 16);
    buffer_free(&one.body);
    buffer_free(&same.body);
    buffer_free(&other.body);
}
END_TEST


START_TEST(places)
{
    ck_assert_uint_eq(prepared_placeholders("SELECT 1"), 0);
    ck_assert_uint_eq(prepared_placeholders("SELECT ? , ?"), 2);
    ck_assert_uint_eq(prepared_placeholders("SELECT '?', \"?\", `?`, '''?', '\\'?', \"\\\"?\", ?"), 1);
    ck_assert_uint_eq(prepared_placeholders("SELECT 1 -- ?\n, ? # ?\n, ? /* ? */, ?"), 3);
    ck_assert_uint_eq(prepared_placeholders("SELECT 2--?"), 1);
    ck_assert_uint_eq(prepared_placeholders("SELECT ?--"), 1);
    ck_assert_uint_eq(prepared_placeholders("SELECT '?"), 0);
    ck_assert_uint_eq(prepared_placeholders("SELECT ? /* ?"), 1);
    ck_assert_uint_eq(prepared_placeholders("SELECT /*! ? */ 1"), 1);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("statement");
    TCase *pure = tcase_create("text");
    TCase *served = tcase_create("server");

    tcase_add_test(pure, places);
    suite_add_tcase(suite, pure);

    tcase_add_unchecked_fixture(served, start_server, stop_server);
    tcase_add_checked_fixture(served, connect_db, close_db);
    tcase_set_timeout(served, 60);
    tcase_add_test(served, R4_integers);
    tcase_add_test(served, R4_decimals_and_floats);
    tcase_add_test(served, R4_times);
    tcase_add_test(served, R4_texts_and_bytes);
    tcase_add_test(served, R4_json);
    tcase_add_test(served, R3_values_are_values);
    tcase_add_test(served, forms);
    tcase_add_test(served, pages);
    tcase_add_test(served, large_results);
    tcase_add_test(served, statements_that_cannot_be_used);
    tcase_add_test(served, statements_are_prepared_once);
    tcase_add_test(served, a_table_changes_under_a_statement);
    tcase_add_test(served, a_connection_that_was_killed);
    tcase_add_test(served, a_connection_that_is_killed_between_two_rows);
    tcase_add_test(served, a_time_out_between_two_rows);
    tcase_add_test(served, a_statement_that_takes_too_long);
    tcase_add_test(served, a_lock_is_waited_for_a_second_at_least);
    tcase_add_test(served, digest);
    suite_add_tcase(suite, served);

    return suite_run(suite);
}
