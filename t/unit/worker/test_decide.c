/* Which orders of a batch are sold: worker/intake/decide.c. */
#include <string.h>

#include "intake/decide.h"
#include "queue_entries.h"
#include "suite.h"


/* Three orders of one product, as the transaction sees them. */
static void
fill_orders(struct order orders[3], size_t leaders[3], struct stored_verdict stored[3])
{
    static const char *const ids[] = { ID_A, ID_B, ID_C };

    for (size_t i = 0; i < 3; i++) {
        orders[i] = (struct order) { .identifier = ids[i],
                                     .asked = { .product_id = 17, .user_id = 42, .quantity = (uint32_t) i + 1 } };
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
    ck_assert_int_eq(batch_order_gives_back(&o[0]), GIVES_NOTHING_BACK);
    ck_assert_int_eq(batch_order_gives_back(&o[1]), GIVES_BACK_BY_RECORD);
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
    stored[1] = (struct stored_verdict) {
        .found = 1, .asked = o[1].asked, .status = "failed", .reason = "out_of_stock"
    };
    decide(o, leaders, stored, 3, &p);

    ck_assert_int_eq(o[0].verdict, VERDICT_EXISTS);
    ck_assert_str_eq(o[0].status, "paid");
    ck_assert_int_eq(batch_order_gives_back(&o[0]), GIVES_BACK_BY_RECORD);
    ck_assert_int_eq(o[1].verdict, VERDICT_EXISTS);
    ck_assert_str_eq(o[1].reason, "out_of_stock");
    ck_assert_int_eq(batch_order_gives_back(&o[1]), GIVES_BACK_BY_RECORD);
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
    leaders[2] = 1; /* o[2] repeats the identifier of o[1] with another quantity */
    decide(o, leaders, stored, 3, &p);

    ck_assert_int_eq(o[0].verdict, VERDICT_CONFLICT);
    ck_assert_str_eq(o[0].status, "pending_payment");
    ck_assert_uint_eq(o[0].existing.user_id, o[0].asked.user_id + 1);
    ck_assert_int_eq(batch_order_gives_back(&o[0]), GIVES_BACK);
    ck_assert_int_eq(o[1].verdict, VERDICT_SOLD);
    ck_assert_int_eq(o[2].verdict, VERDICT_CONFLICT);
    ck_assert_str_eq(o[2].status, "pending_payment");
    ck_assert_uint_eq(o[2].existing.quantity, o[1].asked.quantity);
    ck_assert_uint_eq(o[2].existing_ms, o[1].accepted_ms);
    ck_assert_int_eq(batch_order_gives_back(&o[2]), GIVES_BACK);
    ck_assert_int_eq(p.stock, 8);
}
END_TEST


/* What is forgotten at the gate was counted for its buyer a second time. */
START_TEST(test_an_order_that_comes_again_after_half_a_day)
{
    struct order o[3];
    size_t leaders[3];
    struct stored_verdict stored[3];
    struct product_row p = { .id = 17, .found = 1, .stock = 10 };

    fill_orders(o, leaders, stored);

    for (size_t i = 0; i < 3; i++) {
        stored[i] = (struct stored_verdict) { .found = 1, .asked = o[i].asked, .status = "paid", .created_ms = 1000 };
    }

    o[0].accepted_ms = 1000 + FORGOTTEN_AFTER_MS;
    o[1].accepted_ms = 1001 + FORGOTTEN_AFTER_MS;
    decide(o, leaders, stored, 3, &p);

    ck_assert_int_eq(o[0].repeated, 0);
    ck_assert_int_eq(o[1].repeated, 1);
    ck_assert_int_eq(batch_order_gives_back(&o[1]), GIVES_BACK);
    ck_assert_int_eq(p.stock, 10);
}
END_TEST


/* Each order takes from its own product. */
START_TEST(test_orders_of_several_products)
{
    struct order o[3];
    size_t leaders[3];
    struct stored_verdict stored[3];
    struct product_row p[2] = { { .id = 9, .found = 1, .stock = 2 }, { .id = 17, .found = 1, .stock = 5 } };

    fill_orders(o, leaders, stored);
    o[0].product = 1;
    o[2].product = 1;
    decide(o, leaders, stored, 3, p);

    ck_assert_int_eq(o[0].verdict, VERDICT_SOLD);
    ck_assert_int_eq(o[1].verdict, VERDICT_SOLD);
    ck_assert_int_eq(o[2].verdict, VERDICT_SOLD);
    ck_assert_int_eq(p[0].stock, 0);
    ck_assert_int_eq(p[1].stock, 1);
}
END_TEST


/* What a stub's order asked for is in the archive: whatever comes under its identifier shares its verdict. */
START_TEST(test_S13_a_stub_keeps_its_verdict)
{
    struct order o[3];
    size_t leaders[3];
    struct stored_verdict stored[3];
    struct product_row p = { .id = 17, .found = 1, .stock = 10 };

    fill_orders(o, leaders, stored);
    stored[0] = (struct stored_verdict) { .found = 1, .archived = 1, .status = "completed" };
    o[0].accepted_ms = FORGOTTEN_AFTER_MS + 1;
    decide(o, leaders, stored, 1, &p);

    ck_assert_int_eq(o[0].verdict, VERDICT_EXISTS);
    ck_assert_str_eq(o[0].status, "completed");
    ck_assert_int_eq(batch_order_gives_back(&o[0]), GIVES_BACK);
    ck_assert_int_eq(p.stock, 10);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker decide");
    TCase *tcase = tcase_create("decide");

    tcase_add_test(tcase, test_W1_decided_in_order_of_arrival);
    tcase_add_test(tcase, test_W8_product_gone);
    tcase_add_test(tcase, test_W5_a_verdict_found_again_stands);
    tcase_add_test(tcase, test_W22_other_content_is_a_conflict);
    tcase_add_test(tcase, test_an_order_that_comes_again_after_half_a_day);
    tcase_add_test(tcase, test_orders_of_several_products);
    tcase_add_test(tcase, test_S13_a_stub_keeps_its_verdict);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
