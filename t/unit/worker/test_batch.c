/* A batch is filled from entries: worker/intake/batch.c. */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "intake/batch.h"
#include "intake/decide.h"
#include "queue_entries.h"
#include "suite.h"


START_TEST(test_entry_is_read)
{
    struct batch b = { 0 };
    const char *why = NULL;
    redisReply *e = make_job("5-1", "17", "5", "2", ID_A " queued - 17 2 42" MS " " ID_B " queued - 17 3 43" MS);

    ck_assert_int_eq(batch_add(&b, e, &why), 0);
    batch_complete(&b);
    ck_assert_uint_eq(b.entry_count, 1);
    ck_assert_uint_eq(b.order_count, 2);
    ck_assert_uint_eq(b.product_count, 1);
    ck_assert_str_eq(b.entries[0].id, "5-1");
    ck_assert_uint_eq(b.entries[0].units, 5);
    ck_assert_int_eq(memcmp(b.orders[1].identifier, ID_B, 36), 0);
    ck_assert_uint_eq(b.orders[1].asked.quantity, 3);
    ck_assert_uint_eq(b.orders[1].asked.user_id, 43);
    ck_assert_uint_eq(b.orders[0].accepted_ms, 1763700000123);
    ck_assert_uint_eq(b.orders[0].record_len, strlen("queued - 17 2 42" MS));
    ck_assert_int_eq(b.orders[1].repeated, 0);

    batch_free(&b);
    freeReplyObject(e);
}
END_TEST


/* A batch is as it was where an entry does not read, also if the error is in its last order. */
START_TEST(test_an_entry_that_does_not_read)
{
    struct batch b = { 0 };
    const char *why = NULL;
    redisReply *good = make_job("5-1", "17", "2", "1", ID_C " queued - 17 2 42" MS);
    redisReply *bad = make_job("5-2", "17", "4", "2", ID_A " queued - 17 2 42" MS " " ID_B " queued - 18 2 42" MS);
    redisReply *next = make_job("5-3", "18", "1", "1", ID_B " queued - 18 1 42" MS);

    ck_assert_int_eq(batch_add(&b, good, &why), 0);
    ck_assert_int_eq(batch_add(&b, bad, &why), -1);
    ck_assert_ptr_nonnull(why);
    ck_assert_uint_eq(b.entry_count, 1);
    ck_assert_uint_eq(b.order_count, 1);
    ck_assert_int_eq(batch_add(&b, next, &why), 0);
    ck_assert_uint_eq(b.entries[1].first_order, 1);
    ck_assert_uint_eq(b.orders[1].entry, 1);

    batch_free(&b);
    freeReplyObject(good);
    freeReplyObject(bad);
    freeReplyObject(next);
}
END_TEST


/* Products ascend and are distinct; entries of one day that stand together share a bucket. */
START_TEST(test_products_and_buckets)
{
    struct batch b = { 0 };
    const char *why = NULL;
    static const struct {
        const char *id, *product, *day;
        size_t bucket, place;
    } entries[] = {
        { "5-1", "17", "2026-11-21", 1, 1 }, { "5-2", "9", "2026-11-21", 1, 0 }, { "5-3", "17", "2026-11-22", 2, 1 },
        { "5-4", "30", "2026-11-22", 2, 2 }, { "5-5", "9", "2026-11-21", 3, 0 },
    };
    redisReply *replies[5];

    for (size_t i = 0; i < 5; i++) {
        char order[128], identifier[37];

        snprintf(identifier, sizeof identifier, "01a1fc4d-a3c0-7000-a938-43790cd90f%02zx", i);
        snprintf(order, sizeof order, "%s queued - %s 1 42" MS, identifier, entries[i].product);
        replies[i] = make_entry(entries[i].id, "nonce", "n", "product", entries[i].product, "units", "1", "count", "1",
                                "day", entries[i].day, "orders", order, NULL);
        ck_assert_int_eq(batch_add(&b, replies[i], &why), 0);
    }

    batch_complete(&b);
    ck_assert_uint_eq(b.product_count, 3);
    ck_assert_uint_eq(b.products[0].id, 9);
    ck_assert_uint_eq(b.products[2].id, 30);

    for (size_t i = 0; i < 5; i++) {
        ck_assert_uint_eq(b.entries[i].bucket, entries[i].bucket);
        ck_assert_uint_eq(b.orders[i].product, entries[i].place);
        freeReplyObject(replies[i]);
    }

    batch_free(&b);
}
END_TEST


/* Cleared and filled anew, a batch holds nothing of what was in it. */
START_TEST(test_a_batch_is_used_again)
{
    struct batch b = { 0 };
    const char *why = NULL;
    redisReply *one = make_job("5-1", "17", "2", "1", ID_A " queued - 17 2 42" MS);

    for (int round = 0; round < 2; round++) {
        batch_clear(&b);
        batch_complete(&b);
        ck_assert_uint_eq(b.product_count, 0);
        ck_assert_int_eq(batch_add(&b, one, &why), 0);
        batch_complete(&b);
        ck_assert_uint_eq(b.order_count, 1);
        ck_assert_int_eq(b.orders[0].verdict, VERDICT_NONE);
        ck_assert_int_eq(b.orders[0].repeated, 0);
        b.orders[0].verdict = VERDICT_SOLD;
    }

    batch_free(&b);
    freeReplyObject(one);
}
END_TEST


START_TEST(test_law2_the_same_order_twice_in_a_batch)
{
    struct batch b = { 0 };
    const char *why = NULL;
    redisReply *one = make_job("5-1", "17", "2", "1", ID_A " queued - 17 2 42" MS);
    redisReply *two = make_job("5-2", "17", "2", "1", ID_A " queued - 17 2 42" MS);
    size_t leaders[2] = { 0, 0 };
    struct stored_verdict stored[2] = { { 0 }, { 0 } };

    ck_assert_int_eq(batch_add(&b, one, &why), 0);
    ck_assert_int_eq(batch_add(&b, two, &why), 0);
    batch_complete(&b);
    ck_assert_int_eq(b.orders[0].repeated, 0);
    ck_assert_int_eq(b.orders[1].repeated, 1);

    b.products[0] = (struct product_row) { .id = 17, .found = 1, .stock = 10 };
    decide(b.orders, leaders, stored, 2, b.products);
    ck_assert_int_eq(b.orders[0].verdict, VERDICT_SOLD);
    ck_assert_int_eq(b.orders[1].verdict, VERDICT_EXISTS);
    ck_assert_int_eq(batch_order_gives_back(&b.orders[0]), GIVES_NOTHING_BACK);
    ck_assert_int_eq(batch_order_gives_back(&b.orders[1]), GIVES_BACK);
    ck_assert_int_eq(b.products[0].stock, 8);

    batch_free(&b);
    freeReplyObject(one);
    freeReplyObject(two);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker batch");
    TCase *tcase = tcase_create("batch");

    tcase_add_test(tcase, test_entry_is_read);
    tcase_add_test(tcase, test_an_entry_that_does_not_read);
    tcase_add_test(tcase, test_products_and_buckets);
    tcase_add_test(tcase, test_a_batch_is_used_again);
    tcase_add_test(tcase, test_law2_the_same_order_twice_in_a_batch);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
