/* The request and the record of an order: common/order/order.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "order/order.h"
#include "suite.h"
#include "text/number.h"

#define MAX_QUANTITY 1000


static struct checkout_order order;
static struct checkout_order_errors errors;


static int
parse(const char *body)
{
    return checkout_order_parse(&order, body, strlen(body), MAX_QUANTITY, 1, &errors);
}


/* The error of the quantity when the rest of the order is right. */
static enum checkout_field_error
quantity_error(const char *quantity)
{
    char body[256];

    snprintf(body, sizeof body, "{\"product_id\":1,\"user_id\":2,\"quantity\":%s}", quantity);

    if (parse(body) == 0) {
        return CHECKOUT_FIELD_OK;
    }

    ck_assert_msg(errors.syntax == NULL, "%s: %s", body, errors.syntax);
    ck_assert_int_eq(errors.product_id, CHECKOUT_FIELD_OK);
    ck_assert_int_eq(errors.user_id, CHECKOUT_FIELD_OK);
    return errors.quantity;
}


START_TEST(test_reads_an_order)
{
    ck_assert_int_eq(parse(" {\"product_id\": 17,\r\n\t\"quantity\" :2, \"user_id\":18446744073709551615} "), 0);
    ck_assert_uint_eq(order.product_id, 17);
    ck_assert_uint_eq(order.quantity, 2);
    ck_assert_uint_eq(order.user_id, UINT64_MAX);
}
END_TEST


START_TEST(test_G2_quantity)
{
    ck_assert_int_eq(quantity_error("1"), CHECKOUT_FIELD_OK);
    ck_assert_int_eq(quantity_error("1000"), CHECKOUT_FIELD_OK);
    ck_assert_int_eq(quantity_error("1001"), CHECKOUT_FIELD_TOO_LARGE);
    ck_assert_int_eq(quantity_error("1000000000"), CHECKOUT_FIELD_TOO_LARGE);
    ck_assert_int_eq(quantity_error("9223372036854775807"), CHECKOUT_FIELD_TOO_LARGE);
    ck_assert_int_eq(quantity_error("18446744073709551617"), CHECKOUT_FIELD_TOO_LARGE);
    ck_assert_int_eq(quantity_error("10000000000000000000000000000000000000"), CHECKOUT_FIELD_TOO_LARGE);
    ck_assert_int_eq(quantity_error("0"), CHECKOUT_FIELD_TOO_SMALL);
    ck_assert_int_eq(quantity_error("-0"), CHECKOUT_FIELD_TOO_SMALL);
    ck_assert_int_eq(quantity_error("-1"), CHECKOUT_FIELD_TOO_SMALL);
    ck_assert_int_eq(quantity_error("-99999999999999999999999"), CHECKOUT_FIELD_TOO_SMALL);
    ck_assert_int_eq(quantity_error("1.5"), CHECKOUT_FIELD_NOT_INTEGER);
    ck_assert_int_eq(quantity_error("1.0"), CHECKOUT_FIELD_NOT_INTEGER);
    ck_assert_int_eq(quantity_error("1e0"), CHECKOUT_FIELD_NOT_INTEGER);
    ck_assert_int_eq(quantity_error("\"1\""), CHECKOUT_FIELD_NOT_INTEGER);
    ck_assert_int_eq(quantity_error("true"), CHECKOUT_FIELD_NOT_INTEGER);
    ck_assert_int_eq(quantity_error("null"), CHECKOUT_FIELD_NOT_INTEGER);
    ck_assert_int_eq(quantity_error("[1]"), CHECKOUT_FIELD_NOT_INTEGER);
    ck_assert_int_eq(quantity_error("{\"quantity\":1}"), CHECKOUT_FIELD_NOT_INTEGER);
}
END_TEST


START_TEST(test_G2_left_out)
{
    ck_assert_int_eq(parse("{}"), -1);
    ck_assert_ptr_null(errors.syntax);
    ck_assert_int_eq(errors.product_id, CHECKOUT_FIELD_MISSING);
    ck_assert_int_eq(errors.quantity, CHECKOUT_FIELD_MISSING);
    ck_assert_int_eq(errors.user_id, CHECKOUT_FIELD_MISSING);
}
END_TEST


START_TEST(test_G16_large_numbers_are_exact)
{
    ck_assert_int_eq(parse("{\"product_id\":9007199254740993,\"quantity\":1,\"user_id\":9007199254740993}"), 0);
    ck_assert_uint_eq(order.product_id, 9007199254740993u);
    ck_assert_uint_eq(order.user_id, 9007199254740993u);

    ck_assert_int_eq(parse("{\"product_id\":9223372036854775808,\"quantity\":1,\"user_id\":1}"), -1);
    ck_assert_int_eq(errors.product_id, CHECKOUT_FIELD_TOO_LARGE);
    ck_assert_int_eq(parse("{\"product_id\":1,\"quantity\":1,\"user_id\":18446744073709551616}"), -1);
    ck_assert_int_eq(errors.user_id, CHECKOUT_FIELD_TOO_LARGE);
}
END_TEST


