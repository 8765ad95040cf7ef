/* What a batch of changes comes to, without a server: common/lifecycle/plan.c. */
#include <stdio.h>
#include <string.h>

#include "lifecycle/plan.h"
#include "suite.h"

#define ID(n) "017f22e2-79b0-7000-8000-00000000000" #n

static struct change_batch *batch;
static int movements, statuses;
static int64_t units; /* that came back by movements, less those that were taken */
static enum stock_effect last_effect;


static void
movement(struct change_batch *b, const struct order_change *change, const struct changed_item *item,
         enum order_status from, enum stock_effect effect)
{
    ck_assert_ptr_eq(b, batch);
    ck_assert_uint_eq(change->order, item->order);
    ck_assert_int_ne(from, ORDER_UNKNOWN);
    units += effect == STOCK_RETURNED ? (int64_t) item->quantity
             : effect == STOCK_TAKEN  ? -(int64_t) item->quantity
                                      : 0;
    last_effect = effect;
    movements++;
}


static void
status_changed(struct change_batch *b, const struct changed_order *order)
{
    ck_assert_ptr_eq(b, batch);
    ck_assert_int_eq(order_status_changed(order) || order->before == order->status, 1);
    statuses++;
}


static const struct plan_listener listener = { movement, status_changed };


static void
begin(void)
{
    batch = change_batch_create(8);
    ck_assert_ptr_nonnull(batch);
    memcpy(batch->currency, "TWD", 4);
    movements = statuses = 0;
    units = 0;
}


static void
end(void)
{
    change_batch_free(batch);
}


/* An order of two units of product 7 at 9.90, as it would have been read and locked. */
static struct changed_order *
add_order(const char *identifier, enum order_status status)
{
    struct changed_order *o = &batch->orders[batch->order_count++];
    int has_item = status != ORDER_UNKNOWN && status != ORDER_FAILED;

    *o = (struct changed_order) {
        .before = status,
        .status = status,
        .user = 42,
        .product = 7,
        .quantity = 2,
        .items = (size_t) has_item,
        .total = has_item ? 1980 : 0,
        .total_known = 1
    };
    memcpy(o->identifier, identifier, sizeof(o->identifier));

    if (status != ORDER_UNKNOWN) {
        batch->items[batch->item_count++] = (struct changed_item) {
            .order = batch->order_count - 1, .product = 7, .quantity = 2, .place = 0
        };
    }

    return o;
}


static void
set_stock(int64_t stock)
{
    batch->products[0] = (struct product_row) { .id = 7, .found = 1, .stock = stock, .price = "9.90" };
    batch->deltas[0].delta = 0;
    batch->product_count = 1;
}


static struct order_change *
add(const char *identifier, enum order_event event, size_t order)
{
    struct order_change *c = change_batch_add(batch, identifier, event);

    ck_assert_ptr_nonnull(c);
    c->order = order;
    return c;
}


static struct order_change *
add_payment(const char *identifier, size_t order, uint64_t amount)
{
    struct order_change *c = add(identifier, EVENT_PAYMENT_SUCCEEDED, order);

    snprintf(c->payment_id, sizeof(c->payment_id), "pay_1");
    memcpy(c->currency, "TWD", 4);
    c->amount = amount;
    return c;
}


START_TEST(test_a_payment_moves_no_stock)
{
    begin();
    struct changed_order *o = add_order(ID(1), ORDER_PENDING_PAYMENT);

    set_stock(0);
    batch->items[0].place = PRODUCT_NOT_LOCKED;
    add_payment(ID(1), 0, 1980);
    ck_assert_int_eq(plan_changes(batch, &listener), 0);

    ck_assert_int_eq(batch->changes[0].outcome, OUTCOME_PAID);
    ck_assert_int_eq(o->status, ORDER_PAID);
    ck_assert_str_eq(o->payment_id, "pay_1");
    ck_assert_int_eq(o->new_payment, 1);
    ck_assert_int_eq(movements, 0);
    ck_assert_int_eq(statuses, 1);
    end();
}
END_TEST


