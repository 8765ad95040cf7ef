/* What the senders decide: worker/outbound/sender.c, outbox.c, gateway.c. */
#include <stdlib.h>
#include <string.h>

#include "outbound/gateway.h"
#include "outbound/outbox.h"
#include "suite.h"


START_TEST(test_waits_double_up_to_the_most)
{
    for (unsigned tries = 1; tries < 40; tries++) {
        unsigned bound = tries <= 12 ? 1000u << (tries - 1) : 3600000;

        bound = bound < 3600000 ? bound : 3600000;
        ck_assert_uint_eq(sender_wait_ms(tries, 3600000, 0), bound / 2);
        ck_assert_uint_ge(sender_wait_ms(tries, 3600000, 0xdeadbeef), bound / 2);
        ck_assert_uint_le(sender_wait_ms(tries, 3600000, 0xdeadbeef), bound);
    }

    ck_assert_uint_le(sender_wait_ms(0xffffffff, 3600000, 0xffffffff), 3600000);
    ck_assert_uint_ge(sender_wait_ms(0, 3600000, 0), 500);
}
END_TEST


START_TEST(test_an_answer_may_ask_for_a_longer_wait)
{
    struct sender_item item = { .tries = 1 };

    item.request.retry_after = 120;
    ck_assert_uint_eq(sender_item_wait_ms(&item, 3600000), 120000);
    ck_assert_uint_eq(sender_item_wait_ms(&item, 60000), 60000);
    item.request.retry_after = 0;
    ck_assert_uint_le(sender_item_wait_ms(&item, 3600000), 1000);
}
END_TEST


START_TEST(test_outbox_verdicts)
{
    ck_assert_int_eq(outbox_judge(200, 1, 80), OUTBOX_DELIVERED);
    ck_assert_int_eq(outbox_judge(299, 80, 80), OUTBOX_DELIVERED);
    ck_assert_int_eq(outbox_judge(410, 1, 80), OUTBOX_DEAD);
    ck_assert_int_eq(outbox_judge(500, 79, 80), OUTBOX_AGAIN);
    ck_assert_int_eq(outbox_judge(500, 80, 80), OUTBOX_DEAD);
    ck_assert_int_eq(outbox_judge(0, 1, 80), OUTBOX_AGAIN);
    ck_assert_int_eq(outbox_judge(0, 80, 80), OUTBOX_DEAD);
    ck_assert_int_eq(outbox_judge(302, 1, 80), OUTBOX_AGAIN);
    ck_assert_int_eq(outbox_judge(199, 1, 80), OUTBOX_AGAIN);
}
END_TEST


static const struct {
    long status;
    const char *body;
    enum gateway_outcome outcome;
} answers[] = {
    { 200, "{\"status\":\"succeeded\",\"payment_id\":\"pay_1\"}", GATEWAY_SUCCEEDED },
    { 200, " {\"status\":\"succeeded\",\"payment_id\":\"pay_1\",\"more\":[1]} \r\n", GATEWAY_SUCCEEDED },
    { 200, "{\"status\":\"failed\"}", GATEWAY_FAILED },
    { 402, "{\"status\":\"failed\",\"reason\":\"card_declined\"}", GATEWAY_FAILED },
    { 402, "{\"status\":\"succeeded\",\"payment_id\":\"pay_1\"}", GATEWAY_UNKNOWN },
    { 200, "{\"status\":\"succeeded\"}", GATEWAY_UNKNOWN },
    { 200, "{\"status\":\"succeeded\",\"payment_id\":\"\"}", GATEWAY_UNKNOWN },
    { 200, "{\"status\":\"succeeded\",\"payment_id\":7}", GATEWAY_UNKNOWN },
    { 200, "{\"status\":\"succeeded\",\"payment_id\":\"a b\"}", GATEWAY_UNKNOWN },
    { 200, "{\"status\":\"succeeded\",\"payment_id\":\"a\\\"b\"}", GATEWAY_UNKNOWN },
    { 200, "{\"status\":\"succeeded\",\"payment_id\":\"pay_1\",\"amount\":19.8}", GATEWAY_UNKNOWN },
    { 200, "{\"status\":\"pending\",\"payment_id\":\"pay_1\"}", GATEWAY_UNKNOWN },
    { 200, "{\"status\":true}", GATEWAY_UNKNOWN },
    { 200, "{\"status\":\"failed\"", GATEWAY_UNKNOWN },
    { 200, "{\"status\":\"failed\"}{\"status\":\"succeeded\"}", GATEWAY_UNKNOWN },
    { 200, "[\"failed\"]", GATEWAY_UNKNOWN },
    { 200, "", GATEWAY_UNKNOWN },
    { 200, "OK", GATEWAY_UNKNOWN },
    { 201, "{\"status\":\"failed\"}", GATEWAY_UNKNOWN },
    { 400, "{\"status\":\"failed\"}", GATEWAY_UNKNOWN },
    { 500, "{\"status\":\"failed\"}", GATEWAY_UNKNOWN },
    { 0, "{\"status\":\"failed\"}", GATEWAY_UNKNOWN },
};


