/* Entries of the queue, the decision and the settle call: worker/intake/batch.c, decide.c, settle.c, identifier_table.c. */
#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "intake/batch.h"
#include "text/buffer.h"
#include "intake/decide.h"
#include "base/identifier_table.h"
#include "intake/settle.h"
#include "suite.h"

#define ID_A "01a1fc4d-a3c0-7000-a938-43790cd90f5a"
#define ID_B "01a1fc4d-a3c0-7000-a938-43790cd90f5b"
#define ID_C "01a1fc4d-a3c0-7000-a938-43790cd90f5c"

#define MS   " 1763700000123"


/* An entry as Redis sends it, read by hiredis from the wire form. Fields end with NULL. */
static redisReply *
make_entry(const char *id, ...)
{
    redisReader *reader = redisReaderCreate();
    char wire[4096], fields[4096] = "";
    void *reply = NULL;
    unsigned words = 0;
    va_list list;

    va_start(list, id);

    for (const char *word; (word = va_arg(list, const char *)) != NULL; words++) {
        snprintf(fields + strlen(fields), sizeof fields - strlen(fields), "$%zu\r\n%s\r\n", strlen(word), word);
    }

    va_end(list);
    snprintf(wire, sizeof wire, "*2\r\n$%zu\r\n%s\r\n*%u\r\n%s", strlen(id), id, words, fields);
    redisReaderFeed(reader, wire, strlen(wire));
    ck_assert_int_eq(redisReaderGetReply(reader, &reply), REDIS_OK);
    ck_assert_ptr_nonnull(reply);
    redisReaderFree(reader);
    return reply;
}


static redisReply *
make_job(const char *id, const char *product, const char *units, const char *count, const char *orders)
{
    return make_entry(id, "nonce", "00112233aabbccdd", "product", product, "units", units, "count", count,
                      "day", "2026-11-21", "orders", orders, NULL);
}


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


static const struct {
    const char *product, *units, *count, *orders;
} no_jobs[] = {
    { "0x1", "2", "1", ID_A " queued - 17 2 42" MS },
    { "17", "", "1", ID_A " queued - 17 2 42" MS },
    { "17", "2", "0", "" },
    { "17", "2", "1025", ID_A " queued - 17 2 42" MS },
    { "17", "2", "18446744073709551616", ID_A " queued - 17 2 42" MS },
    { "17", "3", "1", ID_A " queued - 17 2 42" MS },                                  /* units do not add up */
    { "18", "2", "1", ID_A " queued - 17 2 42" MS },                                  /* another product */
    { "17", "4", "2", ID_A " queued - 17 4 42" MS },                                  /* an order missing */
    { "17", "2", "1", ID_A " queued - 17 2 42" MS " " ID_B " queued - 17 2 42" MS },  /* one too many */
    { "17", "2", "1", ID_A " queued - 17 2 42" MS " " },
    { "17", "2", "1", ID_A "  queued - 17 2 42" MS },
    { "17", "2", "1", ID_A " queued - 17 2 42" },
    { "17", "0", "1", ID_A " queued - 17 0 42" MS },
    { "17", "2", "1", "01a1fc4d-a3c0-4000-a938-43790cd90f5a queued - 17 2 42" MS },
    { "17", "2", "1", "queued - 17 2 42" MS },
    { "17", "2", "1", "" },
};


START_TEST(test_no_job)
{
    struct batch b = { 0 };
    const char *why = NULL;
    redisReply *good = make_job("5-1", "17", "2", "1", ID_C " queued - 17 2 42" MS);
    redisReply *bad = make_job("5-2", no_jobs[_i].product, no_jobs[_i].units, no_jobs[_i].count, no_jobs[_i].orders);

    ck_assert_int_eq(batch_add(&b, good, &why), 0);
    ck_assert_int_eq(batch_add(&b, bad, &why), -1);
    ck_assert_ptr_nonnull(why);
    ck_assert_uint_eq(b.entry_count, 1);
    ck_assert_uint_eq(b.order_count, 1);

    batch_free(&b);
    freeReplyObject(good);
    freeReplyObject(bad);
}
END_TEST


