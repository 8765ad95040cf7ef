/* What must be true of a batch before it is written, and before it is settled: worker/intake/batch_check.c. */
#include <signal.h>

#include "base/invariant.h"
#include "intake/batch_check.h"
#include "suite.h"


/* Two entries, three orders, two products; all sold but the last. Each test spoils one thing. */
static struct order orders[3];
static struct entry entries[2];
static struct product_row locked[2], after[2];
static struct batch batch;
static int64_t left[2];


static void
fill(void)
{
    invariant_set_abort(0);
    locked[0] = after[0] = (struct product_row) { .id = 9, .found = 1, .stock = 5, .version = 3 };
    locked[1] = after[1] = (struct product_row) { .id = 17, .found = 1, .stock = 2, .version = 8 };
    after[0].stock = 1;
    after[0].version = 4;
    orders[0] = (struct order) { .asked = { .product_id = 9, .quantity = 3 }, .verdict = VERDICT_SOLD };
    orders[1] = (struct order) { .asked = { .product_id = 9, .quantity = 1 }, .verdict = VERDICT_SOLD };
    orders[2] = (struct order) {
        .asked = { .product_id = 17, .quantity = 7 }, .verdict = VERDICT_FAILED, .entry = 1, .product = 1
    };
    entries[0] = (struct entry) { .id = "5-1", .product_id = 9, .units = 4, .first_order = 0, .orders = 2 };
    entries[1] = (struct entry) { .id = "5-2", .product_id = 17, .units = 7, .first_order = 2, .orders = 1 };
    batch = (struct batch) {
        .entries = entries, .entry_count = 2, .orders = orders, .order_count = 3, .products = after, .product_count = 2
    };
}


static int
decided(void)
{
    return batch_check_decided(orders, 3, locked, after, left, 2);
}


START_TEST(test_all_is_right)
{
    ck_assert_int_eq(decided(), 1);
    ck_assert_int_eq(batch_check_committed(&batch), 1);
    ck_assert_uint_eq(invariant_failures(), 0);
}
END_TEST


START_TEST(test_stock_is_not_the_sum)
{
    after[0].stock = 2;
    ck_assert_int_eq(decided(), 0);
    ck_assert_uint_eq(invariant_failures(), 1);
}
END_TEST


/* The sums are right together and wrong apart. */
START_TEST(test_stock_of_another_product)
{
    after[0].stock++;
    after[1].stock--;
    ck_assert_int_eq(decided(), 0);
}
END_TEST


START_TEST(test_sold_below_zero)
{
    orders[0].asked.quantity = 5;
    after[0].stock = -1;
    ck_assert_int_eq(decided(), 0);
}
END_TEST


START_TEST(test_sold_of_a_product_that_is_gone)
{
    locked[0].found = 0;
    ck_assert_int_eq(decided(), 0);
}
END_TEST


START_TEST(test_order_of_another_product)
{
    orders[1].product = 1;
    ck_assert_int_eq(decided(), 0);
    orders[1].product = 2;
    ck_assert_int_eq(decided(), 0);
}
END_TEST


START_TEST(test_order_without_a_verdict)
{
    orders[2].verdict = VERDICT_NONE;
    ck_assert_int_eq(decided(), 0);
    ck_assert_int_eq(batch_check_committed(&batch), 0);
}
END_TEST


/* A dead order is settled, into the dead letters, but never written. */
START_TEST(test_dead_order)
{
    orders[2].verdict = VERDICT_DEAD;
    ck_assert_int_eq(decided(), 0);
    ck_assert_int_eq(batch_check_committed(&batch), 1);
}
END_TEST


START_TEST(test_units_are_not_the_sum)
{
    entries[0].units = 5;
    ck_assert_int_eq(batch_check_committed(&batch), 0);
}
END_TEST


START_TEST(test_order_of_another_entry)
{
    orders[2].entry = 0;
    ck_assert_int_eq(batch_check_committed(&batch), 0);
    fill();
    entries[1].product_id = 9;
    ck_assert_int_eq(batch_check_committed(&batch), 0);
    fill();
    entries[1].orders = 2;
    ck_assert_int_eq(batch_check_committed(&batch), 0);
}
END_TEST


START_TEST(test_push_without_a_version)
{
    after[0].version = 0;
    ck_assert_int_eq(batch_check_committed(&batch), 0);
    after[0].found = 0;
    ck_assert_int_eq(batch_check_committed(&batch), 1);
}
END_TEST


START_TEST(test_a_test_build_aborts)
{
    invariant_set_abort(1);
    entries[0].units = 5;
    (void) batch_check_committed(&batch);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker batch check");
    TCase *tcase = tcase_create("batch check");

    tcase_add_checked_fixture(tcase, fill, NULL);
    tcase_add_test(tcase, test_all_is_right);
    tcase_add_test(tcase, test_stock_is_not_the_sum);
    tcase_add_test(tcase, test_stock_of_another_product);
    tcase_add_test(tcase, test_sold_below_zero);
    tcase_add_test(tcase, test_sold_of_a_product_that_is_gone);
    tcase_add_test(tcase, test_order_of_another_product);
    tcase_add_test(tcase, test_order_without_a_verdict);
    tcase_add_test(tcase, test_dead_order);
    tcase_add_test(tcase, test_units_are_not_the_sum);
    tcase_add_test(tcase, test_order_of_another_entry);
    tcase_add_test(tcase, test_push_without_a_version);
    tcase_add_test_raise_signal(tcase, test_a_test_build_aborts, SIGABRT);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