START_TEST(test_G16_duplicate_member)
{
    ck_assert_int_eq(parse("{\"product_id\":1,\"quantity\":1,\"user_id\":1,\"quantity\":2}"), -1);
    ck_assert_int_eq(errors.quantity, CHECKOUT_FIELD_DUPLICATE);
    ck_assert_int_eq(parse("{\"product_id\":1,\"quantity\":1,\"user_id\":1,\"quant\\u0069ty\":2}"), -1);
    ck_assert_int_eq(errors.quantity, CHECKOUT_FIELD_DUPLICATE);
    ck_assert_int_eq(parse("{\"product_id\":1,\"quantity\":1,\"user_id\":1,\"note\":1,\"note\":2}"), 0);
}
END_TEST


START_TEST(test_G12_user_of_the_body_is_passed_over)
{
    const char *body = "{\"product_id\":1,\"quantity\":1,\"user_id\":\"somebody\"}";

    ck_assert_int_eq(checkout_order_parse(&order, body, strlen(body), MAX_QUANTITY, 0, &errors), 0);
}
END_TEST


static const char *not_json[] = {
    "",
    " ",
    "{",
    "}",
    "[]",
    "1",
    "null",
    "\"x\"",
    "{\"product_id\"",
    "{\"product_id\":",
    "{\"product_id\":1",
    "{\"product_id\":1,",
    "{\"product_id\":1,}",
    "{,}",
    "{1:2}",
    "{\"a\":01}",
    "{\"a\":+1}",
    "{\"a\":.5}",
    "{\"a\":1.}",
    "{\"a\":1e}",
    "{\"a\":-}",
    "{\"a\":tru}",
    "{\"a\":nul}",
    "{\"a\":NaN}",
    "{\"a\":'x'}",
    "{\"a\":\"x}",
    "{\"a\":\"\\x\"}",
    "{\"a\":\"\\u12g4\"}",
    "{\"a\":\"\\u12",
    "{\"a\":\"\n\"}",
    "{\"a\":\"\xff\"}",
    "{\"a\":\"\xc0\xaf\"}",
    "{\"a\":\"\xed\xa0\x80\"}",
    "{\"a\":\"\xf4\x90\x80\x80\"}",
    "{\"a\":\"\xe4\xb8\"}",
    "{\"a\":1}x",
    "{\"a\":1}{\"a\":1}",
    "{\"a\" 1}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":[1 2]}",
    "{\"a\":[1,]}",
    "{\"a\":[}",
    "\xef\xbb\xbf{}",
    "product_id=1&quantity=1",
    "/* */{}",
};


START_TEST(test_G16_not_json)
{
    ck_assert_int_eq(parse(not_json[_i]), -1);
    ck_assert_msg(errors.syntax != NULL, "taken for JSON: %s", not_json[_i]);
    ck_assert_uint_le(errors.offset, strlen(not_json[_i]));
}
END_TEST


START_TEST(test_G16_nul_byte)
{
    static const char in_text[] = "{\"product_id\":1,\"quantity\":1,\"user_id\":1,\"a\":\"\0\"}";
    static const char behind[] = "{\"product_id\":1,\"quantity\":1,\"user_id\":1}\0";
    static const char escape[] = "{\"product_id\":1,\"quantity\":1,\"user_id\":1,\"a\":\"\\\0\"}";

    ck_assert_int_eq(checkout_order_parse(&order, in_text, sizeof in_text - 1, MAX_QUANTITY, 1, &errors), -1);
    ck_assert_ptr_nonnull(errors.syntax);
    ck_assert_int_eq(checkout_order_parse(&order, behind, sizeof behind - 1, MAX_QUANTITY, 1, &errors), -1);
    ck_assert_ptr_nonnull(errors.syntax);
    ck_assert_int_eq(checkout_order_parse(&order, escape, sizeof escape - 1, MAX_QUANTITY, 1, &errors), -1);
    ck_assert_ptr_nonnull(errors.syntax);
}
END_TEST


START_TEST(test_G16_depth_is_bounded)
{
    char body[4096], *p = body;

    p += sprintf(p, "{\"product_id\":1,\"quantity\":1,\"user_id\":1,\"a\":");
    memset(p, '[', CHECKOUT_JSON_DEPTH_MAX - 1);
    memset(p + CHECKOUT_JSON_DEPTH_MAX - 1, ']', CHECKOUT_JSON_DEPTH_MAX - 1);
    strcpy(p + 2 * (CHECKOUT_JSON_DEPTH_MAX - 1), "}");
    ck_assert_int_eq(parse(body), 0);

    memset(p, '[', CHECKOUT_JSON_DEPTH_MAX);
    memset(p + CHECKOUT_JSON_DEPTH_MAX, ']', CHECKOUT_JSON_DEPTH_MAX);
    strcpy(p + 2 * CHECKOUT_JSON_DEPTH_MAX, "}");
    ck_assert_int_eq(parse(body), -1);
    ck_assert_str_eq(errors.syntax, "nested too deeply");

    memset(body, '[', sizeof body - 1);
    memcpy(body, "{\"a\":", 5);
    body[sizeof body - 1] = '\0';
    ck_assert_int_eq(parse(body), -1);
}
END_TEST


