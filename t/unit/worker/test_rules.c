/* Rules without I/O: what errors mean, what the reconciler does, how SQL, times and keys are read. */
#include <stdlib.h>
#include <string.h>

#include "mysql/db.h"
#include "ctl/product_options.h"
#include "repair/reconciler.h"
#include "repair/flapping.h"
#include "redis/loaded_products.h"
#include "ctl/sql_split.h"
#include "base/backoff.h"
#include "repair/sync.h"
#include "suite.h"


START_TEST(test_W6_W20_unknown_means_environmental)
{
    /* read-only, too many connections, disk full, killed, no grant, timeout, lost, and what nobody has seen yet */
    static const unsigned retried[] = { 1290, 1836, 1040, 1021, 1114, 1317, 1142, 1205, 3024, 1969, 2006, 2013, 1927, 9999 };

    for (size_t i = 0; i < sizeof retried / sizeof *retried; i++) {
        ck_assert_int_eq(db_class(retried[i]), DB_RETRY);
    }

    ck_assert_int_eq(db_class(1062), DB_AGAIN);
    ck_assert_int_eq(db_class(1213), DB_AGAIN);
    ck_assert_int_eq(db_class(1264), DB_POISON);
    ck_assert_int_eq(db_class(1406), DB_POISON);
}
END_TEST


#define MISSING GATE_MISSING

static const struct {
    const char *what;
    int64_t stock, version, register_stock, in_flight, sum;
    int found;
    int64_t row_stock;
    uint64_t row_version;
    enum reconcile_action action;
} cases[] = {
    { "at rest", 10, 3, 10, 0, 0, 1, 10, 3, RECONCILE_NOTHING },
    { "in flight", 6, 3, 10, 4, 4, 1, 10, 3, RECONCILE_NOTHING },
    { "W17: more in flight than there is", 0, 3, 2, 4, 4, 1, 2, 3, RECONCILE_NOTHING },
    { "not summed", 6, 3, 10, 4, MISSING, 1, 10, 3, RECONCILE_NOTHING },
    { "W16: MySQL newer", 10, 3, 10, 0, 0, 1, 7, 4, RECONCILE_PUSH },
    { "W19: MySQL older", 10, 5, 10, 0, 0, 1, 7, 4, RECONCILE_RAISE },
    { "W19: edited by hand", 10, 4, 10, 0, 0, 1, 7, 4, RECONCILE_RAISE },
    { "W18: stock key gone", MISSING, 4, 10, 0, 0, 1, 10, 4, RECONCILE_SET_STOCK },
    { "stock key wrong", 11, 4, 10, 0, 0, 1, 10, 4, RECONCILE_SET_STOCK },
    { "W18: register gone", 10, -1, MISSING, 0, 0, 1, 10, 4, RECONCILE_LOAD },
    { "W18: register gone, product too", 10, -1, MISSING, 0, 0, 0, 0, 0, RECONCILE_NOTHING },
    { "not loaded", MISSING, -1, MISSING, 0, 0, 1, 10, 4, RECONCILE_NOTHING },
    { "W8: product gone", 10, 4, 10, 0, 0, 0, 0, 0, RECONCILE_CLOSE },
    { "in_flight wrong", 6, 3, 10, 4, 2, 1, 10, 3, RECONCILE_RECOUNT },
    { "register without a version", 10, -1, 10, 0, 0, 1, 10, 4, RECONCILE_PUSH },
};


START_TEST(test_reconciler)
{
    struct gate_product g = {
        .id = 17, .stock = cases[_i].stock, .version = cases[_i].version, .register_stock = cases[_i].register_stock,
        .in_flight = cases[_i].in_flight, .in_flight_sum = cases[_i].sum, .terms.state = "open"
    };
    struct product_row row = {
        .id = 17, .found = cases[_i].found, .stock = cases[_i].row_stock, .version = cases[_i].row_version,
        .terms.state = "open"
    };

    ck_assert_msg(reconcile_judge(&g, &row) == cases[_i].action, "%s", cases[_i].what);
}
END_TEST


START_TEST(test_reconciler_terms)
{
    struct gate_product g = { .stock = 5, .version = 2, .register_stock = 5, .terms.state = "open" };
    struct product_row row = { .found = 1, .stock = 5, .version = 2, .terms.state = "open" };

    row.terms.per_user_limit = 3;
    ck_assert_int_eq(reconcile_judge(&g, &row), RECONCILE_RAISE);
    ck_assert_int_eq(sync_must_raise(&g, &row), 1);

    row.version = 3;
    ck_assert_int_eq(reconcile_judge(&g, &row), RECONCILE_PUSH);

    /* Closed for a product that is gone: nothing is left to do. */
    row.found = 0;
    g.register_stock = g.stock = 0;
    strcpy(g.terms.state, "closed");
    ck_assert_int_eq(reconcile_judge(&g, &row), RECONCILE_NOTHING);
}
END_TEST


