/* S10: which products are named for a wrong count of what is in flight: worker/repair/flight_check.c. */
#include "repair/flight_check.h"
#include "suite.h"


static struct flight_check check;
static uint64_t named[8];
static size_t named_count;


static void
name(uint64_t id, void *data)
{
    ck_assert_ptr_eq(data, &check);
    named[named_count++] = id;
}


/* A pass over products 1 and 2: what the gate counts, and what it read. Returns how many were named. */
static size_t
pass(int64_t held_1, int64_t read_1, int64_t held_2, int64_t read_2)
{
    static const uint64_t ids[] = { 1, 2 };

    named_count = 0;
    flight_check_begin(&check, ids, 2);
    check.pass.products[0].queue_units = read_1;
    check.pass.products[1].dead_units = read_2;
    flight_check_see(&check, 1, held_1);
    flight_check_see(&check, 2, held_2);
    flight_check_see(&check, 3, 100);
    (void) flight_check_judge(&check, 0, name, &check);
    return named_count;
}


START_TEST(test_same_difference)
{
    ck_assert_uint_eq(pass(5, 2, 4, 4), 0);
    ck_assert_uint_eq(pass(6, 3, 4, 4), 0);
    ck_assert_uint_eq(pass(9, 6, 4, 4), 1);
    ck_assert_uint_eq(named[0], 1);

    /* It begins anew, and a pass in order ends the sequence. */
    ck_assert_uint_eq(pass(5, 2, 4, 4), 0);
    ck_assert_uint_eq(pass(5, 2, 4, 4), 0);
    ck_assert_uint_eq(pass(2, 2, 4, 4), 0);
    ck_assert_uint_eq(pass(5, 2, 4, 4), 0);
    flight_check_free(&check);
}
END_TEST


START_TEST(test_other_differences)
{
    for (int i = 1; i < FLIGHT_CHECK_ANY; i++) {
        ck_assert_uint_eq(pass(1, 1, 10 + 3 * i * i, 10), 0);
    }

    ck_assert_uint_eq(pass(1, 1, 10, 11), 1);
    ck_assert_uint_eq(named[0], 2);
    flight_check_free(&check);
}
END_TEST


START_TEST(test_not_seen)
{
    static const uint64_t ids[] = { 1 };

    for (int i = 0; i < FLIGHT_CHECK_ANY; i++) {
        named_count = 0;
        flight_check_begin(&check, ids, 1);
        check.pass.products[0].queue_units = 7;
        (void) flight_check_judge(&check, 0, name, &check);
        ck_assert_uint_eq(named_count, 0);
    }

    flight_check_free(&check);
}
END_TEST


/* The gate's count of queued orders is corrected by a difference that three passes agree on. */
START_TEST(test_queued)
{
    static const int64_t queued[] = { 10, 11, 12, 12 };
    static const int64_t orders[] = { 13, 14, 15, 12 };
    static const int64_t more[] = { 0, 0, 3, 0 };

    for (size_t i = 0; i < 4; i++) {
        flight_check_begin(&check, NULL, 0);
        check.pass.orders = orders[i];
        ck_assert_int_eq(flight_check_judge(&check, queued[i], name, &check), more[i]);
    }

    flight_check_free(&check);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker flight check");
    TCase *tcase = tcase_create("flight check");

    tcase_add_test(tcase, test_same_difference);
    tcase_add_test(tcase, test_other_differences);
    tcase_add_test(tcase, test_not_seen);
    tcase_add_test(tcase, test_queued);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
