/* Waits after failures: worker/base/backoff.c. */
#include "base/backoff.h"
#include "suite.h"


START_TEST(test_backoff)
{
    struct backoff b = { 0 };
    unsigned bound = BACKOFF_FIRST_MS;

    for (int i = 0; i < 20; i++) {
        unsigned ms = backoff_next(&b);

        ck_assert_uint_ge(ms, bound / 2);
        ck_assert_uint_le(ms, bound);
        bound = bound * 2 > BACKOFF_MOST_MS ? BACKOFF_MOST_MS : bound * 2;
    }

    backoff_reset(&b);
    ck_assert_uint_le(backoff_next(&b), BACKOFF_FIRST_MS);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker backoff");
    TCase *tcase = tcase_create("backoff");

    tcase_add_test(tcase, test_backoff);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
