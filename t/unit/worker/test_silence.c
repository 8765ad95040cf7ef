/* How long a value stayed the same: worker/base/silence.c. */
#include "base/silence.h"

#include <string.h>

#include "suite.h"


START_TEST(test_silence)
{
    struct silence s = { 0 };

    ck_assert_uint_eq(silence_see(&s, "", 1000), 0); /* an empty value is one */
    ck_assert_uint_eq(silence_see(&s, "", 1700), 700);
    ck_assert_uint_eq(silence_see(&s, "a 1", 2000), 0);
    ck_assert_uint_eq(silence_see(&s, "a 1", 5000), 3000);
    ck_assert_uint_eq(silence_see(&s, "a 1", 12000), 10000);
    ck_assert_uint_eq(silence_see(&s, "a 2", 12001), 0);
    ck_assert_uint_eq(silence_see(&s, "a 1", 12002), 0); /* back to an old one is a change, too */
    ck_assert_uint_eq(silence_see(&s, "a 1", 12003), 1);
}
END_TEST


START_TEST(test_long_value)
{
    struct silence s = { 0 };
    char value[2 * SILENCE_VALUE_MOST];

    memset(value, 'x', sizeof(value));
    value[sizeof(value) - 1] = '\0';
    ck_assert_uint_eq(silence_see(&s, value, 5), 0);
    ck_assert_uint_eq(silence_see(&s, value, 9), 4);
    value[0] = 'y';
    ck_assert_uint_eq(silence_see(&s, value, 10), 0);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker silence");
    TCase *tcase = tcase_create("silence");

    tcase_add_test(tcase, test_silence);
    tcase_add_test(tcase, test_long_value);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
