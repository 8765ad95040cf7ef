/* What place_order.lua answers: common/order/verdict.c, and the reader's bound: common/text/reply_reader.c. */
#include <stdlib.h>
#include <string.h>

#include "order/verdict.h"
#include "suite.h"
#include "text/reply_reader.h"


/* The reply in these bytes; NULL when the reader refuses them or wants more. To be freed. */
static redisReply *
reply_of(const char *bytes)
{
    redisReader *reader = checkout_reply_reader_create();
    void *reply = NULL;

    ck_assert_ptr_nonnull(reader);
    ck_assert_int_eq(redisReaderFeed(reader, bytes, strlen(bytes)), REDIS_OK);

    if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
        reply = NULL;
    }

    redisReaderFree(reader);
    return reply;
}


static struct checkout_verdict
verdict_of(const char *bytes, size_t orders, size_t i)
{
    struct checkout_verdict verdict;
    redisReply *reply = reply_of(bytes);

    ck_assert_ptr_nonnull(reply);
    ck_assert_int_eq(checkout_verdict_is_group(reply, orders), 1);
    checkout_verdict_read(&verdict, reply, orders, i);
    freeReplyObject(reply);
    return verdict;
}


START_TEST(test_one_verdict_for_all)
{
    const char *group = "*2\r\n:7\r\n$6\r\nqueued\r\n";

    ck_assert_int_eq(verdict_of(group, 5, 0).kind, CHECKOUT_VERDICT_QUEUED);
    ck_assert_int_eq(verdict_of(group, 5, 4).kind, CHECKOUT_VERDICT_QUEUED);
}
END_TEST


START_TEST(test_a_verdict_for_each)
{
    const char *group = "*4\r\n:2\r\n$6\r\nqueued\r\n$12\r\nout_of_stock\r\n$21\r\nsale_not_started 1500\r\n";

    ck_assert_int_eq(verdict_of(group, 3, 0).kind, CHECKOUT_VERDICT_QUEUED);
    ck_assert_int_eq(verdict_of(group, 3, 1).kind, CHECKOUT_VERDICT_OUT_OF_STOCK);
    ck_assert_uint_eq(verdict_of(group, 3, 1).number, 2);
    ck_assert_int_eq(verdict_of(group, 3, 2).kind, CHECKOUT_VERDICT_SALE_NOT_STARTED);
    ck_assert_uint_eq(verdict_of(group, 3, 2).number, 1500);
}
END_TEST


START_TEST(test_a_known_order)
{
    redisReply *group = reply_of("*2\r\n:2\r\n$44\r\nknown failed out_of_stock 17 2 42 1763000000\r\n");
    struct checkout_verdict verdict;

    ck_assert_ptr_nonnull(group);
    checkout_verdict_read(&verdict, group, 1, 0);
    ck_assert_int_eq(verdict.kind, CHECKOUT_VERDICT_KNOWN);
    ck_assert_uint_eq(verdict.status_len, 6);
    ck_assert_int_eq(memcmp(verdict.status, "failed", 6), 0);
    freeReplyObject(group);
}
END_TEST


static const char *const no_verdicts[] = {
    "*2\r\n:1\r\n$7\r\nqueuedX\r\n",
    "*2\r\n:1\r\n$5\r\nqueue\r\n",
    "*2\r\n:1\r\n$0\r\n\r\n",
    "*2\r\n:1\r\n:1\r\n",
    "*2\r\n:1\r\n$-1\r\n",
    "*2\r\n:1\r\n$6\r\nknown \r\n",
    "*2\r\n:1\r\n$9\r\nknown x y\r\n",
    "*2\r\n:1\r\n$16\r\nsale_not_started\r\n",
    "*2\r\n:1\r\n$18\r\nsale_not_started x\r\n",
    "*2\r\n:1\r\n+queued\r\n",
};


START_TEST(test_no_verdict)
{
    ck_assert_int_eq(verdict_of(no_verdicts[_i], 1, 0).kind, CHECKOUT_VERDICT_NONE);
}
END_TEST


static const char *const no_groups[] = {
    "*0\r\n",           "*1\r\n:1\r\n", "*4\r\n:1\r\n:1\r\n:1\r\n:1\r\n", "*2\r\n$1\r\n1\r\n$6\r\nqueued\r\n",
    "$6\r\nqueued\r\n", "*-1\r\n",
};


START_TEST(test_no_group)
{
    redisReply *reply = reply_of(no_groups[_i]);

    ck_assert_ptr_nonnull(reply);
    ck_assert_int_eq(checkout_verdict_is_group(reply, 2), 0);
    freeReplyObject(reply);
}
END_TEST


START_TEST(test_the_reply_as_a_whole)
{
    redisReply *reply = reply_of("*2\r\n:12\r\n*2\r\n:5\r\n$6\r\nqueued\r\n");

    ck_assert_ptr_nonnull(reply);
    ck_assert_int_eq(checkout_verdict_is_reply(reply, 1), 1);
    ck_assert_int_eq(checkout_verdict_is_reply(reply, 2), 0);
    ck_assert_uint_eq(checkout_verdict_queued(reply), 12);
    ck_assert_int_eq(checkout_verdict_is_group(checkout_verdict_group(reply, 0), 1), 1);
    freeReplyObject(reply);
}
END_TEST


START_TEST(test_arrays_are_bounded)
{
    ck_assert_ptr_null(reply_of("*4097\r\n"));
    ck_assert_ptr_null(reply_of("*1000000000\r\n"));
    ck_assert_ptr_null(reply_of("*1\r\n*1000000000\r\n"));
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("verdict");
    TCase *tests = tcase_create("tests");

    tcase_add_test(tests, test_one_verdict_for_all);
    tcase_add_test(tests, test_a_verdict_for_each);
    tcase_add_test(tests, test_a_known_order);
    tcase_add_loop_test(tests, test_no_verdict, 0, sizeof no_verdicts / sizeof *no_verdicts);
    tcase_add_loop_test(tests, test_no_group, 0, sizeof no_groups / sizeof *no_groups);
    tcase_add_test(tests, test_the_reply_as_a_whole);
    tcase_add_test(tests, test_arrays_are_bounded);
    suite_add_tcase(suite, tests);

    return suite_run(suite);
}
