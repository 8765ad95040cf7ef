/* Checks of what must be true, in a test build and in a release: worker/base/invariant.c. */
#include <signal.h>

#include "base/invariant.h"
#include "suite.h"


START_TEST(test_a_check_that_holds)
{
    int asked = 0;

    ck_assert_int_eq(INVARIANT(++asked == 1, "asked once"), 1);
    ck_assert_int_eq(asked, 1);
    ck_assert_uint_eq(invariant_failures(), 0);
}
END_TEST


START_TEST(test_a_test_build_aborts)
{
    (void) INVARIANT(0, "never");
}
END_TEST


START_TEST(test_a_release_goes_on_and_counts)
{
    int asked = 0;

    invariant_set_abort(0);
    ck_assert_int_eq(INVARIANT(++asked == 0, "asked once"), 0);
    ck_assert_int_eq(asked, 1);
    ck_assert_int_eq(INVARIANT(0, "never"), 0);
    ck_assert_int_eq(INVARIANT(1, "always"), 1);
    ck_assert_uint_eq(invariant_failures(), 2);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker invariant");
    TCase *tcase = tcase_create("invariant");

    tcase_add_test(tcase, test_a_check_that_holds);
    tcase_add_test_raise_signal(tcase, test_a_test_build_aborts, SIGABRT);
    tcase_add_test(tcase, test_a_release_goes_on_and_counts);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
