/* One line a second for each cause: worker/base/log_limit.c. */
#include "base/log_limit.h"
#include "suite.h"


START_TEST(test_one_line_a_second)
{
    struct log_limit limit = { 0 };
    uint64_t left_out = 7;

    ck_assert_int_eq(log_limit_pass(&limit, 5000, &left_out), 1);
    ck_assert_uint_eq(left_out, 0);
    ck_assert_int_eq(log_limit_rest(&limit, 9000, &left_out), 0);

    for (uint64_t now = 5000; now < 6000; now += 100) {
        ck_assert_int_eq(log_limit_pass(&limit, now, &left_out), 0);
        ck_assert_int_eq(log_limit_rest(&limit, now, &left_out), 0);
    }

    ck_assert_int_eq(log_limit_pass(&limit, 6000, &left_out), 1);
    ck_assert_uint_eq(left_out, 10);
}
END_TEST


START_TEST(test_what_was_left_out_last_is_counted_too)
{
    struct log_limit limit = { 0 };
    uint64_t left_out;

    ck_assert_int_eq(log_limit_pass(&limit, 5000, &left_out), 1);
    ck_assert_int_eq(log_limit_pass(&limit, 5001, &left_out), 0);
    ck_assert_int_eq(log_limit_rest(&limit, 6000, &left_out), 1);
    ck_assert_uint_eq(left_out, 1);
    ck_assert_int_eq(log_limit_rest(&limit, 9000, &left_out), 0);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker log limit");
    TCase *tcase = tcase_create("log limit");

    tcase_add_test(tcase, test_one_line_a_second);
    tcase_add_test(tcase, test_what_was_left_out_last_is_counted_too);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
