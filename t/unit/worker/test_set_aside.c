/* The list of entries that a check failed for: worker/intake/set_aside.c. */
#include <inttypes.h>
#include <stdio.h>

#include "intake/set_aside.h"
#include "suite.h"

static struct set_aside list;


static const char *
id_of(uint64_t n)
{
    static char id[48];

    snprintf(id, sizeof(id), "%" PRIu64 "-%" PRIu64, 1763700000000 + n / 3, n % 3);
    return id;
}


START_TEST(test_what_was_added_is_there)
{
    list.count = 0;
    ck_assert_int_eq(set_aside_see(&list, ""), 0);
    ck_assert_int_eq(set_aside_add(&list, "5-1", 0), 0);
    ck_assert_int_eq(set_aside_add(&list, "18446744073709551615-18446744073709551615", 0), 0);
    ck_assert_int_eq(set_aside_see(&list, "5-1"), 1);
    ck_assert_int_eq(set_aside_see(&list, "18446744073709551615-18446744073709551615"), 1);
    ck_assert_int_eq(set_aside_see(&list, "5-11"), 0);
    ck_assert_int_eq(set_aside_see(&list, "1-5"), 0);
    ck_assert_int_eq(set_aside_see(&list, "5-"), 0);

    ck_assert_int_eq(set_aside_add(&list, "5-1", 0), 0);
    ck_assert_uint_eq(list.count, 2);
}
END_TEST


START_TEST(test_a_full_list_forgets_none)
{
    list.count = 0;

    /* 7 and 4096 have no common divisor: each number once, in no order. */
    for (uint64_t i = 0; i < SET_ASIDE_MOST; i++) {
        ck_assert_int_eq(set_aside_add(&list, id_of(i * 7 % SET_ASIDE_MOST), 0), 0);
    }

    ck_assert_int_eq(set_aside_add(&list, id_of(SET_ASIDE_MOST), 0), -1);
    ck_assert_int_eq(set_aside_add(&list, id_of(5), 0), 0);
    ck_assert_uint_eq(list.count, SET_ASIDE_MOST);

    for (uint64_t i = 0; i < SET_ASIDE_MOST; i++) {
        ck_assert_int_eq(set_aside_see(&list, id_of(i)), 1);
    }

    ck_assert_int_eq(set_aside_see(&list, id_of(SET_ASIDE_MOST)), 0);
}
END_TEST


START_TEST(test_what_is_no_longer_pending_makes_room)
{
    list.count = 0;

    for (uint64_t i = 0; i < SET_ASIDE_MOST; i++) {
        (void) set_aside_add(&list, id_of(i), 0);
    }

    /* What was added in this pass counts as seen. */
    set_aside_end_pass(&list);
    ck_assert_uint_eq(list.count, SET_ASIDE_MOST);

    for (uint64_t i = 0; i < SET_ASIDE_MOST; i += 2) {
        ck_assert_int_eq(set_aside_see(&list, id_of(i)), 1);
    }

    set_aside_end_pass(&list);
    ck_assert_uint_eq(list.count, SET_ASIDE_MOST / 2);
    ck_assert_int_eq(set_aside_see(&list, id_of(8)), 1);
    ck_assert_int_eq(set_aside_see(&list, id_of(9)), 0);
    ck_assert_int_eq(set_aside_add(&list, id_of(9), 0), 0);

    set_aside_end_pass(&list);
    ck_assert_uint_eq(list.count, 2);
}
END_TEST


START_TEST(test_what_is_no_id_is_not_taken)
{
    list.count = 0;
    ck_assert_int_eq(set_aside_add(&list, "18446744073709551615-184467440737095516150", 0), -1);
    ck_assert_int_eq(set_aside_add(&list, "5", 0), -1);
    ck_assert_int_eq(set_aside_add(&list, "5-1-1", 0), -1);
    ck_assert_uint_eq(list.count, 0);
}
END_TEST


START_TEST(test_S4_what_is_free_comes_back)
{
    list.count = 0;
    (void) set_aside_add(&list, "5-1", 0);
    (void) set_aside_add(&list, "5-2", 17);
    (void) set_aside_add(&list, "5-3", 18);
    (void) set_aside_add(&list, "5-4", 17);
    ck_assert_uint_eq(set_aside_broken(&list), 1);

    set_aside_release(&list, 17);
    ck_assert_uint_eq(list.count, 2);
    ck_assert_int_eq(set_aside_see(&list, "5-1"), 1);
    ck_assert_int_eq(set_aside_see(&list, "5-2"), 0);
    ck_assert_int_eq(set_aside_see(&list, "5-3"), 1);
    ck_assert_uint_eq(set_aside_broken(&list), 1);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker set aside");
    TCase *tcase = tcase_create("set aside");

    tcase_add_test(tcase, test_what_was_added_is_there);
    tcase_add_test(tcase, test_a_full_list_forgets_none);
    tcase_add_test(tcase, test_what_is_no_longer_pending_makes_room);
    tcase_add_test(tcase, test_what_is_no_id_is_not_taken);
    tcase_add_test(tcase, test_S4_what_is_free_comes_back);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
