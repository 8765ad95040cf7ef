/* What the gauges make of a product's row and its register: worker/observe/laws.c. */
#include "observe/laws.h"

#include "redis/beats.h"
#include "suite.h"


START_TEST(test_oversold_by_the_counters)
{
    struct supply s = { .found = 1, .state = SUPPLY_COUNTED, .stock = 3, .live = 7, .supplied = 10 };

    ck_assert_int_eq(laws_oversold(&s), 0);
    s.live = 9;
    ck_assert_int_eq(laws_oversold(&s), 2);
    s.stock = -1;
    ck_assert_int_eq(laws_oversold(&s), 1);
    s.state = SUPPLY_NOT_COUNTED; /* what the counters lack is not known: only the stock itself can tell */
    ck_assert_int_eq(laws_oversold(&s), 1);
    s.stock = 30;
    ck_assert_int_eq(laws_oversold(&s), 0);
    s = (struct supply) { .found = 1, .state = SUPPLY_COUNTED, .stock = 30 }; /* made by hand, not booked yet */
    ck_assert_int_eq(laws_oversold(&s), 0);
}
END_TEST


START_TEST(test_drift_at_equal_versions)
{
    struct gate_product gate = { .stock = 7, .version = 5, .register_stock = 10, .in_flight = 3 };
    struct supply s = { .found = 1, .stock = 10, .version = 5 };

    ck_assert_int_eq(laws_drift(&gate, &s), 0);
    s.stock = 12;
    ck_assert_int_eq(laws_drift(&gate, &s), 2);
    s.version = 6; /* its push is on its way */
    ck_assert_int_eq(laws_drift(&gate, &s), 0);
    gate.register_stock = GATE_MISSING;
    s.version = 5;
    ck_assert_int_eq(laws_drift(&gate, &s), 0);
}
END_TEST


START_TEST(test_heartbeats_of_the_release_before)
{
    struct beats first = { .beats = { { "a", "100" }, { "b", "200" } }, .count = 2 };
    struct beats now = first;

    ck_assert_int_eq(beats_is_old("host-1", "1795802520123"), 1);
    ck_assert_int_eq(beats_is_old("host-1", "1795802520123.2"), 0);
    ck_assert_int_eq(beats_is_old("paused", "1795802520123"), 0);
    ck_assert_int_eq(beats_is_old("lease:laws", "1"), 0);
    ck_assert_int_eq(beats_is_old("host-1", ""), 0);

    ck_assert_ptr_null(beats_find_changed(&first, &now));
    now.count = 1; /* one left */
    ck_assert_ptr_null(beats_find_changed(&first, &now));
    now = first;
    now.beats[1].value[0] = '3';
    ck_assert_str_eq(beats_find_changed(&first, &now), "b");
    now = first;
    now.count = 3;
    now.beats[2] = now.beats[0];
    now.beats[2].name[0] = 'c'; /* one that came */
    ck_assert_str_eq(beats_find_changed(&first, &now), "c");
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker laws");
    TCase *tcase = tcase_create("laws");

    tcase_add_test(tcase, test_oversold_by_the_counters);
    tcase_add_test(tcase, test_drift_at_equal_versions);
    tcase_add_test(tcase, test_heartbeats_of_the_release_before);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
