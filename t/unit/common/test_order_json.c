/* An order's record as JSON: common/order/order_json.c. What MySQL's rows become is in t/ngx_module/order_read.t. */
#include <stdlib.h>
#include <string.h>

#include "order/order_json.h"
#include "suite.h"

#define IDENTIFIER "017f22e2-79b0-7000-8000-000000000001"

static struct buffer text;


static const char *
json_of(const char *words)
{
    struct checkout_record record;

    ck_assert_int_eq(checkout_record_parse(&record, words, strlen(words)), 0);
    buffer_clear(&text);
    order_json_record(&text, IDENTIFIER, &record);
    ck_assert_int_eq(text.failed, 0);
    return text.data;
}


START_TEST(test_all_members)
{
    ck_assert_str_eq(
        json_of("queued - 17 2 18446744073709551615 1763700000123"),
        "{\"data\":{\"order_identifier\":\"" IDENTIFIER "\",\"status\":\"queued\",\"user_id\":18446744073709551615,"
        "\"items\":[{\"product_id\":17,\"quantity\":2,\"unit_price\":null}],\"total_price\":null,\"pay_by\":null,"
        "\"failure_code\":null,\"payment_id\":null,\"paid_at\":null,\"created_at\":null,\"updated_at\":null}}");
}
END_TEST


START_TEST(test_W14_failure)
{
    ck_assert_ptr_nonnull(
        strstr(json_of("failed out_of_stock 17 2 42 1763700000123"), "\"failure_code\":\"out_of_stock\""));
}
END_TEST


START_TEST(test_status_stands_where_it_is_said)
{
    const char *json = json_of("pending_payment - 17 2 42 1763700000123");

    ck_assert_int_eq(strncmp(json + ORDER_JSON_STATUS_AT, "pending_payment\"", 16), 0);
}
END_TEST


START_TEST(test_a_broken_record_stays_json)
{
    ck_assert_ptr_nonnull(strstr(json_of("a\"b c\\d 17 2 42 1763700000123"), "\"status\":\"a\\\"b\""));
    ck_assert_ptr_nonnull(strstr(text.data, "\"failure_code\":\"c\\\\d\""));
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("order_json");
    TCase *tests = tcase_create("record");

    tcase_add_test(tests, test_all_members);
    tcase_add_test(tests, test_W14_failure);
    tcase_add_test(tests, test_status_stands_where_it_is_said);
    tcase_add_test(tests, test_a_broken_record_stays_json);
    suite_add_tcase(suite, tests);

    int status = suite_run(suite);

    buffer_free(&text);
    return status;
}
