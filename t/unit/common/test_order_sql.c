/* Parts of SQL that several files share: common/order/order_sql.h. */
#include <stdio.h>
#include <string.h>

#include "lifecycle/rules.h"
#include "order/order_sql.h"
#include "suite.h"


START_TEST(test_live_statuses_are_those_of_the_life_cycle)
{
    char quoted[64];
    unsigned live = 0, named = 0;

    for (int s = 0; s < ORDER_STATUSES; s++) {
        snprintf(quoted, sizeof quoted, "'%s'", order_status_name((enum order_status) s));
        ck_assert_msg((strstr(ORDER_SQL_LIVE, quoted) != NULL) == (order_is_live((enum order_status) s) != 0), "%s",
                      quoted);
        live += order_is_live((enum order_status) s) != 0;
    }

    for (const char *p = ORDER_SQL_LIVE; *p != '\0'; p++) {
        named += *p == '\'';
    }

    ck_assert_uint_eq(named, 2 * live);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("common order SQL");
    TCase *tcase = tcase_create("order SQL");

    tcase_add_test(tcase, test_live_statuses_are_those_of_the_life_cycle);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
