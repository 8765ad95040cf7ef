/* Rows as text of SQL: common/order/order_sql.c and outgoing_event.c. */
#include <string.h>

#include "lifecycle/outgoing_event.h"
#include "order/order_sql.h"
#include "suite.h"

#define ID "017f22e2-79b0-7000-8000-000000000001"

static struct buffer text;


static struct outgoing_event
paid(void)
{
    return (struct outgoing_event) {
        .identifier = ID,
        .type = "order.paid",
        .status = "paid",
        .now = "2026-11-21T06:30:00.123000",
        .user = 42,
        .product = 7,
        .quantity = 2,
        .total = 1980,
        .currency = "TWD",
        .payment_id = "pay_1",
        .failure_code = ""
    };
}


static const char *
values(const struct outgoing_event *event)
{
    buffer_clear(&text);
    outgoing_event_add_values(&text, event);
    ck_assert_int_eq(text.failed, 0);
    return text.data;
}


START_TEST(test_event_with_a_time)
{
    struct outgoing_event event = paid();

    ck_assert_str_eq(values(&event),
                     "'" ID "','order.paid','{\"type\":\"order.paid\","
                     "\"timestamp\":\"2026-11-21T06:30:00.123Z\",\"data\":{\"order_identifier\":\"" ID "\","
                     "\"user_id\":42,\"status\":\"paid\",\"product_id\":7,\"quantity\":2,\"total_price\":\"19.80\","
                     "\"currency\":\"TWD\",\"payment_id\":\"pay_1\",\"failure_code\":null}}'");
}
END_TEST


START_TEST(test_event_at_the_databases_time)
{
    struct outgoing_event event = paid();

    event.now = NULL;
    ck_assert_str_eq(values(&event),
                     "'" ID "','order.paid',CONCAT('{\"type\":\"order.paid\","
                     "\"timestamp\":\"',LEFT(DATE_FORMAT(NOW(3), '%Y-%m-%dT%H:%i:%s.%f'),23),'Z\",\"data\":{"
                     "\"order_identifier\":\"" ID "\",\"user_id\":42,\"status\":\"paid\",\"product_id\":7,"
                     "\"quantity\":2,\"total_price\":\"19.80\",\"currency\":\"TWD\",\"payment_id\":\"pay_1\","
                     "\"failure_code\":null}}')");
}
END_TEST


START_TEST(test_event_escapes_for_json_and_sql)
{
    struct outgoing_event event = paid();

    event.payment_id = "a\"b\\c'd\ne";
    ck_assert_ptr_nonnull(strstr(values(&event), "\"payment_id\":\"a\\\\\"b\\\\\\\\c''d e\""));
}
END_TEST


START_TEST(test_tombstone)
{
    struct tombstone t = {
        .identifier = ID,
        .status = "failed",
        .failure_code = "out_of_stock",
        .user = UINT64_MAX,
        .product = 7,
        .quantity = 2
    };

    buffer_clear(&text);
    order_sql_add_tombstone(&text, &t);
    ck_assert_str_eq(text.data, "('" ID "',18446744073709551615,'failed','out_of_stock',0,NULL,7,2)");

    t.status = "o'k";
    t.failure_code = "";
    buffer_clear(&text);
    order_sql_add_tombstone(&text, &t);
    ck_assert_str_eq(text.data, "('" ID "',18446744073709551615,'o\\'k',NULL,0,NULL,7,2)");

    t.failure_code = "\\";
    buffer_clear(&text);
    order_sql_add_tombstone(&text, &t);
    ck_assert_ptr_nonnull(strstr(text.data, ",'\\\\',0,"));
}
END_TEST


START_TEST(test_item)
{
    buffer_clear(&text);
    order_sql_add_item(&text, ID "more", 7, 2, "9.90");
    ck_assert_str_eq(text.data, "('" ID "',7,2,9.90)");
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("rows");
    TCase *tcase = tcase_create("rows");

    tcase_add_test(tcase, test_event_with_a_time);
    tcase_add_test(tcase, test_event_at_the_databases_time);
    tcase_add_test(tcase, test_event_escapes_for_json_and_sql);
    tcase_add_test(tcase, test_tombstone);
    tcase_add_test(tcase, test_item);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
