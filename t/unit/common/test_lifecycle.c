/*
 * The table of the order's life, amounts of money, bodies of payment events: common/lifecycle/rules.c, money.c,
 * payment_event.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkout_scripts.h"
#include "lifecycle/payment_event.h"
#include "lifecycle/payments.h"
#include "lifecycle/rules.h"
#include "suite.h"
#include "text/money.h"

#define ID    "01a1fc4d-a3c0-7000-a938-43790cd90f5a"
#define FACTS 512


/* --- the table, for every status, event and combination of facts -------------------------------------------------- */


static struct order_facts
facts_number(unsigned i)
{
    return (struct order_facts) {
        .due = i & 1,
        .currency_right = i >> 1 & 1,
        .amount_right = i >> 2 & 1,
        .same_payment = i >> 3 & 1,
        .too_old = i >> 4 & 1,
        .stock_suffices = i >> 5 & 1,
        .without_items = i >> 6 & 1,
        .paid_twice = i >> 7 & 1,
        .archived = i >> 8 & 1
    };
}


#define FOR_EACH_STEP(s, e, f) \
    for (enum order_status s = ORDER_UNKNOWN; s < ORDER_STATUSES; s++) \
        for (enum order_event e = EVENT_PAYMENT_SUCCEEDED; e < ORDER_EVENTS; e++) \
            for (unsigned f = 0; f < FACTS; f++)


START_TEST(test_nothing_leads_back)
{
    FOR_EACH_STEP(s, e, f)
    {
        struct order_facts facts = facts_number(f);
        struct lifecycle_decision step = lifecycle_decide(s, e, &facts);

        ck_assert_int_lt(step.outcome, EVENT_OUTCOMES);
        ck_assert_msg(step.status == s || order_status_rank(step.status) > order_status_rank(s), "%s to %s",
                      order_status_name(s), order_status_name(step.status));
    }
}
END_TEST


START_TEST(test_gate_ranks_statuses_the_same)
{
    for (enum order_status s = ORDER_PENDING_PAYMENT; s < ORDER_STATUSES; s++) {
        char line[64];

        snprintf(line, sizeof(line), " %s = %d,", order_status_name(s), order_status_rank(s));
        ck_assert_msg(strstr(checkout_script_transition.source, line) != NULL, "record.lua has no \"%s\"", line);
    }
}
END_TEST


/* Law 1: units are in the stock or in a live order. */
START_TEST(test_stock_follows_the_order)
{
    FOR_EACH_STEP(s, e, f)
    {
        struct order_facts facts = facts_number(f);
        struct lifecycle_decision step = lifecycle_decide(s, e, &facts);
        int before = order_is_live(s), after = order_is_live(step.status);

        if (before == after) {
            ck_assert_int_eq(step.stock, STOCK_UNCHANGED);
        } else if (after) {
            ck_assert_int_eq(step.stock, STOCK_TAKEN);
            ck_assert(facts.stock_suffices);
        } else {
            ck_assert_int_eq(step.stock, s == ORDER_COMPLETED ? STOCK_WRITTEN_OFF : STOCK_RETURNED);
        }
    }
}
END_TEST


START_TEST(test_law_6_what_is_paid_stays_paid)
{
    static const enum order_event by_itself[] = {
        EVENT_PAYMENT_SUCCEEDED, EVENT_PAYMENT_FAILED, EVENT_EXPIRE, EVENT_CANCEL
    };

    for (unsigned f = 0; f < FACTS; f++) {
        for (size_t i = 0; i < sizeof(by_itself) / sizeof(by_itself[0]); i++) {
            struct order_facts facts = facts_number(f);

            ck_assert_int_eq(lifecycle_decide(ORDER_PAID, by_itself[i], &facts).status, ORDER_PAID);
            ck_assert_int_eq(lifecycle_decide(ORDER_COMPLETED, by_itself[i], &facts).status, ORDER_COMPLETED);
        }
    }
}
END_TEST


/* Money that came is in an order, or goes back, or is flagged, or the event waits. */
START_TEST(test_no_money_is_lost)
{
    for (enum order_status s = ORDER_UNKNOWN; s < ORDER_STATUSES; s++) {
        for (unsigned f = 0; f < FACTS; f++) {
            struct order_facts facts = facts_number(f);
            enum event_outcome out = lifecycle_decide(s, EVENT_PAYMENT_SUCCEEDED, &facts).outcome;

            ck_assert(out == OUTCOME_PAID || out == OUTCOME_PAID_LATE || out == OUTCOME_REPEAT || out == OUTCOME_WAITS
                      || outcome_is_flagged(out));
            ck_assert(out != OUTCOME_REPEAT || facts.same_payment);
        }
    }
}
END_TEST


