/* The body of an event for the shop, byte by byte: common/lifecycle/outgoing_event.c. */
#include "lifecycle/outgoing_event.h"
#include "suite.h"

#define ID "017f22e2-79b0-7000-8000-000000000001"


static void
expect(const struct outgoing_event *event, const char *values)
{
    struct buffer sql = { 0 };

    outgoing_event_add_values(&sql, event);
    buffer_add(&sql, "", 1);
    ck_assert_int_eq(sql.failed, 0);
    ck_assert_str_eq(sql.data, values);
    buffer_free(&sql);
}


START_TEST(test_a_paid_order)
{
    expect(
        &(struct outgoing_event) {
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
            .failure_code = "" },
        "'" ID "','order.paid','{\"type\":\"order.paid\",\"timestamp\":\"2026-11-21T06:30:00.123Z\",\"data\":{"
        "\"order_identifier\":\"" ID "\",\"user_id\":42,\"status\":\"paid\",\"product_id\":7,\"quantity\":2,"
        "\"total_price\":\"19.80\",\"currency\":\"TWD\",\"payment_id\":\"pay_1\",\"failure_code\":null}}'");
}
END_TEST


START_TEST(test_the_time_of_the_insert)
{
    expect(
        &(struct outgoing_event) {
            .identifier = ID " and more",
            .type = "order.failed",
            .status = "failed",
            .user = UINT64_MAX,
            .product = UINT64_MAX,
            .quantity = 1,
            .total = 5,
            .currency = "",
            .payment_id = "",
            .failure_code = "out_of_stock" },
        "'" ID "','order.failed',CONCAT('{\"type\":\"order.failed\",\"timestamp\":\"',LEFT(" OUTGOING_EVENT_NOW
        ",23),'Z\",\"data\":{\"order_identifier\":\"" ID "\",\"user_id\":18446744073709551615,"
        "\"status\":\"failed\",\"product_id\":18446744073709551615,\"quantity\":1,\"total_price\":\"0.05\","
        "\"currency\":null,\"payment_id\":null,\"failure_code\":\"out_of_stock\"}}')");
}
END_TEST


/* MySQL's literal takes one backslash of each pair, then JSON has its own: \" and \\. */
START_TEST(test_what_ends_a_string_is_escaped)
{
    expect(
        &(struct outgoing_event) {
            .identifier = ID,
            .type = "order.paid",
            .status = "paid",
            .now = "2026-11-21T06:30:00.123",
            .user = 1,
            .product = 1,
            .quantity = 1,
            .total = 100,
            .currency = "TWD",
            .payment_id = "a\"b\\c'd\ne\x01\xc3\xa9",
            .failure_code = "'" },
        "'" ID "','order.paid','{\"type\":\"order.paid\",\"timestamp\":\"2026-11-21T06:30:00.123Z\",\"data\":{"
        "\"order_identifier\":\"" ID "\",\"user_id\":1,\"status\":\"paid\",\"product_id\":1,\"quantity\":1,"
        "\"total_price\":\"1.00\",\"currency\":\"TWD\",\"payment_id\":\"a\\\\\"b\\\\\\\\c''d e \xc3\xa9\","
        "\"failure_code\":\"''\"}}'");
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("outgoing event");
    TCase *tcase = tcase_create("outgoing event");

    tcase_add_test(tcase, test_a_paid_order);
    tcase_add_test(tcase, test_the_time_of_the_insert);
    tcase_add_test(tcase, test_what_ends_a_string_is_escaped);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
