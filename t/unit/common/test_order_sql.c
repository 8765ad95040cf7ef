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


static void
expect(const struct tombstone *tombstone, const char *row)
{
    struct buffer sql = { 0 };

    order_sql_add_tombstone(&sql, tombstone);
    buffer_add(&sql, "", 1);
    ck_assert_int_eq(sql.failed, 0);
    ck_assert_str_eq(sql.data, row);
    buffer_free(&sql);
}


/* Status and code come from records that anybody with access to Redis may have written. */
START_TEST(test_texts_of_a_tombstone_are_escaped)
{
    struct tombstone t = {
        .identifier = "017f22e2-79b0-7000-8000-000000000001 and more",
        .status = "failed",
        .failure_code = "",
        .user = UINT64_MAX,
        .product = 7,
        .quantity = 2
    };

    expect(&t, "('017f22e2-79b0-7000-8000-000000000001',18446744073709551615,'failed',NULL,0,NULL,7,2)");

    t.status = "a'b";
    t.failure_code = "\\";
    expect(&t, "('017f22e2-79b0-7000-8000-000000000001',18446744073709551615,'a\\'b','\\\\',0,NULL,7,2)");

    t.status = "'";
    t.failure_code = "\\');DROP TABLE orders;-- \"\n\xc3\xa9";
    expect(&t, "('017f22e2-79b0-7000-8000-000000000001',18446744073709551615,'\\'',"
               "'\\\\\\');DROP TABLE orders;-- \"\n\xc3\xa9',0,NULL,7,2)");
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("common order SQL");
    TCase *tcase = tcase_create("order SQL");

    tcase_add_test(tcase, test_live_statuses_are_those_of_the_life_cycle);
    tcase_add_test(tcase, test_texts_of_a_tombstone_are_escaped);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