START_TEST(test_gateway_answers)
{
    struct gateway_answer answer;

    gateway_read(&answer, answers[_i].status, answers[_i].body, strlen(answers[_i].body));
    ck_assert_msg(answer.outcome == answers[_i].outcome, "%ld %s", answers[_i].status, answers[_i].body);
}
END_TEST


START_TEST(test_what_an_answer_names)
{
    static const char succeeded[] = "{\"status\":\"succeeded\",\"payment_id\":\"pay_1\",\"amount\":\"19.80\""
                                    ",\"currency\":\"TWD\"}";
    static const char failed[] = "{\"status\":\"failed\",\"reason\":\"no \\\"money\\\"\\n\"}";
    struct gateway_answer answer;

    gateway_read(&answer, 200, succeeded, strlen(succeeded));
    ck_assert_str_eq(answer.payment_id, "pay_1");
    ck_assert_str_eq(answer.amount, "19.80");
    ck_assert_str_eq(answer.currency, "TWD");

    gateway_read(&answer, 402, failed, strlen(failed));
    ck_assert_str_eq(answer.reason, "no__money__");
    gateway_read(&answer, 200, NULL, 0);
    ck_assert_int_eq(answer.outcome, GATEWAY_UNKNOWN);
}
END_TEST


START_TEST(test_an_unknown_answer_says_why)
{
    static const struct {
        long status;
        const char *body, *why;
    } unknown[] = {
        { 200, "{\"status\":\"succeeded\"}", "payment_id" },
        { 200, "{\"status\":\"succeeded\",\"payment_id\":\"pay_1\",\"amount\":19.8}", "amount" },
        { 200, "{\"status\":\"succeeded\",\"payment_id\":\"pay_1\",\"currency\":7}", "currency" },
        { 402, "{\"status\":\"succeeded\",\"payment_id\":\"pay_1\"}", "status 200" },
        { 200, "{\"status\":\"pending\"}", "neither" },
        { 200, "{}", "neither" },
        { 200, "{\"status\":\"suc", "no JSON" },
        { 200, "", "no JSON" },
    };
    struct gateway_answer answer;

    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        gateway_read(&answer, unknown[i].status, unknown[i].body, strlen(unknown[i].body));
        ck_assert_int_eq(answer.outcome, GATEWAY_UNKNOWN);
        ck_assert_ptr_nonnull(answer.why);
        ck_assert_msg(strstr(answer.why, unknown[i].why) != NULL, "%s: %s", unknown[i].body, answer.why);
    }

    gateway_read(&answer, 500, "", 0);
    ck_assert_ptr_null(answer.why);
}
END_TEST


START_TEST(test_errors_are_ascii)
{
    struct sender_item item = { .request = { .error = "caf\xe9 \"x\" \xff" } };
    char error[HTTP_ERROR_MAX];

    sender_item_error(&item, error, sizeof error);
    ck_assert_str_eq(error, "caf? 'x' ?");
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker sender");
    TCase *tcase = tcase_create("sender");

    tcase_add_test(tcase, test_waits_double_up_to_the_most);
    tcase_add_test(tcase, test_an_answer_may_ask_for_a_longer_wait);
    tcase_add_test(tcase, test_outbox_verdicts);
    tcase_add_loop_test(tcase, test_gateway_answers, 0, sizeof answers / sizeof *answers);
    tcase_add_test(tcase, test_what_an_answer_names);
    tcase_add_test(tcase, test_an_unknown_answer_says_why);
    tcase_add_test(tcase, test_errors_are_ascii);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
