/* Whole numbers as text: common/text/number.c. The strict reader's cases are in test_order.c as well. */
#include "suite.h"
#include "text/number.h"


START_TEST(test_a_number_that_is_refused_leaves_the_value)
{
    uint64_t value = 7;

    ck_assert_int_eq(number_parse(&value, "18446744073709551616", 20, UINT64_MAX), -1);
    ck_assert_int_eq(number_parse(&value, "", 0, 9), -1);
    ck_assert_int_eq(number_parse(&value, "-1", 2, 9), -1);
    ck_assert_int_eq(number_parse(&value, "01", 2, 9), -1);
    ck_assert_uint_eq(value, 7);
    ck_assert_int_eq(number_parse(&value, "0", 1, 0), 0);
    ck_assert_uint_eq(value, 0);
}
END_TEST


START_TEST(test_columns)
{
    ck_assert_uint_eq(number_of_column(NULL), 0);
    ck_assert_uint_eq(number_of_column("18446744073709551615"), UINT64_MAX);
    ck_assert_int_eq(number_of_signed_column(NULL), 0);
    ck_assert_int_eq(number_of_signed_column("-9223372036854775808"), INT64_MIN);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("number");
    TCase *tcase = tcase_create("number");

    tcase_add_test(tcase, test_a_number_that_is_refused_leaves_the_value);
    tcase_add_test(tcase, test_columns);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
