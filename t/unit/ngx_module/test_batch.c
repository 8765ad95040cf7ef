/* Which orders leave as one call of place_order.lua, in which words, and what its reply says: ngx_module/gate/batch.c.
 */
#include <stdlib.h>
#include <string.h>

#include "gate/batch.h"
#include "suite.h"
#include "text/number.h"
#include "text/reply_reader.h"


#define NOW_MS 1763712000000 /* 2025-11-21 08:00 UTC */


static ngx_http_checkout_batch_order_t orders[NGX_HTTP_CHECKOUT_BATCH_ORDERS + 1];
static ngx_http_checkout_batch_t batch;


/* The order number i: user i + 1 wants so many units. */
static ngx_http_checkout_batch_order_t *
order(size_t i, uint64_t product, uint32_t quantity)
{
    ngx_http_checkout_batch_order_t *o = &orders[i];

    memset(o, 0, sizeof *o);
    o->order = (struct checkout_order) { .product_id = product, .user_id = i + 1, .quantity = quantity };
    o->accepted_ms = NOW_MS + i;
    memset(o->identifier, 'a' + (int) (i % 26), CHECKOUT_IDENTIFIER_LEN);
    return o;
}


static int
add(size_t i, uint64_t product, uint32_t quantity)
{
    return ngx_http_checkout_batch_add(&batch, order(i, product, quantity));
}


/* --- the words of a call, one after the other ------------------------------------------------------------------ */

static char words[NGX_HTTP_CHECKOUT_BATCH_WORDS][CHECKOUT_RECORD_MAX + 1];
static size_t nwords;
static char space[CHECKOUT_RECORD_MAX];


static void
take_text(const char *text, size_t len)
{
    ck_assert_uint_lt(nwords, NGX_HTTP_CHECKOUT_BATCH_WORDS);
    ck_assert_uint_le(len, CHECKOUT_RECORD_MAX);
    memcpy(words[nwords], text, len);
    words[nwords++][len] = '\0';
}


static void
take_key(const char *prefix, const char *name, size_t len, const char *suffix)
{
    char key[CHECKOUT_RECORD_MAX];

    take_text(key, (size_t) snprintf(key, sizeof key, "%s%.*s%s", prefix, (int) len, name, suffix));
}


static void
take_number(uint64_t value)
{
    char digits[NUMBER_DIGITS_MAX];

    take_text(digits, (size_t) (number_write(digits, value) - digits));
}


static char *
give_space(size_t size)
{
    ck_assert_uint_le(size, sizeof space);
    return space;
}


static void
take_space(size_t len)
{
    take_text(space, len);
}


static const ngx_http_checkout_batch_writer_t writer = { take_key, take_text, take_number, give_space, take_space };


/* Encodes the batch. The nonce of the first group is 00…07, of the next 08…0f, and so on. */
static void
encode(void)
{
    unsigned char nonces[NGX_HTTP_CHECKOUT_BATCH_GROUPS * NGX_HTTP_CHECKOUT_BATCH_NONCE];

    for (size_t i = 0; i < sizeof nonces; i++) {
        nonces[i] = (unsigned char) i;
    }

    nwords = 0;
    ngx_http_checkout_batch_encode(&batch, &writer, 1000, NOW_MS, nonces);
}


static void
expect(size_t from, const char *const *expected)
{
    for (size_t i = 0; expected[i] != NULL; i++) {
        ck_assert_uint_lt(from + i, nwords);
        ck_assert_str_eq(words[from + i], expected[i]);
    }
}


/* --- replies --------------------------------------------------------------------------------------------------- */

static redisReply *
reply_of(const char *bytes)
{
    redisReader *reader = checkout_reply_reader_create();
    void *reply = NULL;

    ck_assert_ptr_nonnull(reader);
    ck_assert_int_eq(redisReaderFeed(reader, bytes, strlen(bytes)), REDIS_OK);
    ck_assert_int_eq(redisReaderGetReply(reader, &reply), REDIS_OK);
    ck_assert_ptr_nonnull(reply);
    redisReaderFree(reader);
    return reply;
}


static int
is_reply(const char *bytes)
{
    redisReply *reply = reply_of(bytes);
    int yes = ngx_http_checkout_batch_is_reply(&batch, reply);

    freeReplyObject(reply);
    return yes;
}