/* A register that holds no number where one belongs contradicts MySQL whatever the rest says. */
START_TEST(test_reconciler_damage)
{
    struct gate_product g = { .stock = 5, .version = 2, .register_stock = 5, .damaged = 1, .terms.state = "open" };
    struct product_row row = { .found = 1, .stock = 5, .version = 2, .terms.state = "open" };

    ck_assert_int_eq(reconcile_judge(&g, &row), RECONCILE_RAISE);
    row.version = 3;
    ck_assert_int_eq(reconcile_judge(&g, &row), RECONCILE_RAISE);
    row.found = 0;
    g.register_stock = g.stock = 0;
    strcpy(g.terms.state, "closed");
    ck_assert_int_eq(reconcile_judge(&g, &row), RECONCILE_CLOSE);
}
END_TEST


START_TEST(test_restless)
{
    struct restless r = { 0 };

    ck_assert_int_eq(restless_note(&r, 17, 1, 1000), 0);
    ck_assert_int_eq(restless_note(&r, 17, 2, 2000), 0);
    ck_assert_int_eq(restless_note(&r, 17, 4, 4000), 0);     /* tick 3 was quiet */
    ck_assert_int_eq(restless_note(&r, 17, 5, 5000), 0);
    ck_assert_int_eq(restless_is_left(&r, 17, 5000), 0);
    ck_assert_int_eq(restless_note(&r, 17, 6, 6000), 1);
    ck_assert_int_eq(restless_is_left(&r, 17, 6000), 1);
    ck_assert_int_eq(restless_is_left(&r, 18, 6000), 0);
    ck_assert_int_eq(restless_is_left(&r, 17, 6000 + RESTLESS_LEAVE_MS), 0);
    ck_assert_int_eq(restless_note(&r, 17, 70, 70000), 0);

    /* More of them than there is room for: the oldest is forgotten, the others are not. */
    for (uint64_t id = 100; id < 100 + RESTLESS_MOST; id++) {
        ck_assert_int_eq(restless_note(&r, id, 71, 71000), 0);
    }

    ck_assert_int_eq(restless_note(&r, 17, 72, 72000), 0);
    ck_assert_int_eq(restless_note(&r, 120, 72, 72000), 0);
    ck_assert_int_eq(restless_note(&r, 120, 73, 73000), 1);
}
END_TEST


START_TEST(test_sql_is_divided)
{
    const char *at = " -- a; comment\n# another;\nCREATE TABLE t (c CHAR(1) DEFAULT ';' COMMENT 'it''s; \\'x');;\n"
                     "/* b; */ INSERT INTO `a;b` VALUES (1--1) /*! ; */; SELECT \"x;\" -- end;\n;\n -- rest";
    static const char *const statements[] = {
        "CREATE TABLE t (c CHAR(1) DEFAULT ';' COMMENT 'it''s; \\'x')",
        "INSERT INTO `a;b` VALUES (1--1) /*! ; */",
        "SELECT \"x;\" -- end;\n",
    };
    size_t len;

    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        const char *statement = sql_next_statement(&at, &len);

        ck_assert_ptr_nonnull(statement);
        ck_assert_uint_eq(len, strlen(statements[i]));
        ck_assert_int_eq(memcmp(statement, statements[i], len), 0);
    }

    ck_assert_ptr_null(sql_next_statement(&at, &len));
    ck_assert_ptr_null(sql_next_statement(&at, &len));
}
END_TEST