/* Every body that is cut short fails: nothing is read past its end (run under AddressSanitizer). */
START_TEST(test_G16_every_prefix)
{
    static const char body[] =
        "{\"product_id\":12,\"quantity\":3,\"user_id\":4,\"n\":{\"a\":[1.5e3,\"\\u00e9\xe8\xa8\x82\",true,null]}}";

    for (size_t n = 0; n < sizeof body - 1; n++) {
        char *copy = malloc(n + 1);

        memcpy(copy, body, n);
        ck_assert_msg(checkout_order_parse(&order, copy, n, MAX_QUANTITY, 1, &errors) == -1, "taken whole at %zu", n);
        ck_assert_ptr_nonnull(errors.syntax);
        free(copy);
    }

    ck_assert_int_eq(checkout_order_parse(&order, body, sizeof body - 1, MAX_QUANTITY, 1, &errors), 0);
}
END_TEST


START_TEST(test_uint)
{
    uint64_t value;
    char text[20];

    ck_assert_int_eq(number_parse(&value, "18446744073709551615", 20, UINT64_MAX), 0);
    ck_assert_uint_eq(value, UINT64_MAX);
    ck_assert_int_eq(number_parse(&value, "18446744073709551616", 20, UINT64_MAX), -1);
    ck_assert_int_eq(number_parse(&value, "5", 1, 4), -1);
    ck_assert_int_eq(number_parse(&value, "0", 1, 4), 0);
    ck_assert_int_eq(number_parse(&value, "", 0, 4), -1);
    ck_assert_int_eq(number_parse(&value, "01", 2, 4), -1);
    ck_assert_int_eq(number_parse(&value, "+1", 2, 4), -1);
    ck_assert_int_eq(number_parse(&value, "1 ", 2, 99), -1);
    ck_assert_int_eq((int) (number_write(text, UINT64_MAX) - text), 20);
    ck_assert_mem_eq(text, "18446744073709551615", 20);
    ck_assert_int_eq((int) (number_write(text, 0) - text), 1);
    ck_assert_int_eq(text[0], '0');
}
END_TEST


START_TEST(test_record_round_trip)
{
    struct checkout_order asked = { INT64_MAX, UINT64_MAX, UINT32_MAX };
    struct checkout_record record;
    char text[CHECKOUT_RECORD_MAX];
    size_t n = checkout_record_write(text, "failed", "out_of_stock", &asked, 1763700000123);

    ck_assert_mem_eq(text, "failed out_of_stock ", 20);
    ck_assert_int_eq(checkout_record_parse(&record, text, n), 0);
    ck_assert_uint_eq(record.status_len, 6);
    ck_assert_uint_eq(record.reason_len, 12);
    ck_assert_uint_eq(record.order.product_id, INT64_MAX);
    ck_assert_uint_eq(record.order.quantity, UINT32_MAX);
    ck_assert_uint_eq(record.order.user_id, UINT64_MAX);
    ck_assert_uint_eq(record.accepted_ms, 1763700000123);

    n = checkout_record_write(text, "queued", "", &asked, 0);
    ck_assert_mem_eq(text, "queued - ", 9);
    ck_assert_int_eq(checkout_record_parse(&record, text, n), 0);
    ck_assert_uint_eq(record.reason_len, 0);
}
END_TEST


static const char *no_record[] = {
    "",
    "queued",
    "queued -",
    "queued - 1 2 3",
    "queued - 1 2 3 4 5",
    "queued - 1 2 3 4 ",
    "queued  1 2 3 4",
    " - 1 2 3 4",
    "queued - 1 x 3 4",
    "queued - 1 4294967296 3 4",
    "queued - -1 2 3 4",
    "queued - 1 2 3 99999999999999999999",
};


START_TEST(test_no_record)
{
    struct checkout_record record;

    ck_assert_int_eq(checkout_record_parse(&record, no_record[_i], strlen(no_record[_i])), -1);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("order");
    TCase *request = tcase_create("request"), *record = tcase_create("record");

    tcase_add_test(request, test_reads_an_order);
    tcase_add_test(request, test_G2_quantity);
    tcase_add_test(request, test_G2_left_out);
    tcase_add_test(request, test_G16_large_numbers_are_exact);
    tcase_add_test(request, test_G16_duplicate_member);
    tcase_add_test(request, test_G12_user_of_the_body_is_passed_over);
    tcase_add_loop_test(request, test_G16_not_json, 0, sizeof not_json / sizeof *not_json);
    tcase_add_test(request, test_G16_nul_byte);
    tcase_add_test(request, test_G16_depth_is_bounded);
    tcase_add_test(request, test_G16_every_prefix);
    tcase_add_test(record, test_uint);
    tcase_add_test(record, test_record_round_trip);
    tcase_add_loop_test(record, test_no_record, 0, sizeof no_record / sizeof *no_record);
    suite_add_tcase(suite, request);
    suite_add_tcase(suite, record);

    return suite_run(suite);
}