static void
setup(void)
{
    ngx_http_checkout_batch_init(&batch);
}


/* --- filling --------------------------------------------------------------------------------------------------- */

START_TEST(test_groups_by_product_in_order_of_arrival)
{
    ck_assert_int_eq(add(0, 7, 2), 0);
    ck_assert_int_eq(add(1, 9, 1), 0);
    ck_assert_int_eq(add(2, 7, 5), 0);
    ck_assert_int_eq(add(3, 8, 1), 0);
    ck_assert_int_eq(add(4, 9, 3), 0);
    ck_assert_int_eq(add(5, 7, 1), 0);
    ngx_http_checkout_batch_close(&batch);

    ck_assert_uint_eq(batch.norders, 6);
    ck_assert_uint_eq(batch.ngroups, 3);

    static const struct {
        uint64_t product, units;
        uint32_t largest, orders, first;
    } groups[] = { { 7, 8, 5, 3, 0 }, { 9, 4, 3, 2, 3 }, { 8, 1, 1, 1, 5 } };
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(batch.groups[i].product_id, groups[i].product);
        ck_assert_uint_eq(batch.groups[i].units, groups[i].units);
        ck_assert_uint_eq(batch.groups[i].largest, groups[i].largest);
        ck_assert_uint_eq(batch.groups[i].orders, groups[i].orders);
        ck_assert_uint_eq(batch.groups[i].first, groups[i].first);
        ck_assert_uint_eq(batch.groups[i].check, 0);
    }

    static const size_t arrived[] = { 0, 2, 5, 1, 4, 3 };
    for (size_t i = 0; i < 6; i++) {
        ck_assert_ptr_eq(batch.orders[i], &orders[arrived[i]]);
    }
}
END_TEST


START_TEST(test_full_with_orders)
{
    for (size_t i = 0; i < NGX_HTTP_CHECKOUT_BATCH_ORDERS; i++) {
        ck_assert_int_eq(add(i, 1 + i % 2, 1), 0);
    }

    ck_assert_int_eq(add(NGX_HTTP_CHECKOUT_BATCH_ORDERS, 1, 1), -1);
    ngx_http_checkout_batch_close(&batch);
    ck_assert_uint_eq(batch.norders, NGX_HTTP_CHECKOUT_BATCH_ORDERS);
    ck_assert_uint_eq(batch.groups[0].orders + batch.groups[1].orders, NGX_HTTP_CHECKOUT_BATCH_ORDERS);
}
END_TEST


/* A product that it has is taken also when it has no place for another one; what is refused changes nothing. */
START_TEST(test_full_with_products)
{
    for (size_t i = 0; i < NGX_HTTP_CHECKOUT_BATCH_GROUPS; i++) {
        ck_assert_int_eq(add(i, 100 + i, 1), 0);
    }

    ck_assert_int_eq(add(NGX_HTTP_CHECKOUT_BATCH_GROUPS, 1, 1), -1);
    ck_assert_int_eq(add(NGX_HTTP_CHECKOUT_BATCH_GROUPS, 100, 4), 0);
    ngx_http_checkout_batch_close(&batch);
    ck_assert_uint_eq(batch.norders, NGX_HTTP_CHECKOUT_BATCH_GROUPS + 1);
    ck_assert_uint_eq(batch.ngroups, NGX_HTTP_CHECKOUT_BATCH_GROUPS);
    ck_assert_uint_eq(batch.groups[0].units, 5);
}
END_TEST


START_TEST(test_many_units_do_not_overflow)
{
    ck_assert_int_eq(add(0, 7, INT32_MAX), 0);
    ck_assert_int_eq(add(1, 7, INT32_MAX), 0);
    ck_assert_int_eq(add(2, 7, INT32_MAX), 0);
    ngx_http_checkout_batch_close(&batch);
    ck_assert_uint_eq(batch.groups[0].units, 3 * (uint64_t) INT32_MAX);
}
END_TEST