START_TEST(test_fields_missing)
{
    struct batch b = { 0 };
    const char *why = NULL;
    redisReply *empty = make_entry("5-1", NULL), *day = make_entry("5-1", "nonce", "1", "product", "17", "units", "1",
        "count", "1", "day", "2026-1-211", "orders", ID_A " queued - 17 1 42" MS, NULL);

    ck_assert_int_eq(batch_add(&b, empty, &why), -1);
    ck_assert_int_eq(batch_add(&b, day, &why), -1);
    ck_assert_uint_eq(b.order_count, 0);

    batch_free(&b);
    freeReplyObject(empty);
    freeReplyObject(day);
}
END_TEST


/* Three orders of one product, as the transaction sees them. */
static void
fill_orders(struct order orders[3], size_t leaders[3], struct stored_verdict stored[3])
{
    static const char *const ids[] = { ID_A, ID_B, ID_C };

    for (size_t i = 0; i < 3; i++) {
        orders[i] = (struct order) {
            .identifier = ids[i], .asked = { .product_id = 17, .user_id = 42, .quantity = (uint32_t) i + 1 }
        };
        leaders[i] = i;
        stored[i] = (struct stored_verdict) { 0 };
    }
}


START_TEST(test_W1_decided_in_order_of_arrival)
{
    struct order o[3];
    size_t leaders[3];
    struct stored_verdict stored[3];
    struct product_row p = { .id = 17, .found = 1, .stock = 4, .version = 9 };

    fill_orders(o, leaders, stored);
    o[1].asked.quantity = 4;
    decide(o, leaders, stored, 3, &p);

    ck_assert_int_eq(o[0].verdict, VERDICT_SOLD);
    ck_assert_str_eq(o[0].status, "pending_payment");
    ck_assert_int_eq(o[1].verdict, VERDICT_FAILED);
    ck_assert_str_eq(o[1].reason, "out_of_stock");
    ck_assert_int_eq(o[2].verdict, VERDICT_SOLD);
    ck_assert_int_eq(p.stock, 0);
    ck_assert_int_eq(order_gives_back(&o[0]), GIVES_NOTHING_BACK);
    ck_assert_int_eq(order_gives_back(&o[1]), GIVES_BACK_BY_RECORD);
}
END_TEST


START_TEST(test_W8_product_gone)
{
    struct order o[3];
    size_t leaders[3];
    struct stored_verdict stored[3];
    struct product_row p = { .id = 17 };

    fill_orders(o, leaders, stored);
    decide(o, leaders, stored, 3, &p);
    ck_assert_int_eq(o[2].verdict, VERDICT_FAILED);
    ck_assert_str_eq(o[2].reason, "product_gone");
}
END_TEST


START_TEST(test_W5_a_verdict_found_again_stands)
{
    struct order o[3];
    size_t leaders[3];
    struct stored_verdict stored[3];
    struct product_row p = { .id = 17, .found = 1, .stock = 10 };

    fill_orders(o, leaders, stored);
    stored[0] = (struct stored_verdict) { .found = 1, .asked = o[0].asked, .status = "paid" };
    stored[1] = (struct stored_verdict) { .found = 1, .asked = o[1].asked, .status = "failed", .reason = "out_of_stock" };
    decide(o, leaders, stored, 3, &p);

    ck_assert_int_eq(o[0].verdict, VERDICT_STANDS);
    ck_assert_str_eq(o[0].status, "paid");
    ck_assert_int_eq(order_gives_back(&o[0]), GIVES_BACK_BY_RECORD);
    ck_assert_int_eq(o[1].verdict, VERDICT_STANDS);
    ck_assert_str_eq(o[1].reason, "out_of_stock");
    ck_assert_int_eq(order_gives_back(&o[1]), GIVES_BACK_BY_RECORD);
    ck_assert_int_eq(p.stock, 7);
}
END_TEST