/* Goods that somebody paid for never come back on sale because another payment of them went back. */
START_TEST(test_one_of_two_payments_goes_back)
{
    for (unsigned f = 0; f < FACTS; f++) {
        struct order_facts facts = facts_number(f);

        if (facts.paid_twice) {
            struct lifecycle_decision step = lifecycle_decide(ORDER_PAID, EVENT_PAYMENT_REFUNDED, &facts);

            ck_assert_int_eq(step.status, ORDER_PAID);
            ck_assert_int_eq(step.stock, STOCK_UNCHANGED);
        }
    }
}
END_TEST


/* An event after itself does nothing. */
START_TEST(test_events_repeat)
{
    FOR_EACH_STEP(s, e, f)
    {
        struct order_facts facts = facts_number(f);
        struct lifecycle_decision step = lifecycle_decide(s, e, &facts);

        if (step.status == s) {
            continue;
        }

        facts.same_payment = 1;
        facts.without_items &= step.stock != STOCK_TAKEN;
        ck_assert_int_eq(lifecycle_decide(step.status, e, &facts).status, step.status);
    }
}
END_TEST


/* A stub stays as it is; whoever moves money for it is told of. */
START_TEST(test_S13_a_stub_never_changes)
{
    FOR_EACH_STEP(s, e, f)
    {
        struct order_facts facts = facts_number(f);

        if (!facts.archived || s == ORDER_UNKNOWN || s == ORDER_PENDING_PAYMENT) {
            continue;
        }

        struct lifecycle_decision step = lifecycle_decide(s, e, &facts);

        ck_assert_int_eq(step.status, s);
        ck_assert_int_eq(step.stock, STOCK_UNCHANGED);
        ck_assert_int_eq(outcome_is_flagged(step.outcome), e != EVENT_PAYMENT_FAILED && e != EVENT_EXPIRE);
    }
}
END_TEST


START_TEST(test_names)
{
    for (enum order_status s = ORDER_PENDING_PAYMENT; s < ORDER_STATUSES; s++) {
        ck_assert_int_eq(order_status_parse(order_status_name(s), strlen(order_status_name(s))), s);
    }

    for (enum event_outcome o = 0; o < EVENT_OUTCOMES; o++) {
        ck_assert_ptr_nonnull(event_outcome_name(o));
    }

    for (enum order_event e = 0; e < ORDER_EVENTS; e++) {
        ck_assert_ptr_nonnull(order_event_name(e));
    }

    ck_assert_int_eq(order_status_parse("queued", 6), ORDER_UNKNOWN);
    ck_assert_int_eq(order_status_parse("paidx", 5), ORDER_UNKNOWN);
}
END_TEST


/* --- money -------------------------------------------------------------------------------------------------------- */


static const struct {
    const char *text;
    int result;
    uint64_t hundredths;
} amounts[] = {
    { "19.80", 0, 1980 },   { "19.8", 0, 1980 }, { "19", 0, 1900 },
    { "0.05", 0, 5 },       { "0.50", 0, 50 },   { "007.10", 0, 710 },
    { "19.8000", 0, 1980 }, { "0", 0, 0 },       { "19.801", -1, 0 },
    { "", -1, 0 },          { ".5", -1, 0 },     { "5.", -1, 0 },
    { "-1", -1, 0 },        { "+1", -1, 0 },     { "1e3", -1, 0 },
    { "1,000.00", -1, 0 },  { " 1", -1, 0 },     { "1 ", -1, 0 },
    { "1.2.3", -1, 0 },     { "0x10", -1, 0 },   { "99999999999999999999", -1, 0 },
};


START_TEST(test_amounts)
{
    uint64_t value = 0;

    ck_assert_int_eq(money_parse(&value, amounts[_i].text, strlen(amounts[_i].text)), amounts[_i].result);
    ck_assert_uint_eq(amounts[_i].result == 0 ? value : 0, amounts[_i].hundredths);
}
END_TEST


/* Nothing wraps around near the end of 64 bits. */
START_TEST(test_large_amounts)
{
    uint64_t value = 0;

    ck_assert_int_eq(money_parse(&value, "184467440737095515.99", 21), 0);
    ck_assert_uint_eq(value, 18446744073709551599U);
    ck_assert_int_eq(money_parse(&value, "184467440737095517.00", 21), -1);
    ck_assert_int_eq(money_parse(&value, "1844674407370955160.00", 22), -1);
    ck_assert_int_eq(money_parse(&value, "18446744073709551616.00", 23), -1);
}
END_TEST


