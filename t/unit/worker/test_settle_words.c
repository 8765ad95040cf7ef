/* The words of the settle call: worker/intake/settle_words.c. */
#include <stdlib.h>
#include <string.h>

#include "intake/settle_words.h"
#include "queue_entries.h"
#include "suite.h"
#include "text/buffer.h"


/* The words of a call behind the name and the hash of the script, with single spaces between them. */
static char *
join_words(const struct redis_args *args)
{
    struct buffer text = { 0 };

    for (size_t i = 2; i < args->count; i++) {
        buffer_text(&text, i > 2 ? "|" : "");
        buffer_add(&text, args->text.data + args->ends[i - 1], args->ends[i] - args->ends[i - 1]);
    }

    return text.data;
}


START_TEST(test_settle_call)
{
    struct batch b = { 0 };
    struct redis_args args = { 0 };
    const char *why = NULL;
    redisReply *one = make_job("5-1", "17", "3", "2", ID_A " queued - 17 2 42" MS " " ID_B " queued - 17 1 43" MS);
    redisReply *two = make_job("6-0", "9", "4", "1", ID_C " queued - 9 4 44" MS);

    ck_assert_int_eq(batch_add(&b, one, &why), 0);
    ck_assert_int_eq(batch_add(&b, two, &why), 0);
    batch_complete(&b);

    b.products[1] = (struct product_row) { .id = 17, .found = 1, .stock = 5, .version = 8, .terms.state = "open" };
    b.orders[0].verdict = VERDICT_SOLD;
    strcpy(b.orders[0].status, "pending_payment");
    b.orders[1].verdict = VERDICT_DEAD;
    strcpy(b.orders[1].reason, "rejected");
    b.orders[2].verdict = VERDICT_FAILED;
    strcpy(b.orders[2].status, "failed");
    strcpy(b.orders[2].reason, "product_gone");
    settle_words(&args, &b, 7);

    char *words = join_words(&args);

    ck_assert_str_eq(
        words,
        "10|order-processing-queue|gate|dead-letter-queue|orders:2026-11-21"
        "|product:9:stock|product:9:register|product:9:buyers"
        "|product:17:stock|product:17:register|product:17:buyers"
        "|checkout-worker|1|2|7"
        "|-|0|0|0|0|0|open"
        "|8|5|0|0|0|0|open"
        "|5-1|00112233aabbccdd|2|1|2|2|1|0|1"
        "|" ID_A "|pending_payment - 17 2 42" MS "|1|rejected|" ID_B " queued - 17 1 43" MS
        "|6-0|00112233aabbccdd|1|1|4|1|1|1|0"
        "|" ID_C "|failed product_gone 9 4 44" MS "|44|4|" ID_C);

    free(words);
    args_free(&args);
    batch_free(&b);
    freeReplyObject(one);
    freeReplyObject(two);
}
END_TEST


/* A record names the verdict that stands; units of a conflict go back whatever the record says. */
START_TEST(test_a_conflict)
{
    struct batch b = { 0 };
    struct redis_args args = { 0 };
    const char *why = NULL;
    redisReply *one = make_job("5-1", "17", "2", "1", ID_A " queued - 17 2 42" MS);

    ck_assert_int_eq(batch_add(&b, one, &why), 0);
    batch_complete(&b);
    b.products[0] = (struct product_row) { .id = 17, .found = 1, .stock = 5, .version = 8, .terms.state = "open" };
    b.orders[0].verdict = VERDICT_CONFLICT;
    b.orders[0].existing = (struct checkout_order) { .product_id = 17, .quantity = 1, .user_id = 9 };
    b.orders[0].existing_ms = 1763700000000;
    strcpy(b.orders[0].status, "paid");

    for (int round = 0; round < 2; round++) {
        settle_words(&args, &b, 7);

        char *words = join_words(&args);

        ck_assert_str_eq(words, "7|order-processing-queue|gate|dead-letter-queue|orders:2026-11-21"
                                "|product:17:stock|product:17:register|product:17:buyers|checkout-worker|1|1|7"
                                "|8|5|0|0|0|0|open"
                                "|5-1|00112233aabbccdd|1|1|2|1|1|1|0"
                                "|" ID_A "|paid - 17 1 9 1763700000000"
                                "|42|2|-");
        free(words);
    }

    args_free(&args);
    batch_free(&b);
    freeReplyObject(one);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker settle words");
    TCase *tcase = tcase_create("settle words");

    tcase_add_test(tcase, test_settle_call);
    tcase_add_test(tcase, test_a_conflict);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
