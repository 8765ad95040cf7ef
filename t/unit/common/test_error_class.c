/* What an error number of MySQL means for a transaction: common/mysql/error_class.c. */
#include "mysql/error_class.h"
#include "suite.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const unsigned lost_race[] = { 1020, 1062, 1213 };

static const unsigned poison[] = { 1048, 1264, 1265, 1292, 1366, 1406, 1690, 3819, 4025 };

static const unsigned environmental[] = {
    1021, 1026, 1030, 1037, 1038, 1040, 1041, 1044, 1045, 1049, 1053, 1054, 1077, 1079, 1080,
    1099, 1100, 1114, 1129, 1142, 1143, 1146, 1158, 1159, 1160, 1161, 1192, 1203, 1205, 1206,
    1223, 1226, 1227, 1290, 1317, 1370, 1792, 1836, 1927, 1969, 3024, 3100, 3168
};


static int
is_listed(const unsigned *list, size_t n, unsigned code)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i] == code) {
            return 1;
        }
    }

    return 0;
}


/* Each number up to 9999, so that a list that grows has to be written down here as well. */
START_TEST(test_W6_every_number_has_the_class_of_its_list)
{
    for (unsigned code = 1; code < 10000; code++) {
        enum db_result class = is_listed(lost_race, COUNT(lost_race), code) ? DB_AGAIN
                               : is_listed(poison, COUNT(poison), code)     ? DB_POISON
                                                                            : DB_RETRY;

        ck_assert_msg(error_class(code) == class, "%u is %d", code, error_class(code));
    }
}
END_TEST


START_TEST(test_W20_every_number_that_is_the_environments_for_certain)
{
    for (unsigned code = 1000; code < 10000; code++) {
        int certain = is_listed(environmental, COUNT(environmental), code) || (code >= 2000 && code < 3000);

        ck_assert_msg(error_is_environmental(code) == certain, "%u", code);
    }
}
END_TEST


START_TEST(test_W6_W20_unknown_means_environmental)
{
    static const unsigned unknown[] = { 1, 999, 1999, 4999, 9999, 65535, 4294967295U };

    for (size_t i = 0; i < COUNT(unknown); i++) {
        ck_assert_int_eq(error_class(unknown[i]), DB_RETRY);
    }
}
END_TEST


START_TEST(test_numbers_of_ours_and_of_the_client_library)
{
    ck_assert_int_eq(error_class(0), DB_OK);
    ck_assert_int_eq(error_is_environmental(0), 1);
    ck_assert_int_eq(error_is_environmental(2006), 1);
    ck_assert_int_eq(error_is_environmental(2013), 1);
    ck_assert_int_eq(error_class(2006), DB_RETRY);
}
END_TEST


START_TEST(test_a_statement_over_its_time)
{
    for (unsigned code = 0; code < 10000; code++) {
        ck_assert_msg(error_is_timeout(code) == (code == 1969 || code == 3024), "%u", code);
    }
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("error_class");
    TCase *tcase = tcase_create("error_class");

    tcase_add_test(tcase, test_W6_every_number_has_the_class_of_its_list);
    tcase_add_test(tcase, test_W20_every_number_that_is_the_environments_for_certain);
    tcase_add_test(tcase, test_W6_W20_unknown_means_environmental);
    tcase_add_test(tcase, test_numbers_of_ours_and_of_the_client_library);
    tcase_add_test(tcase, test_a_statement_over_its_time);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