START_TEST(test_times)
{
    static const struct { const char *text, *sql; } times[] = {
        { "2026-11-21T12:00Z", "'2026-11-21 12:00:00.000'" },
        { "2026-11-21T12:00:05.25Z", "'2026-11-21 12:00:05.250'" },
        { "2026-11-21T00:30:00+08:00", "'2026-11-20 16:30:00.000'" },
        { "2039-12-31T23:59:59.9999-01:00", "'2040-01-01 00:59:59.999'" },
        { "2024-02-29T00:00Z", "'2024-02-29 00:00:00.000'" },
        { "1970-01-01T08:00+08:00", "'1970-01-01 00:00:00.000'" },
    };
    static const char *const no_times[] = {
        "", "2026-11-21", "2026-11-21T12:00", "2026-02-29T00:00Z", "2026-13-01T00:00Z", "2026-11-21T24:00Z",
        "2026-11-21T12:60Z", "2026-11-21T12:00:00.Z", "2026-11-21T12:00Zx", "2026-11-21T12:00+8:00", "0000-01-01T00:00Z",
        "1970-01-01T07:59+08:00",
    };
    char sql[32];

    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        ck_assert_int_eq(product_time_to_sql(sql, times[i].text), 0);
        ck_assert_str_eq(sql, times[i].sql);
    }

    for (size_t i = 0; i < sizeof no_times / sizeof *no_times; i++) {
        ck_assert_msg(product_time_to_sql(sql, no_times[i]) == -1, "%s", no_times[i]);
    }
}
END_TEST


START_TEST(test_product_words)
{
    char *good[] = { "--name", "Vase", "--price", "19.8", "--stock", "0", "--per-user-limit", "none", "--max-quantity", "5" };
    static const char *const bad[][2] = {
        { "--price", "1.234" }, { "--price", "-1" }, { "--price", "." }, { "--price", "1." }, { "--price", "12345678901" },
        { "--price", "1;DROP" }, { "--stock", "-1" }, { "--stock", "2147483648" }, { "--stock", "" }, { "--state", "shut" },
        { "--opens-at", "soon" }, { "--per-user-limit", "0" }, { "--name", "" }, { "--colour", "red" },
    };
    struct product_words w;
    char error[128];

    ck_assert_int_eq(product_words_read(&w, 10, good, error, sizeof error), 0);
    ck_assert_str_eq(w.name, "Vase");
    ck_assert_int_eq(w.stock.set, 1);
    ck_assert_str_eq(w.per_user_limit.sql, "NULL");
    ck_assert_str_eq(w.max_quantity.sql, "5");
    ck_assert_int_eq(w.opens_at.set, 0);

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *argv[] = { (char *) bad[i][0], (char *) bad[i][1] };

        ck_assert_msg(product_words_read(&w, 2, argv, error, sizeof error) == -1, "%s %s", bad[i][0], bad[i][1]);
        ck_assert_ptr_nonnull(strstr(error, bad[i][0]));
    }

    ck_assert_int_eq(product_words_read(&w, 1, good, error, sizeof error), -1);
}
END_TEST


START_TEST(test_keys_of_products)
{
    static const char *const others[] = {
        "product:", "product:1", "product::stock", "product:x:stock", "product:1:buyers", "product:1:stock:", "product:0:stock",
        "product:01:stock", "orders:2026-11-21", "product:99999999999999999999:stock",
    };
    uint64_t id;

    ck_assert_int_eq(loaded_products_id("product:17:stock", 16, &id), 0);
    ck_assert_uint_eq(id, 17);
    ck_assert_int_eq(loaded_products_id("product:9223372036854775807:register", 36, &id), 0);
    ck_assert_uint_eq(id, INT64_MAX);

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        ck_assert_msg(loaded_products_id(others[i], strlen(others[i]), &id) == -1, "%s", others[i]);
    }
}
END_TEST


START_TEST(test_backoff)
{
    struct backoff b = { 0 };
    unsigned bound = BACKOFF_FIRST_MS;

    for (int i = 0; i < 20; i++) {
        unsigned ms = backoff_next(&b);

        ck_assert_uint_ge(ms, bound / 2);
        ck_assert_uint_le(ms, bound);
        bound = bound * 2 > BACKOFF_MOST_MS ? BACKOFF_MOST_MS : bound * 2;
    }

    backoff_reset(&b);
    ck_assert_uint_le(backoff_next(&b), BACKOFF_FIRST_MS);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker rules");
    TCase *tcase = tcase_create("rules");

    tcase_add_test(tcase, test_W6_W20_unknown_means_environmental);
    tcase_add_loop_test(tcase, test_reconciler, 0, sizeof cases / sizeof *cases);
    tcase_add_test(tcase, test_reconciler_terms);
    tcase_add_test(tcase, test_reconciler_damage);
    tcase_add_test(tcase, test_restless);
    tcase_add_test(tcase, test_sql_is_divided);
    tcase_add_test(tcase, test_times);
    tcase_add_test(tcase, test_product_words);
    tcase_add_test(tcase, test_keys_of_products);
    tcase_add_test(tcase, test_backoff);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