START_TEST(test_L4_a_cancellation_returns_the_units_once)
{
    begin();
    struct changed_order *o = add_order(ID(1), ORDER_PENDING_PAYMENT);

    set_stock(5);
    add(ID(1), EVENT_CANCEL, 0);
    add(ID(1), EVENT_CANCEL, 0);
    ck_assert_int_eq(plan_changes(batch, &listener), 0);

    ck_assert_int_eq(batch->changes[0].outcome, OUTCOME_CANCELLED);
    ck_assert_int_eq(batch->changes[1].outcome, OUTCOME_REPEAT);
    ck_assert_int_eq(batch->deltas[0].delta, 2);
    ck_assert_int_eq(units, 2);
    ck_assert_int_eq(o->taken, -2);
    ck_assert_int_eq(statuses, 1);
    end();
}
END_TEST


START_TEST(test_the_last_units_go_to_one_of_two_late_payments)
{
    begin();
    add_order(ID(1), ORDER_CANCELLED);
    struct changed_order *second = add_order(ID(2), ORDER_CANCELLED);

    set_stock(3);
    add_payment(ID(1), 0, 1980);
    add_payment(ID(2), 1, 1980);
    ck_assert_int_eq(plan_changes(batch, &listener), 0);

    ck_assert_int_eq(batch->changes[0].outcome, OUTCOME_PAID_LATE);
    ck_assert_int_eq(batch->changes[1].outcome, OUTCOME_REFUND_PENDING);
    ck_assert_str_eq(second->code, "late_payment");
    ck_assert_int_eq(batch->deltas[0].delta, -2);
    ck_assert_int_eq(units, -2);
    end();
}
END_TEST


START_TEST(test_units_that_one_change_returns_another_may_take)
{
    begin();
    add_order(ID(1), ORDER_PENDING_PAYMENT);
    add_order(ID(2), ORDER_CANCELLED);
    set_stock(0);
    add(ID(1), EVENT_CANCEL, 0);
    add_payment(ID(2), 1, 1980);
    ck_assert_int_eq(plan_changes(batch, &listener), 0);

    ck_assert_int_eq(batch->changes[1].outcome, OUTCOME_PAID_LATE);
    ck_assert_int_eq(batch->deltas[0].delta, 0);
    ck_assert_int_eq(batch->deltas[0].live, 0);
    ck_assert_int_eq(batch->deltas[0].moved, 1); /* the row gets a new version all the same */
    ck_assert_int_eq(movements, 2);
    end();
}
END_TEST


START_TEST(test_a_tombstone_that_is_paid_gets_its_item_and_price)
{
    begin();
    struct changed_order *o = add_order(ID(1), ORDER_FAILED);

    set_stock(2);
    add_payment(ID(1), 0, 1980);
    ck_assert_int_eq(plan_changes(batch, &listener), 0);

    ck_assert_int_eq(batch->changes[0].outcome, OUTCOME_PAID_LATE);
    ck_assert_int_eq(o->new_item, 1);
    ck_assert_int_eq(o->new_total, 1);
    ck_assert_uint_eq(o->total, 1980);
    end();
}
END_TEST


START_TEST(test_another_price_than_the_tombstone_would_have_is_money_to_return)
{
    begin();
    add_order(ID(1), ORDER_FAILED);
    set_stock(2);
    add_payment(ID(1), 0, 1981);
    ck_assert_int_eq(plan_changes(batch, &listener), 0);

    ck_assert_int_eq(batch->changes[0].outcome, OUTCOME_REFUND_PENDING);
    ck_assert_int_eq(movements, 0);
    end();
}
END_TEST


START_TEST(test_an_order_of_another_buyer_is_unknown)
{
    begin();
    struct changed_order *o = add_order(ID(1), ORDER_PENDING_PAYMENT);

    set_stock(2);
    add(ID(1), EVENT_CANCEL, 0)->user = 43;
    ck_assert_int_eq(plan_changes(batch, &listener), 0);

    ck_assert_int_eq(batch->changes[0].outcome, OUTCOME_UNKNOWN_ORDER);
    ck_assert_int_eq(o->status, ORDER_PENDING_PAYMENT);
    ck_assert_int_eq(movements + statuses, 0);
    end();
}
END_TEST


START_TEST(test_an_order_that_somebody_else_has_locked_stays_as_it_is)
{
    begin();
    add_order(ID(1), ORDER_UNKNOWN)->passed_over = 1;
    set_stock(2);
    add(ID(1), EVENT_CANCEL, 0);
    ck_assert_int_eq(plan_changes(batch, &listener), 0);

    ck_assert_int_eq(batch->changes[0].outcome, OUTCOME_LOCKED);
    ck_assert_int_eq(movements + statuses, 0);
    end();
}
END_TEST