static const struct {
    const char *text, *currency;
    int result;
    uint64_t hundredths;
} minor[] = {
    { "1980", "TWD", 0, 1980 }, { "500", "JPY", 0, 50000 }, { "5120", "KWD", 0, 512 },
    { "5124", "KWD", -1, 0 },   { "500", "UGX", 0, 500 },   { "100", "ISK", 0, 100 },
    { "1", "VND", 0, 100 },     { "1000", "TND", 0, 100 },  { "19.80", "TWD", -1, 0 },
    { "1e3", "TWD", -1, 0 },    { "-5", "TWD", -1, 0 },     { "", "TWD", -1, 0 },
    { "null", "TWD", -1, 0 },   { "\"5\"", "TWD", -1, 0 },  { "99999999999999999999", "USD", -1, 0 },
};


START_TEST(test_minor_units)
{
    uint64_t value = 0;

    int result = money_parse_minor(&value, minor[_i].text, strlen(minor[_i].text), minor[_i].currency);

    ck_assert_int_eq(result, minor[_i].result);
    ck_assert_uint_eq(minor[_i].result == 0 ? value : 0, minor[_i].hundredths);
}
END_TEST


/* --- bodies ------------------------------------------------------------------------------------------------------- */


static struct payment_event
read_event(const char *provider, const char *body)
{
    struct payment_event e;

    payment_event_read(&e, provider, body, strlen(body));
    return e;
}


START_TEST(test_standard_event)
{
    struct payment_event e = read_event("standard",
                                        "{\"type\":\"payment.succeeded\",\"data\":{\"order_identifier\":\"" ID "\","
                                        "\"payment_id\":\"p-1\",\"amount\":\"39.60\",\"currency\":\"twd\"}}");

    ck_assert_int_eq(e.kind, PAYMENT_EVENT_CHANGE);
    ck_assert_int_eq(e.event, EVENT_PAYMENT_SUCCEEDED);
    ck_assert_str_eq(e.identifier, ID);
    ck_assert_str_eq(e.payment_id, "p-1");
    ck_assert_uint_eq(e.amount, 3960);
    ck_assert_str_eq(e.currency, "TWD");
}
END_TEST


/* The digits come from the place that the path leads to, whatever stands elsewhere. */
START_TEST(test_stripe_amount_is_found)
{
    struct payment_event e = read_event(
        "stripe",
        "{ \"amount_total\": 1, \"note\": \"\\\"data\\\":{\\\"object\\\":{\\\"amount_total\\\":2}}\", \"type\" :\n"
        "\"checkout.session.completed\", \"data\" : { \"previous\":\n"
        " {\"amount_total\": 3, \"object\": [{}, \"}\", 4]},\n"
        " \"object\" : {\"items\":[{\"amount_total\":5}], \"amount_total\" : 9007199254740993 , \"currency\":\"usd\",\n"
        " \"payment_intent\":\"pi_1\", \"payment_status\":\"paid\", \"metadata\":{\"order_identifier\":\"" ID "\"}}}}");

    ck_assert_int_eq(e.kind, PAYMENT_EVENT_CHANGE);
    ck_assert_uint_eq(e.amount, 9007199254740993); /* 2^53 + 1: no double holds it */
}
END_TEST