START_TEST(test_used_again)
{
    order(0, 7, 5)->keyed = 1;
    ck_assert_int_eq(ngx_http_checkout_batch_add(&batch, &orders[0]), 0);
    ngx_http_checkout_batch_close(&batch);

    ngx_http_checkout_batch_init(&batch);
    ck_assert_int_eq(add(1, 7, 1), 0);
    ngx_http_checkout_batch_close(&batch);
    ck_assert_uint_eq(batch.groups[0].orders, 1);
    ck_assert_uint_eq(batch.groups[0].units, 1);
    ck_assert_uint_eq(batch.groups[0].check, 0);
}
END_TEST


/* --- encoding -------------------------------------------------------------------------------------------------- */

START_TEST(test_words_of_new_orders)
{
    add(0, 7, 2);
    add(1, 12345678901, 1);
    add(2, 7, 5);
    ngx_http_checkout_batch_close(&batch);
    encode();

    ck_assert_uint_eq(ngx_http_checkout_batch_keys(&batch), 10);
    expect(
        0,
        (const char *[]) {
            "order-processing-queue",
            "gate",
            "orders:2025-11-21",
            "orders:2025-11-20",
            "product:7:stock",
            "product:7:register",
            "product:7:buyers",
            "product:12345678901:stock",
            "product:12345678901:register",
            "product:12345678901:buyers",
            "1000",
            "2025-11-21",
            "7",
            "0001020304050607",
            "2",
            "7",
            "5",
            "0",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "queued - 7 2 1 1763712000000",
            "cccccccccccccccccccccccccccccccccccc",
            "queued - 7 5 3 1763712000002",
            "12345678901",
            "08090a0b0c0d0e0f",
            "1",
            "1",
            "1",
            "0",
            "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
            "queued - 12345678901 1 2 1763712000001",
            NULL });
    ck_assert_uint_eq(nwords, 30);
}
END_TEST


/* One order that may be known: its group is checked, no other, and tomorrow's bucket is the last key. */
static void
expect_checked_group(void)
{
    ck_assert_int_eq(ngx_http_checkout_batch_add(&batch, &orders[0]), 0);
    add(1, 8, 1);
    add(2, 7, 1);
    ngx_http_checkout_batch_close(&batch);
    encode();

    ck_assert_uint_eq(ngx_http_checkout_batch_keys(&batch), 11);
    ck_assert_str_eq(words[10], "orders:2025-11-22");
    expect(13, (const char *[]) { "7", "0001020304050607", "2", "2", "1", "1", NULL });
    expect(23, (const char *[]) { "8", "08090a0b0c0d0e0f", "1", "1", "1", "0", NULL });
}


START_TEST(test_a_keyed_order_is_checked)
{
    order(0, 7, 1)->keyed = 1;
    expect_checked_group();
}
END_TEST


START_TEST(test_an_order_sent_before_is_checked)
{
    order(0, 7, 1)->sent = 1;
    expect_checked_group();
}
END_TEST


/* The bound that the gate compares with the room of a call, when it is compiled. */
START_TEST(test_a_full_batch_keeps_to_its_words)
{
    for (size_t i = 0; i < NGX_HTTP_CHECKOUT_BATCH_ORDERS; i++) {
        order(i, UINT64_MAX / 2 - i % NGX_HTTP_CHECKOUT_BATCH_GROUPS, INT32_MAX)->keyed = 1;
        ck_assert_int_eq(ngx_http_checkout_batch_add(&batch, &orders[i]), 0);
    }

    ngx_http_checkout_batch_close(&batch);
    encode();
    ck_assert_uint_eq(nwords, NGX_HTTP_CHECKOUT_BATCH_WORDS);
}
END_TEST


/* --- decoding -------------------------------------------------------------------------------------------------- */

/* Two orders of product 7, one of product 8. */
static void
two_groups(void)
{
    add(0, 7, 1);
    add(1, 8, 1);
    add(2, 7, 1);
    ngx_http_checkout_batch_close(&batch);
}


