/* Products that need the same repair again and again: worker/repair/flapping.c. */
#include "repair/flapping.h"
#include "suite.h"


START_TEST(test_flapping)
{
    struct flapping r = { 0 };

    ck_assert_int_eq(flapping_add(&r, 17, 1, 1000), 0);
    ck_assert_int_eq(flapping_add(&r, 17, 2, 2000), 0);
    ck_assert_int_eq(flapping_add(&r, 17, 4, 4000), 0); /* tick 3 was quiet */
    ck_assert_int_eq(flapping_add(&r, 17, 5, 5000), 0);
    ck_assert_int_eq(flapping_is_suspended(&r, 17, 5000), 0);
    ck_assert_int_eq(flapping_add(&r, 17, 6, 6000), 1);
    ck_assert_int_eq(flapping_is_suspended(&r, 17, 6000), 1);
    ck_assert_int_eq(flapping_is_suspended(&r, 18, 6000), 0);
    ck_assert_int_eq(flapping_is_suspended(&r, 17, 6000 + FLAPPING_SUSPEND_MS), 0);
    ck_assert_int_eq(flapping_add(&r, 17, 70, 70000), 0);

    /* More of them than there is room for: the oldest is forgotten, the others are not. */
    for (uint64_t id = 100; id < 100 + FLAPPING_MOST; id++) {
        ck_assert_int_eq(flapping_add(&r, id, 71, 71000), 0);
    }

    ck_assert_int_eq(flapping_add(&r, 17, 72, 72000), 0);
    ck_assert_int_eq(flapping_add(&r, 120, 72, 72000), 0);
    ck_assert_int_eq(flapping_add(&r, 120, 73, 73000), 1);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker flapping");
    TCase *tcase = tcase_create("flapping");

    tcase_add_test(tcase, test_flapping);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
