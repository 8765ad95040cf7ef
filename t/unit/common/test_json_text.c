/* Values as JSON text, and the check of JSON: common/text/json_text.c, json_reader.c. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"
#include "text/json_reader.h"
#include "text/json_text.h"

#define ck_assert_json(call, expected) \
    do { \
        struct buffer b = { 0 }; \
        call; \
        ck_assert_str_eq(b.data, expected); \
        ck_assert_int_eq(json_check(b.data, b.len, 1), 0); \
        buffer_free(&b); \
    } while (0)


START_TEST(strings)
{
    ck_assert_json(json_text_string(&b, "", 0), "\"\"");
    ck_assert_json(json_text_string(&b, "a\"b\\c/d", 7), "\"a\\\"b\\\\c/d\"");
    ck_assert_json(json_text_string(&b, "\0\1\x1f\x7f", 4), "\"\\u0000\\u0001\\u001f\x7f\"");
    ck_assert_json(json_text_string(&b, "\b\t\n\v\f\r", 6), "\"\\b\\t\\n\\u000b\\f\\r\"");
    ck_assert_json(json_text_string(&b, "é漢😀", strlen("é漢😀")), "\"é漢😀\"");
}
END_TEST


START_TEST(strings_that_are_no_utf8)
{
    ck_assert_json(json_text_string(&b,
                                    "a\xff"
                                    "b",
                                    3),
                   "\"a�b\"");
    ck_assert_json(json_text_string(&b, "\xc3", 1), "\"�\"");
    ck_assert_json(json_text_string(&b, "\xc0\x80", 2), "\"��\"");           /* too long a form */
    ck_assert_json(json_text_string(&b, "\xed\xa0\x80", 3), "\"���\"");      /* half of a surrogate pair */
    ck_assert_json(json_text_string(&b, "\xf4\x90\x80\x80", 4), "\"����\""); /* behind the last character */
    ck_assert_json(json_text_string(&b, "\xf0\x9f\x98\"", 4), "\"���\\\"\"");
    ck_assert_int_eq(json_text_is_utf8("a漢", 4), 1);
    ck_assert_int_eq(json_text_is_utf8("", 0), 1);
    ck_assert_int_eq(json_text_is_utf8("a\0b", 3), 0);
    ck_assert_int_eq(json_text_is_utf8("a\xe6\xbc", 3), 0);
}
END_TEST


/* RFC 4648, section 10 */
START_TEST(base64)
{
    ck_assert_json(json_text_base64(&b, "", 0), "\"\"");
    ck_assert_json(json_text_base64(&b, "f", 1), "\"Zg==\"");
    ck_assert_json(json_text_base64(&b, "fo", 2), "\"Zm8=\"");
    ck_assert_json(json_text_base64(&b, "foo", 3), "\"Zm9v\"");
    ck_assert_json(json_text_base64(&b, "foobar", 6), "\"Zm9vYmFy\"");
    ck_assert_json(json_text_base64(&b, "\xff\xfe\xfd\xfc", 4), "\"//79/A==\"");
}
END_TEST


START_TEST(numbers)
{
    ck_assert_json(json_text_double(&b, 0), "0");
    ck_assert_json(json_text_double(&b, -0.0), "-0");
    ck_assert_json(json_text_double(&b, 0.1), "0.1");
    ck_assert_json(json_text_double(&b, 0.1 + 0.2), "0.30000000000000004");
    ck_assert_json(json_text_double(&b, DBL_MAX), "1.7976931348623157e+308");
    ck_assert_json(json_text_double(&b, 9007199254740993.0), "9007199254740992");
    ck_assert_json(json_text_double(&b, NAN), "null");
    ck_assert_json(json_text_double(&b, -INFINITY), "null");
    ck_assert_json(json_text_float(&b, 0.1f), "0.1");
    ck_assert_json(json_text_float(&b, 16777216.0f), "16777216");
    ck_assert_json(json_text_float(&b, FLT_MAX), "3.4028235e+38");
    ck_assert_json(json_text_float(&b, INFINITY), "null");
}
END_TEST


START_TEST(doubles_read_back)
{
    srand(1);

    for (int i = 0; i < 100000; i++) {
        struct buffer b = { 0 };
        uint64_t bits = (uint64_t) rand() << 42 ^ (uint64_t) rand() << 21 ^ (uint64_t) rand();
        double value;

        memcpy(&value, &bits, sizeof(value));
        json_text_double(&b, value);
        ck_assert_msg(!isfinite(value) || strtod(b.data, NULL) == value, "%s", b.data);
        buffer_free(&b);
    }
}
END_TEST


static int
check(const char *text)
{
    return json_check(text, strlen(text), 3);
}


START_TEST(checks)
{
    ck_assert_int_eq(check("{\"a\": [1, -2.5e+3, \"x\\u00e9\\n\", true, false, null, {}]}"), 0);
    ck_assert_int_eq(check(" 0 "), 0);
    ck_assert_int_eq(check("[[[]]]"), 0);
    ck_assert_int_eq(check("[[[[]]]]"), -1);
    ck_assert_int_eq(check(""), -1);
    ck_assert_int_eq(check("1 2"), -1);
    ck_assert_int_eq(check("01"), -1);
    ck_assert_int_eq(check("{\"a\":}"), -1);
    ck_assert_int_eq(check("{a:1}"), -1);
    ck_assert_int_eq(check("[1,]"), -1);
    ck_assert_int_eq(check("\"\n\""), -1);
    ck_assert_int_eq(check("\"\xff\""), -1);
    ck_assert_int_eq(check("NaN"), -1);
    ck_assert_int_eq(json_check("1\0", 2, 3), -1);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("json_text");
    TCase *tests = tcase_create("all");

    tcase_add_test(tests, strings);
    tcase_add_test(tests, strings_that_are_no_utf8);
    tcase_add_test(tests, base64);
    tcase_add_test(tests, numbers);
    tcase_add_test(tests, doubles_read_back);
    tcase_add_test(tests, checks);
    suite_add_tcase(suite, tests);

    return suite_run(suite);
}
