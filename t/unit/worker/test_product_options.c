/* Options of checkoutctl product, and times in them: worker/ctl/product_options.c. */
#include <string.h>

#include "ctl/product_options.h"
#include "suite.h"


START_TEST(test_times)
{
    static const struct {
        const char *text, *sql;
    } times[] = {
        { "2026-11-21T12:00Z", "'2026-11-21 12:00:00.000'" },
        { "2026-11-21T12:00:05.25Z", "'2026-11-21 12:00:05.250'" },
        { "2026-11-21T00:30:00+08:00", "'2026-11-20 16:30:00.000'" },
        { "2039-12-31T23:59:59.9999-01:00", "'2040-01-01 00:59:59.999'" },
        { "2024-02-29T00:00Z", "'2024-02-29 00:00:00.000'" },
        { "1970-01-01T08:00+08:00", "'1970-01-01 00:00:00.000'" },
    };
    static const char *const no_times[] = {
        "",
        "2026-11-21",
        "2026-11-21T12:00",
        "2026-02-29T00:00Z",
        "2026-13-01T00:00Z",
        "2026-11-21T24:00Z",
        "2026-11-21T12:60Z",
        "2026-11-21T12:00:00.Z",
        "2026-11-21T12:00Zx",
        "2026-11-21T12:00+8:00",
        "0000-01-01T00:00Z",
        "1970-01-01T07:59+08:00",
    };
    char sql[32];

    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        ck_assert_int_eq(product_options_time(sql, times[i].text), 0);
        ck_assert_str_eq(sql, times[i].sql);
    }

    for (size_t i = 0; i < sizeof no_times / sizeof *no_times; i++) {
        ck_assert_msg(product_options_time(sql, no_times[i]) == -1, "%s", no_times[i]);
    }
}
END_TEST


START_TEST(test_product_words)
{
    char *good[] = { "--name",           "Vase", "--price",        "19.8", "--stock", "0",
                     "--per-user-limit", "none", "--max-quantity", "5" };
    static const char *const bad[][2] = {
        { "--price", "1.234" }, { "--price", "-1" },          { "--price", "." },
        { "--price", "1." },    { "--price", "12345678901" }, { "--price", "1;DROP" },
        { "--stock", "-1" },    { "--stock", "2147483648" },  { "--stock", "" },
        { "--state", "shut" },  { "--opens-at", "soon" },     { "--per-user-limit", "0" },
        { "--name", "" },       { "--colour", "red" },
    };
    struct product_options w;
    char error[128];

    ck_assert_int_eq(product_options_read(&w, 10, good, error, sizeof error), 0);
    ck_assert_str_eq(w.name, "Vase");
    ck_assert_int_eq(w.stock.set, 1);
    ck_assert_str_eq(w.per_user_limit.sql, "NULL");
    ck_assert_str_eq(w.max_quantity.sql, "5");
    ck_assert_int_eq(w.opens_at.set, 0);

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *argv[] = { (char *) bad[i][0], (char *) bad[i][1] };

        ck_assert_msg(product_options_read(&w, 2, argv, error, sizeof error) == -1, "%s %s", bad[i][0], bad[i][1]);
        ck_assert_ptr_nonnull(strstr(error, bad[i][0]));
    }

    ck_assert_int_eq(product_options_read(&w, 1, good, error, sizeof error), -1);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker product options");
    TCase *tcase = tcase_create("product options");

    tcase_add_test(tcase, test_times);
    tcase_add_test(tcase, test_product_words);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