START_TEST(test_W22_other_content_is_a_conflict)
{
    struct order o[3];
    size_t leaders[3];
    struct stored_verdict stored[3];
    struct product_row p = { .id = 17, .found = 1, .stock = 10 };

    fill_orders(o, leaders, stored);
    stored[0] = (struct stored_verdict) { .found = 1, .asked = o[0].asked, .status = "pending_payment" };
    stored[0].asked.user_id++;
    leaders[2] = 1;   /* o[2] repeats the identifier of o[1] with another quantity */
    decide(o, leaders, stored, 3, &p);

    ck_assert_int_eq(o[0].verdict, VERDICT_CONFLICT);
    ck_assert_str_eq(o[0].status, "pending_payment");
    ck_assert_uint_eq(o[0].standing.user_id, o[0].asked.user_id + 1);
    ck_assert_int_eq(order_gives_back(&o[0]), GIVES_BACK);
    ck_assert_int_eq(o[1].verdict, VERDICT_SOLD);
    ck_assert_int_eq(o[2].verdict, VERDICT_CONFLICT);
    ck_assert_str_eq(o[2].status, "pending_payment");
    ck_assert_uint_eq(o[2].standing.quantity, o[1].asked.quantity);
    ck_assert_uint_eq(o[2].standing_ms, o[1].accepted_ms);
    ck_assert_int_eq(order_gives_back(&o[2]), GIVES_BACK);
    ck_assert_int_eq(p.stock, 8);
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
    ck_assert_int_eq(b.orders[1].verdict, VERDICT_STANDS);
    ck_assert_int_eq(order_gives_back(&b.orders[0]), GIVES_NOTHING_BACK);
    ck_assert_int_eq(order_gives_back(&b.orders[1]), GIVES_BACK);
    ck_assert_int_eq(b.products[0].stock, 8);

    batch_free(&b);
    freeReplyObject(one);
    freeReplyObject(two);
}
END_TEST


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
    settle_words(&args, &b);

    char *words = join_words(&args);

    ck_assert_str_eq(words,
        "10|order-processing-queue|gate|dead-letter-queue|orders:2026-11-21"
        "|product:9:stock|product:9:register|product:9:buyers"
        "|product:17:stock|product:17:register|product:17:buyers"
        "|checkout-worker|1|2"
        "|-|0|0|0|0|0|open"
        "|8|5|0|0|0|0|open"
        "|5-1|00112233aabbccdd|2|1|2|2|1|0|1"
        "|" ID_A "|pending_payment - 17 2 42" MS
        "|1|rejected|" ID_B " queued - 17 1 43" MS
        "|6-0|00112233aabbccdd|1|1|4|1|1|1|0"
        "|" ID_C "|failed product_gone 9 4 44" MS
        "|44|4|" ID_C);

    free(words);
    args_free(&args);
    batch_free(&b);
    freeReplyObject(one);
    freeReplyObject(two);
}
END_TEST


START_TEST(test_identifiers)
{
    struct identifiers table = { 0 };
    static char ids[500][CHECKOUT_IDENTIFIER_LEN + 1];

    for (int round = 0; round < 2; round++) {
        identifiers_prepare(&table, 500);

        for (size_t i = 0; i < 500; i++) {
            snprintf(ids[i], sizeof ids[i], "01a1fc4d-a3c0-7000-a938-%012zu", i);
            ck_assert_uint_eq(identifiers_add(&table, ids[i], i), i);
        }

        ck_assert_uint_eq(identifiers_add(&table, ids[7], 9), 7);
        ck_assert_uint_eq(identifiers_find(&table, ids[499]), 499);
        ck_assert_uint_eq(identifiers_find(&table, ID_A), IDENTIFIERS_NONE);
    }

    identifiers_free(&table);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker batch");
    TCase *tcase = tcase_create("batch");

    tcase_add_test(tcase, test_entry_is_read);
    tcase_add_loop_test(tcase, test_no_job, 0, sizeof no_jobs / sizeof *no_jobs);
    tcase_add_test(tcase, test_fields_missing);
    tcase_add_test(tcase, test_W1_decided_in_order_of_arrival);
    tcase_add_test(tcase, test_W8_product_gone);
    tcase_add_test(tcase, test_W5_a_verdict_found_again_stands);
    tcase_add_test(tcase, test_W22_other_content_is_a_conflict);
    tcase_add_test(tcase, test_law2_the_same_order_twice_in_a_batch);
    tcase_add_test(tcase, test_settle_call);
    tcase_add_test(tcase, test_identifiers);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
