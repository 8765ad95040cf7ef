/* Decoding an entry of the queue: worker/redis/queue_entry.c. */
#include "queue_entries.h"
#include "redis/queue_entry.h"
#include "suite.h"


static struct queue_entry entry;
static struct queue_entry_order orders[4];


/* Decodes all of an entry. Returns the number of orders, or -1. */
static int
decode(const redisReply *reply)
{
    int n = 0, more = queue_entry_read(&entry, reply) == -1 ? -1 : 1;

    while (more == 1 && (more = queue_entry_next_order(&entry, &orders[n])) == 1) {
        n++;
    }

    return more == -1 ? -1 : n;
}


START_TEST(test_an_entry)
{
    redisReply *e = make_job("5-1", "17", "5", "2", ID_A " queued - 17 2 42" MS " " ID_B " queued - 17 3 43" MS);

    ck_assert_int_eq(decode(e), 2);
    ck_assert_ptr_null(entry.why);
    ck_assert_str_eq(entry.id, "5-1");
    ck_assert_str_eq(entry.nonce, "00112233aabbccdd");
    ck_assert_str_eq(entry.day, "2026-11-21");
    ck_assert_uint_eq(entry.product_id, 17);
    ck_assert_uint_eq(entry.units, 5);
    ck_assert_uint_eq(entry.orders, 2);
    ck_assert_int_eq(memcmp(orders[1].identifier, ID_B, 36), 0);
    ck_assert_uint_eq(orders[1].asked.product_id, 17);
    ck_assert_uint_eq(orders[1].asked.quantity, 3);
    ck_assert_uint_eq(orders[1].asked.user_id, 43);
    ck_assert_uint_eq(orders[0].accepted_ms, 1763700000123);
    ck_assert_uint_eq(orders[0].record_len, strlen("queued - 17 2 42" MS));
    ck_assert_int_eq(memcmp(orders[0].record, "queued - 17 2 42" MS, orders[0].record_len), 0);
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
    { "17", "3", "1", ID_A " queued - 17 2 42" MS },                                 /* units do not add up */
    { "18", "2", "1", ID_A " queued - 17 2 42" MS },                                 /* another product */
    { "17", "4", "2", ID_A " queued - 17 4 42" MS },                                 /* an order missing */
    { "17", "2", "1", ID_A " queued - 17 2 42" MS " " ID_B " queued - 17 2 42" MS }, /* one too many */
    { "17", "2", "1", ID_A " queued - 17 2 42" MS " " },
    { "17", "2", "1", ID_A "  queued - 17 2 42" MS },
    { "17", "2", "1", ID_A " queued - 17 2 42" },
    { "17", "0", "1", ID_A " queued - 17 0 42" MS },
    { "17", "2", "1", "01a1fc4d-a3c0-4000-a938-43790cd90f5a queued - 17 2 42" MS },
    { "17", "2", "1", "queued - 17 2 42" MS },
    { "17", "2", "1", "" },
};


START_TEST(test_no_entry_of_the_gate)
{
    redisReply *e = make_job("5-2", no_jobs[_i].product, no_jobs[_i].units, no_jobs[_i].count, no_jobs[_i].orders);

    ck_assert_int_eq(decode(e), -1);
    ck_assert_ptr_nonnull(entry.why);
    freeReplyObject(e);
}
END_TEST


START_TEST(test_fields_missing)
{
    redisReply *all[] = {
        make_entry("5-1", NULL),
        make_entry("5-1", "nonce", "1", "product", "17", "units", "1", "count", "1", "day", "2026-1-211", "orders",
                   ID_A " queued - 17 1 42" MS, NULL),
        make_entry("5-1", "nonce", "", "product", "17", "units", "1", "count", "1", "day", "2026-11-21", "orders",
                   ID_A " queued - 17 1 42" MS, NULL),
        make_entry("5-1", "nonce", "1", "product", "17", "units", "1", "count", "1", "day", "2026-11-21", NULL),
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        ck_assert_int_eq(decode(all[i]), -1);
        ck_assert_ptr_nonnull(entry.why);
        freeReplyObject(all[i]);
    }
}
END_TEST


START_TEST(test_replies_of_another_form)
{
    redisReply nil = { .type = REDIS_REPLY_NIL }, id = { .type = REDIS_REPLY_STRING, .str = "5-1", .len = 3 };
    redisReply *deleted[] = { &id, &nil };
    redisReply pair = { .type = REDIS_REPLY_ARRAY, .elements = 2, .element = deleted };

    ck_assert_int_eq(queue_entry_read(&entry, &nil), -1);
    ck_assert_int_eq(queue_entry_read(&entry, &pair), -1);
    pair.elements = 1;
    ck_assert_int_eq(queue_entry_read(&entry, &pair), -1);
}
END_TEST


/* What people are shown of an entry that does not read. */
START_TEST(test_id_and_fields_of_any_entry)
{
    redisReply *e = make_entry("5-1", "product", "x", "odd", NULL);

    ck_assert_str_eq(queue_entry_id(e), "5-1");
    ck_assert_str_eq(queue_entry_field(e, "product"), "x");
    ck_assert_ptr_null(queue_entry_field(e, "odd"));
    ck_assert_ptr_null(queue_entry_field(e, "units"));
    freeReplyObject(e);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker queue entry");
    TCase *tcase = tcase_create("queue entry");

    tcase_add_test(tcase, test_an_entry);
    tcase_add_loop_test(tcase, test_no_entry_of_the_gate, 0, sizeof no_jobs / sizeof *no_jobs);
    tcase_add_test(tcase, test_fields_missing);
    tcase_add_test(tcase, test_replies_of_another_form);
    tcase_add_test(tcase, test_id_and_fields_of_any_entry);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