START_TEST(test_a_verdict_for_all_and_for_each)
{
    struct checkout_verdict verdict;

    two_groups();

    redisReply *reply = reply_of("*3\r\n:5\r\n*3\r\n:1\r\n$6\r\nqueued\r\n$12\r\nout_of_stock\r\n"
                                 "*2\r\n:-1\r\n$15\r\nunknown_product\r\n");

    ck_assert_int_eq(ngx_http_checkout_batch_is_reply(&batch, reply), 1);
    ck_assert_int_eq(ngx_http_checkout_batch_verdict(&batch, 0, 0, reply, &verdict), 0);
    ck_assert_int_eq(verdict.kind, CHECKOUT_VERDICT_QUEUED);
    ck_assert_int_eq(ngx_http_checkout_batch_verdict(&batch, 0, 1, reply, &verdict), 0);
    ck_assert_int_eq(verdict.kind, CHECKOUT_VERDICT_OUT_OF_STOCK);
    ck_assert_uint_eq(verdict.number, 1);
    ck_assert_int_eq(ngx_http_checkout_batch_verdict(&batch, 1, 0, reply, &verdict), 1);
    ck_assert_int_eq(verdict.kind, CHECKOUT_VERDICT_UNKNOWN_PRODUCT);
    freeReplyObject(reply);
}
END_TEST


START_TEST(test_one_verdict_for_a_whole_group)
{
    struct checkout_verdict verdict;

    two_groups();

    redisReply *reply = reply_of("*3\r\n:5\r\n*2\r\n:0\r\n$6\r\nqueued\r\n*2\r\n:0\r\n$6\r\nbroken\r\n");

    ck_assert_int_eq(ngx_http_checkout_batch_is_reply(&batch, reply), 1);
    ck_assert_int_eq(ngx_http_checkout_batch_verdict(&batch, 0, 0, reply, &verdict), 1);
    ck_assert_int_eq(verdict.kind, CHECKOUT_VERDICT_QUEUED);
    ck_assert_int_eq(ngx_http_checkout_batch_verdict(&batch, 0, 1, reply, &verdict), 1);
    ck_assert_int_eq(verdict.kind, CHECKOUT_VERDICT_QUEUED);
    ck_assert_int_eq(ngx_http_checkout_batch_verdict(&batch, 1, 0, reply, &verdict), 1);
    ck_assert_int_eq(verdict.kind, CHECKOUT_VERDICT_BROKEN);
    freeReplyObject(reply);
}
END_TEST


START_TEST(test_what_is_no_reply)
{
    two_groups();

    ck_assert_int_eq(is_reply("+OK\r\n"), 0);
    ck_assert_int_eq(is_reply("$-1\r\n"), 0);
    ck_assert_int_eq(is_reply("*0\r\n"), 0);
    /* a group too few, and one too many */
    ck_assert_int_eq(is_reply("*2\r\n:5\r\n*2\r\n:0\r\n$6\r\nqueued\r\n"), 0);
    ck_assert_int_eq(is_reply("*4\r\n:5\r\n*2\r\n:0\r\n$6\r\nqueued\r\n*2\r\n:0\r\n$6\r\nqueued\r\n"
                              "*2\r\n:0\r\n$6\r\nqueued\r\n"),
                     0);
    /* a verdict too many in the second group */
    ck_assert_int_eq(is_reply("*3\r\n:5\r\n*2\r\n:0\r\n$6\r\nqueued\r\n*3\r\n:0\r\n$6\r\nqueued\r\n$6\r\nqueued\r\n"),
                     0);
    /* no count of the queue, no units left */
    ck_assert_int_eq(is_reply("*3\r\n$1\r\n5\r\n*2\r\n:0\r\n$6\r\nqueued\r\n*2\r\n:0\r\n$6\r\nqueued\r\n"), 0);
    ck_assert_int_eq(is_reply("*3\r\n:5\r\n*2\r\n$1\r\n0\r\n$6\r\nqueued\r\n*2\r\n:0\r\n$6\r\nqueued\r\n"), 0);
}
END_TEST


int
main(void)
{
    const TTest *const tests[] = {
        test_groups_by_product_in_order_of_arrival,
        test_full_with_orders,
        test_full_with_products,
        test_many_units_do_not_overflow,
        test_used_again,
        test_words_of_new_orders,
        test_a_keyed_order_is_checked,
        test_an_order_sent_before_is_checked,
        test_a_full_batch_keeps_to_its_words,
        test_a_verdict_for_all_and_for_each,
        test_one_verdict_for_a_whole_group,
        test_what_is_no_reply,
    };
    Suite *suite = suite_create("batch");
    TCase *tcase = tcase_create("batch");

    tcase_add_checked_fixture(tcase, setup, NULL);

    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        tcase_add_test(tcase, tests[i]);
    }

    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
