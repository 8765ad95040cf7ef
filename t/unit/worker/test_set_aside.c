/* The list of entries that a check failed for: worker/intake/set_aside.c. */
#include <stdio.h>
#include <string.h>

#include "intake/set_aside.h"
#include "suite.h"


START_TEST(test_added_and_found)
{
    struct set_aside list = { 0 };

    ck_assert_int_eq(set_aside_has(&list, ""), 0);
    set_aside_add(&list, "5-1");
    set_aside_add(&list, "18446744073709551615-18446744073709551615");
    ck_assert_int_eq(set_aside_has(&list, "5-1"), 1);
    ck_assert_int_eq(set_aside_has(&list, "18446744073709551615-18446744073709551615"), 1);
    ck_assert_int_eq(set_aside_has(&list, "5-11"), 0);
    ck_assert_int_eq(set_aside_has(&list, "5-"), 0);

    set_aside_add(&list, "5-1");
    ck_assert_uint_eq(list.count, 2);
}
END_TEST


START_TEST(test_the_first_is_forgotten)
{
    struct set_aside list = { 0 };
    char id[32];

    for (int i = 0; i < SET_ASIDE_MOST + 3; i++) {
        snprintf(id, sizeof id, "%d-0", i);
        set_aside_add(&list, id);
    }

    ck_assert_uint_eq(list.count, SET_ASIDE_MOST);

    for (int i = 0; i < SET_ASIDE_MOST + 3; i++) {
        snprintf(id, sizeof id, "%d-0", i);
        ck_assert_int_eq(set_aside_has(&list, id), i >= 3);
    }
}
END_TEST


START_TEST(test_no_id_of_redis)
{
    struct set_aside list = { 0 };

    set_aside_add(&list, "18446744073709551615-184467440737095516150");
    ck_assert_uint_eq(list.count, 0);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker set aside");
    TCase *tcase = tcase_create("set aside");

    tcase_add_test(tcase, test_added_and_found);
    tcase_add_test(tcase, test_the_first_is_forgotten);
    tcase_add_test(tcase, test_no_id_of_redis);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
