/* The request that sets a stock, and the kinds of members that it has: common/order/stock_request.c,
 * common/text/json_fields.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "order/stock_request.h"
#include "suite.h"


static struct stock_request request;
static struct checkout_field fields[STOCK_REQUEST_FIELDS];
static struct checkout_json_fault fault;


static int
parse(const char *body)
{
    return stock_request_parse(&request, body, strlen(body), fields, &fault);
}


/* The request with this more, and the error of that field. */
static enum checkout_field_error
error_of(enum stock_request_field field, const char *name, const char *value)
{
    char body[4096];
    const char *texts[] = { "1", "\"Tea\"", "5", "5", "\"19.80\"", "false" };
    const char *names[] = { "product_id", "product_name", "initial_db_stock", "initial_redis_stock", "price", "force" };
    int len = 0;

    for (int i = 0; i < STOCK_REQUEST_FIELDS; i++) {
        len += snprintf(body + len, sizeof body - (size_t) len, "%s\"%s\":%s", i == 0 ? "{" : ",", names[i],
                        i == (int) field ? value : texts[i]);
    }

    strcat(body, "}");
    ck_assert_str_eq(names[field], name);

    int result = parse(body);

    ck_assert_msg(fault.syntax == NULL, "%s: %s", body, fault.syntax);
    ck_assert_int_eq(result, fields[field].error == CHECKOUT_FIELD_OK ? 0 : -1);

    for (int i = 0; i < STOCK_REQUEST_FIELDS; i++) {
        int pair = field == STOCK_REQUEST_DB_STOCK || field == STOCK_REQUEST_REDIS_STOCK;

        ck_assert(i == (int) field || fields[i].error == CHECKOUT_FIELD_OK
                  || (pair && fields[i].error == CHECKOUT_FIELD_DIFFERENT));
    }

    return fields[field].error;
}


START_TEST(test_reads_a_request)
{
    ck_assert_int_eq(
        parse("{\"product_id\":9223372036854775807,\"product_name\":\"\\u8336 \\ud83c\\udf75 \\\"x\\\"\\/\","
              "\"initial_db_stock\":2147483647,\"initial_redis_stock\":2147483647,\"price\":19.8,"
              "\"force\":true,\"other\":{\"price\":[]}}"),
        0);
    ck_assert_uint_eq(request.product_id, INT64_MAX);
    ck_assert_str_eq(request.name, "茶 🍵 \"x\"/");
    ck_assert_uint_eq(request.stock, INT32_MAX);
    ck_assert_str_eq(request.price, "19.8");
    ck_assert_int_eq(request.force, 1);

    ck_assert_int_eq(
        parse("{\"product_id\":1,\"product_name\":\"茶\",\"initial_db_stock\":0,\"initial_redis_stock\":0}"), 0);
    ck_assert_str_eq(request.name, "茶");
    ck_assert_str_eq(request.price, "");
    ck_assert_int_eq(request.force, 0);
    ck_assert_uint_eq(request.stock, 0);
}
END_TEST


START_TEST(test_what_is_missing_is_named)
{
    ck_assert_int_eq(parse("{}"), -1);
    ck_assert_ptr_null(fault.syntax);

    for (int i = 0; i < STOCK_REQUEST_FIELDS; i++) {
        ck_assert_int_eq(fields[i].error, i < STOCK_REQUEST_PRICE ? CHECKOUT_FIELD_MISSING : CHECKOUT_FIELD_OK);
    }

    ck_assert_int_eq(parse("[]"), -1);
    ck_assert_ptr_nonnull(fault.syntax);
}
END_TEST


START_TEST(test_the_two_stocks_are_one_number)
{
    ck_assert_int_eq(error_of(STOCK_REQUEST_REDIS_STOCK, "initial_redis_stock", "6"), CHECKOUT_FIELD_DIFFERENT);
    ck_assert_int_eq(fields[STOCK_REQUEST_DB_STOCK].error, CHECKOUT_FIELD_DIFFERENT);
    ck_assert_int_eq(error_of(STOCK_REQUEST_DB_STOCK, "initial_db_stock", "-1"), CHECKOUT_FIELD_TOO_SMALL);
    ck_assert_int_eq(error_of(STOCK_REQUEST_DB_STOCK, "initial_db_stock", "2147483648"), CHECKOUT_FIELD_TOO_LARGE);
    ck_assert_int_eq(error_of(STOCK_REQUEST_DB_STOCK, "initial_db_stock", "\"5\""), CHECKOUT_FIELD_NOT_INTEGER);
    ck_assert_int_eq(error_of(STOCK_REQUEST_DB_STOCK, "initial_db_stock", "5.0"), CHECKOUT_FIELD_NOT_INTEGER);
    ck_assert_int_eq(error_of(STOCK_REQUEST_PRODUCT, "product_id", "0"), CHECKOUT_FIELD_TOO_SMALL);
    ck_assert_int_eq(error_of(STOCK_REQUEST_PRODUCT, "product_id", "9223372036854775808"), CHECKOUT_FIELD_TOO_LARGE);
}
END_TEST


