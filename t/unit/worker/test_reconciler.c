/* What the reconciler does with what it finds: worker/repair/reconciler.c and sync.c. */
#include <string.h>

#include "repair/reconciler.h"
#include "repair/sync.h"
#include "suite.h"


#define MISSING GATE_MISSING

static const struct {
    const char *what;
    int64_t stock, version, register_stock, in_flight, sum;
    int found;
    int64_t row_stock;
    uint64_t row_version;
    enum reconcile_action action;
} cases[] = {
    { "at rest", 10, 3, 10, 0, 0, 1, 10, 3, RECONCILE_NONE },
    { "in flight", 6, 3, 10, 4, 4, 1, 10, 3, RECONCILE_NONE },
    { "W17: more in flight than there is", 0, 3, 2, 4, 4, 1, 2, 3, RECONCILE_NONE },
    { "not summed", 6, 3, 10, 4, MISSING, 1, 10, 3, RECONCILE_NONE },
    { "W16: MySQL newer", 10, 3, 10, 0, 0, 1, 7, 4, RECONCILE_PUSH },
    { "S2: MySQL older", 10, 5, 10, 0, 0, 1, 7, 4, RECONCILE_RECOVER },
    { "W19: edited by hand", 10, 4, 10, 0, 0, 1, 7, 4, RECONCILE_RAISE },
    { "W18: stock key gone", MISSING, 4, 10, 0, 0, 1, 10, 4, RECONCILE_SET_STOCK },
    { "stock key wrong", 11, 4, 10, 0, 0, 1, 10, 4, RECONCILE_SET_STOCK },
    { "W18: register gone", 10, -1, MISSING, 0, 0, 1, 10, 4, RECONCILE_LOAD },
    { "W18: register gone, product too", 10, -1, MISSING, 0, 0, 0, 0, 0, RECONCILE_FORGET },
    { "both keys gone", MISSING, -1, MISSING, 0, 0, 1, 10, 4, RECONCILE_FORGET },
    { "W8: product gone", 10, 4, 10, 0, 0, 0, 0, 0, RECONCILE_CLOSE },
    { "in flight is for the passes to check", 6, 3, 10, 4, 2, 1, 10, 3, RECONCILE_NONE },
    { "register without a version", 10, -1, 10, 0, 0, 1, 10, 4, RECONCILE_PUSH },
};


START_TEST(test_reconciler)
{
    struct gate_product g = {
        .id = 17,
        .stock = cases[_i].stock,
        .version = cases[_i].version,
        .register_stock = cases[_i].register_stock,
        .in_flight = cases[_i].in_flight,
        .in_flight_sum = cases[_i].sum,
        .terms.state = "open"
    };
    struct product_row row = {
        .id = 17,
        .found = cases[_i].found,
        .stock = cases[_i].row_stock,
        .version = cases[_i].row_version,
        .terms.state = "open"
    };

    ck_assert_msg(reconciler_judge(&g, &row) == cases[_i].action, "%s", cases[_i].what);
}
END_TEST


START_TEST(test_reconciler_terms)
{
    struct gate_product g = { .stock = 5, .version = 2, .register_stock = 5, .terms.state = "open" };
    struct product_row row = { .found = 1, .stock = 5, .version = 2, .terms.state = "open" };

    row.terms.per_user_limit = 3;
    ck_assert_int_eq(reconciler_judge(&g, &row), RECONCILE_RAISE);
    ck_assert_int_eq(sync_must_raise(&g, &row), 1);

    row.version = 3;
    ck_assert_int_eq(reconciler_judge(&g, &row), RECONCILE_PUSH);

    /* Closed for a product that is gone: nothing is left to do. */
    row.found = 0;
    g.register_stock = g.stock = 0;
    strcpy(g.terms.state, "closed");
    ck_assert_int_eq(reconciler_judge(&g, &row), RECONCILE_NONE);
}
END_TEST


/* A register that holds no number where one belongs contradicts MySQL whatever the rest says. */
START_TEST(test_reconciler_damage)
{
    struct gate_product g = { .stock = 5, .version = 2, .register_stock = 5, .damaged = 1, .terms.state = "open" };
    struct product_row row = { .found = 1, .stock = 5, .version = 2, .terms.state = "open" };

    ck_assert_int_eq(reconciler_judge(&g, &row), RECONCILE_RAISE);
    row.version = 3;
    ck_assert_int_eq(reconciler_judge(&g, &row), RECONCILE_RAISE);
    row.found = 0;
    g.register_stock = g.stock = 0;
    strcpy(g.terms.state, "closed");
    ck_assert_int_eq(reconciler_judge(&g, &row), RECONCILE_NONE);
}
END_TEST


/* S2: a product that is being recovered is left alone, until its row is newer than what the gate knows. */
START_TEST(test_reconciler_recovering)
{
    struct gate_product g = { .stock = 5, .version = 9, .register_stock = 6, .recovering = 1, .terms.state = "open" };
    struct product_row row = { .found = 1, .stock = 4, .version = 7, .terms.state = "open" };

    ck_assert_int_eq(reconciler_judge(&g, &row), RECONCILE_NONE);
    row.version = 10;
    ck_assert_int_eq(reconciler_judge(&g, &row), RECONCILE_RECOVER);
    row.found = 0;
    ck_assert_int_eq(reconciler_judge(&g, &row), RECONCILE_NONE);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker reconciler");
    TCase *tcase = tcase_create("reconciler");

    tcase_add_loop_test(tcase, test_reconciler, 0, sizeof cases / sizeof *cases);
    tcase_add_test(tcase, test_reconciler_terms);
    tcase_add_test(tcase, test_reconciler_damage);
    tcase_add_test(tcase, test_reconciler_recovering);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