static const struct {
    const char *provider, *body;
    enum payment_event_kind kind;
} bodies[] = {
    { "standard", "", PAYMENT_EVENT_MALFORMED },
    { "standard", "nothing", PAYMENT_EVENT_MALFORMED },
    { "standard", "[1]", PAYMENT_EVENT_MALFORMED },
    { "standard", "{}", PAYMENT_EVENT_MALFORMED },
    { "standard", "{\"type\":5}", PAYMENT_EVENT_MALFORMED },
    { "standard", "{\"type\":\"order.paid\"}", PAYMENT_EVENT_OTHER },
    { "standard", "{\"type\":\"order.paid\"} {}", PAYMENT_EVENT_MALFORMED },
    { "standard", "{\"type\":\"payment.failed\",\"data\":{\"order_identifier\":\"" ID "\"}}", PAYMENT_EVENT_CHANGE },
    { "standard", "{\"type\":\"payment.failed\",\"data\":{\"order_identifier\":\"" ID "0\"}}",
      PAYMENT_EVENT_MALFORMED },
    { "standard", "{\"type\":\"payment.failed\",\"data\":[]}", PAYMENT_EVENT_MALFORMED },
    { "standard",
      "{\"type\":\"payment.succeeded\",\"data\":{\"order_identifier\":\"" ID "\","
      "\"payment_id\":\"a b\","
      "\"amount\":\"1\",\"currency\":\"TWD\"}}",
      PAYMENT_EVENT_MALFORMED },
    { "standard",
      "{\"type\":\"payment.succeeded\",\"data\":{\"order_identifier\":\"" ID "\","
      "\"payment_id\":\"p\","
      "\"amount\":\"1\",\"currency\":\"TWDX\"}}",
      PAYMENT_EVENT_MALFORMED },
    { "standard",
      "{\"type\":\"payment.refunded\",\"data\":{\"order_identifier\":\"" ID "\",\"payment_id\":\"p\","
      "\"amount\":\"1\",\"currency\":\"TWD\"}}",
      PAYMENT_EVENT_CHANGE },
    { "stripe",
      "{\"type\":\"payment_intent.succeeded\",\"data\":{\"object\":{\"id\":\"p\",\"amount_received\":5,"
      "\"currency\":\"twd\",\"metadata\":{\"order_identifier\":\"" ID "\"}}}}",
      PAYMENT_EVENT_CHANGE },
    { "stripe",
      "{\"type\":\"payment_intent.succeeded\",\"data\":{\"object\":{\"id\":\"p\",\"amount_received\":5.0,"
      "\"currency\":\"twd\",\"metadata\":{\"order_identifier\":\"" ID "\"}}}}",
      PAYMENT_EVENT_MALFORMED },
    { "stripe",
      "{\"type\":\"payment_intent.succeeded\",\"data\":{\"object\":{\"id\":\"p\","
      "\"currency\":\"twd\",\"metadata\":{\"order_identifier\":\"" ID "\"}}}}",
      PAYMENT_EVENT_MALFORMED },
    { "stripe", "{\"type\":\"payment_intent.succeeded\",\"data\":{\"object\":{\"id\":\"p\"}}}", PAYMENT_EVENT_OTHER },
    { "stripe",
      "{\"type\":\"payment_intent.succeeded\",\"data\":{\"object\":{\"metadata\":"
      "{\"order_identifier\":null}}}}",
      PAYMENT_EVENT_MALFORMED },
    { "stripe",
      "{\"type\":\"checkout.session.async_payment_succeeded\",\"data\":{\"object\":{\"payment_intent\":\"p\","
      "\"payment_status\":\"paid\",\"amount_total\":1980,\"currency\":\"twd\",\"metadata\":{\"order_identifier\":\"" ID
      "\"}}}}",
      PAYMENT_EVENT_CHANGE },
    { "stripe",
      "{\"type\":\"checkout.session.async_payment_failed\",\"data\":{\"object\":{\"payment_intent\":\"p\","
      "\"payment_status\":\"unpaid\",\"metadata\":{\"order_identifier\":\"" ID "\"}}}}",
      PAYMENT_EVENT_CHANGE },
    { "gate",
      "{\"type\":\"payment.succeeded\",\"data\":{\"order_identifier\":\"" ID "\",\"amount\":\"19.80\","
      "\"currency\":\"TWD\"}}",
      PAYMENT_EVENT_CHANGE },
    { "standard",
      "{\"type\":\"payment.succeeded\",\"data\":{\"order_identifier\":\"" ID "\",\"amount\":\"19.80\","
      "\"currency\":\"TWD\"}}",
      PAYMENT_EVENT_MALFORMED },
    { "stripe", "{\"type\":\"invoice.paid\",\"data\":{\"object\":{\"metadata\":{\"order_identifier\":\"" ID "\"}}}}",
      PAYMENT_EVENT_OTHER },
};


START_TEST(test_bodies)
{
    ck_assert_int_eq(read_event(bodies[_i].provider, bodies[_i].body).kind, bodies[_i].kind);
}
END_TEST


/* P7: half a second at first, a minute at last. */
START_TEST(test_events_wait)
{
    unsigned before = 0;

    ck_assert_uint_eq(payments_wait_ms(0), 500);

    for (unsigned tries = 0; tries < 5000; tries++) {
        ck_assert_uint_ge(payments_wait_ms(tries), before);
        before = payments_wait_ms(tries);
    }

    ck_assert_uint_eq(before, 60000);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("lifecycle");
    TCase *tests = tcase_create("tests");

    tcase_add_test(tests, test_nothing_leads_back);
    tcase_add_test(tests, test_gate_ranks_statuses_the_same);
    tcase_add_test(tests, test_stock_follows_the_order);
    tcase_add_test(tests, test_law_6_what_is_paid_stays_paid);
    tcase_add_test(tests, test_no_money_is_lost);
    tcase_add_test(tests, test_one_of_two_payments_goes_back);
    tcase_add_test(tests, test_events_repeat);
    tcase_add_test(tests, test_S13_a_stub_never_changes);
    tcase_add_test(tests, test_names);
    tcase_add_loop_test(tests, test_amounts, 0, sizeof amounts / sizeof *amounts);
    tcase_add_test(tests, test_large_amounts);
    tcase_add_loop_test(tests, test_minor_units, 0, sizeof minor / sizeof *minor);
    tcase_add_test(tests, test_standard_event);
    tcase_add_test(tests, test_stripe_amount_is_found);
    tcase_add_loop_test(tests, test_bodies, 0, sizeof bodies / sizeof *bodies);
    tcase_add_test(tests, test_events_wait);
    suite_add_tcase(suite, tests);

    return suite_run(suite);
}