START_TEST(test_price_is_a_decimal_text)
{
    static const char *const right[] = { "0", "0.00", "19", "19.8", "19.80", "9999999999.99", "\"19.80\"", "\"0\"" };
    static const char *const wrong[] = {
        "\"\"",    "\"abc\"",   "1.234",       "\"1.\"",  "\".5\"",     "\"01\"",  "1e2",
        "\"1e2\"", "1.5e0",     "null",        "true",    "[1]",        "\"+1\"",  "\" 1\"",
        "\"1 \"",  "\"1.2.3\"", "\"\\u0031\"", "\"1,5\"", "\"1;DROP\"", "\"NaN\"", "\"0x10\""
    };

    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        ck_assert_msg(error_of(STOCK_REQUEST_PRICE, "price", right[i]) == CHECKOUT_FIELD_OK, "%s", right[i]);
        ck_assert_str_eq(strspn(right[i], "\"") ? "" : right[i], strspn(right[i], "\"") ? "" : request.price);
    }

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_msg(error_of(STOCK_REQUEST_PRICE, "price", wrong[i]) == CHECKOUT_FIELD_NOT_DECIMAL, "%s", wrong[i]);
    }

    ck_assert_int_eq(error_of(STOCK_REQUEST_PRICE, "price", "-1"), CHECKOUT_FIELD_TOO_SMALL);
    ck_assert_int_eq(error_of(STOCK_REQUEST_PRICE, "price", "\"-0.01\""), CHECKOUT_FIELD_TOO_SMALL);
    ck_assert_int_eq(error_of(STOCK_REQUEST_PRICE, "price", "10000000000"), CHECKOUT_FIELD_TOO_LARGE);
    ck_assert_int_eq(error_of(STOCK_REQUEST_PRICE, "price", "99999999999999999999999999999999.99"),
                     CHECKOUT_FIELD_TOO_LARGE);
}
END_TEST


START_TEST(test_name_is_text_of_1_to_255_characters)
{
    char name[4 * 256 + 3];

    for (size_t characters = 254; characters <= 256; characters++) {
        strcpy(name, "\"");

        for (size_t i = 0; i < characters; i++) {
            strcat(name, "🍵");
        }

        strcat(name, "\"");
        ck_assert_int_eq(error_of(STOCK_REQUEST_NAME, "product_name", name),
                         characters > 255 ? CHECKOUT_FIELD_LENGTH : CHECKOUT_FIELD_OK);
    }

    ck_assert_int_eq(error_of(STOCK_REQUEST_NAME, "product_name", "\"\""), CHECKOUT_FIELD_LENGTH);
    ck_assert_int_eq(error_of(STOCK_REQUEST_NAME, "product_name", "17"), CHECKOUT_FIELD_NOT_TEXT);
    ck_assert_int_eq(error_of(STOCK_REQUEST_NAME, "product_name", "null"), CHECKOUT_FIELD_NOT_TEXT);
    ck_assert_int_eq(error_of(STOCK_REQUEST_NAME, "product_name", "\"a\\u0000b\""), CHECKOUT_FIELD_NOT_TEXT);
    ck_assert_int_eq(error_of(STOCK_REQUEST_NAME, "product_name", "\"a\\n\""), CHECKOUT_FIELD_NOT_TEXT);
    ck_assert_int_eq(error_of(STOCK_REQUEST_NAME, "product_name", "\"\\ud800\""), CHECKOUT_FIELD_NOT_TEXT);
    ck_assert_int_eq(error_of(STOCK_REQUEST_NAME, "product_name", "\"\\ud800\\u0041\""), CHECKOUT_FIELD_NOT_TEXT);
    ck_assert_int_eq(error_of(STOCK_REQUEST_NAME, "product_name", "\"\\udf75\""), CHECKOUT_FIELD_NOT_TEXT);
    ck_assert_int_eq(error_of(STOCK_REQUEST_NAME, "product_name", "\"' OR 1=1 --\""), CHECKOUT_FIELD_OK);
    ck_assert_str_eq(request.name, "' OR 1=1 --");
}
END_TEST


START_TEST(test_force_is_true_or_false)
{
    ck_assert_int_eq(error_of(STOCK_REQUEST_FORCE, "force", "true"), CHECKOUT_FIELD_OK);
    ck_assert_int_eq(request.force, 1);
    ck_assert_int_eq(error_of(STOCK_REQUEST_FORCE, "force", "1"), CHECKOUT_FIELD_NOT_BOOLEAN);
    ck_assert_int_eq(error_of(STOCK_REQUEST_FORCE, "force", "\"true\""), CHECKOUT_FIELD_NOT_BOOLEAN);
    ck_assert_int_eq(error_of(STOCK_REQUEST_FORCE, "force", "null"), CHECKOUT_FIELD_NOT_BOOLEAN);
    ck_assert_int_eq(error_of(STOCK_REQUEST_FORCE, "force", "true,\"force\":true"), CHECKOUT_FIELD_DUPLICATE);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("stock_request");
    TCase *tests = tcase_create("stock_request");

    suite_add_tcase(suite, tests);
    tcase_add_test(tests, test_reads_a_request);
    tcase_add_test(tests, test_what_is_missing_is_named);
    tcase_add_test(tests, test_the_two_stocks_are_one_number);
    tcase_add_test(tests, test_price_is_a_decimal_text);
    tcase_add_test(tests, test_name_is_text_of_1_to_255_characters);
    tcase_add_test(tests, test_force_is_true_or_false);

    return suite_run(suite);
}
