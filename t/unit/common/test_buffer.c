/* The text that grows: common/text/buffer.c. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"
#include "text/buffer.h"

static size_t size_of_failure;


static void
note_failure(size_t size)
{
    size_of_failure = size;
}


START_TEST(grows)
{
    struct buffer b = { 0 };
    char digits[1001] = "";

    buffer_text(&b, "");
    ck_assert_str_eq(b.data, "");
    memset(digits, '7', 1000);
    buffer_text(&b, "a");
    buffer_number(&b, UINT64_MAX);
    buffer_add(&b, digits, 1000);
    buffer_format(&b, "%s%d", "b", 5);
    buffer_format(&b, "%s", "");
    ck_assert_uint_eq(b.len, 1 + 20 + 1000 + 2);
    ck_assert_uint_eq(strlen(b.data), b.len);
    ck_assert(strncmp(b.data, "a18446744073709551615777", 24) == 0);
    ck_assert_str_eq(b.data + 1021, "b5");
    buffer_clear(&b);
    ck_assert_str_eq(b.data, "");
    ck_assert_int_eq(b.failed, 0);
    buffer_free(&b);
    ck_assert_ptr_null(b.data);
}
END_TEST


START_TEST(fails_and_keeps_its_content)
{
    struct buffer b = { 0 };

    buffer_text(&b, "SELECT 1");
    ck_assert_int_eq(buffer_reserve(&b, SIZE_MAX), -1);
    ck_assert_int_eq(b.failed, 1);
    buffer_text(&b, ", 2");
    buffer_number(&b, 3);
    buffer_format(&b, "%d", 4);
    ck_assert_str_eq(b.data, "SELECT 1");
    ck_assert_uint_eq(b.len, 8);
    buffer_clear(&b);
    ck_assert_int_eq(b.failed, 1);
    buffer_free(&b);
    ck_assert_int_eq(b.failed, 0);
    buffer_text(&b, "again");
    ck_assert_str_eq(b.data, "again");
    buffer_free(&b);
}
END_TEST


START_TEST(says_that_it_fails)
{
    struct buffer b = { 0 };

    buffer_on_failure = note_failure;
    ck_assert_int_eq(buffer_reserve(&b, SIZE_MAX - 1), -1);
    ck_assert_uint_eq(size_of_failure, SIZE_MAX - 1);
    buffer_on_failure = NULL;
    buffer_free(&b);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("buffer");
    TCase *tests = tcase_create("buffer");

    tcase_add_test(tests, grows);
    tcase_add_test(tests, fails_and_keeps_its_content);
    tcase_add_test(tests, says_that_it_fails);
    suite_add_tcase(suite, tests);

    return suite_run(suite);
}