START_TEST(test_a_refund_behind_a_payment_of_its_batch_waits)
{
    begin();
    add_order(ID(1), ORDER_PENDING_PAYMENT);
    set_stock(2);
    add_payment(ID(1), 0, 1980);
    add(ID(1), EVENT_PAYMENT_REFUNDED, 0);
    ck_assert_int_eq(plan_changes(batch, &listener), 0);

    ck_assert_int_eq(batch->changes[0].outcome, OUTCOME_PAID);
    ck_assert_int_eq(batch->changes[1].outcome, OUTCOME_WAITS);
    end();
}
END_TEST


START_TEST(test_goods_that_are_out_are_written_off)
{
    begin();
    add_order(ID(1), ORDER_COMPLETED);
    set_stock(2);
    add(ID(1), EVENT_REFUND, 0)->code = "refunded_by_operator";
    ck_assert_int_eq(plan_changes(batch, &listener), 0);

    ck_assert_int_eq(batch->changes[0].outcome, OUTCOME_REFUNDED);
    ck_assert_int_eq(last_effect, STOCK_WRITTEN_OFF);
    ck_assert_int_eq(batch->deltas[0].delta, 0);
    ck_assert_int_eq(batch->deltas[0].live, -2);
    ck_assert_int_eq(batch->deltas[0].supplied, -2);
    ck_assert_int_eq(batch->deltas[0].moved, 1);
    ck_assert_str_eq(batch->orders[0].code, "refunded_by_operator");
    end();
}
END_TEST


START_TEST(test_no_units_move_of_a_product_that_is_not_locked)
{
    static const enum order_event events[] = { EVENT_CANCEL, EVENT_EXPIRE, EVENT_PAYMENT_FAILED };

    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        begin();
        add_order(ID(1), ORDER_PENDING_PAYMENT)->due = 1;
        set_stock(5);
        batch->items[0].place = PRODUCT_NOT_LOCKED;
        add(ID(1), events[i], 0);

        ck_assert_int_eq(plan_changes(batch, &listener), -1);
        ck_assert_int_eq(movements + statuses, 0);
        ck_assert_int_eq(batch->deltas[0].delta, 0);
        end();
    }
}
END_TEST


START_TEST(test_goods_of_a_product_that_is_not_locked_are_not_written_off)
{
    begin();
    add_order(ID(1), ORDER_COMPLETED);
    batch->items[0].place = PRODUCT_NOT_LOCKED;
    add(ID(1), EVENT_REFUND, 0);

    ck_assert_int_eq(plan_changes(batch, &listener), -1);
    ck_assert_int_eq(movements + statuses, 0);
    end();
}
END_TEST


START_TEST(test_a_full_batch_takes_no_more)
{
    begin();

    for (int i = 0; i < 8; i++) {
        ck_assert_ptr_nonnull(change_batch_add(batch, ID(1), EVENT_EXPIRE));
    }

    ck_assert_ptr_null(change_batch_add(batch, ID(1), EVENT_EXPIRE));
    change_batch_clear(batch);
    ck_assert_ptr_nonnull(change_batch_add(batch, ID(1), EVENT_EXPIRE));
    end();
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("plan");
    TCase *tcase = tcase_create("plan");

    tcase_add_test(tcase, test_a_payment_moves_no_stock);
    tcase_add_test(tcase, test_L4_a_cancellation_returns_the_units_once);
    tcase_add_test(tcase, test_the_last_units_go_to_one_of_two_late_payments);
    tcase_add_test(tcase, test_units_that_one_change_returns_another_may_take);
    tcase_add_test(tcase, test_a_tombstone_that_is_paid_gets_its_item_and_price);
    tcase_add_test(tcase, test_another_price_than_the_tombstone_would_have_is_money_to_return);
    tcase_add_test(tcase, test_an_order_of_another_buyer_is_unknown);
    tcase_add_test(tcase, test_an_order_that_somebody_else_has_locked_stays_as_it_is);
    tcase_add_test(tcase, test_a_refund_behind_a_payment_of_its_batch_waits);
    tcase_add_test(tcase, test_goods_that_are_out_are_written_off);
    tcase_add_test(tcase, test_no_units_move_of_a_product_that_is_not_locked);
    tcase_add_test(tcase, test_goods_of_a_product_that_is_not_locked_are_not_written_off);
    tcase_add_test(tcase, test_a_full_batch_takes_no_more);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
