/* The table from identifiers to numbers: worker/base/identifier_table.c. */
#include <stdio.h>

#include "base/identifier_table.h"
#include "order/identifier.h"
#include "suite.h"


START_TEST(test_added_and_found)
{
    struct identifier_table table = { 0 };
    static char ids[500][CHECKOUT_IDENTIFIER_LEN + 1];

    for (int round = 0; round < 2; round++) {
        identifier_table_prepare(&table, 500);

        for (size_t i = 0; i < 500; i++) {
            snprintf(ids[i], sizeof ids[i], "01a1fc4d-a3c0-7000-a938-%012zu", i);
            ck_assert_uint_eq(identifier_table_add(&table, ids[i], i), i);
        }

        ck_assert_uint_eq(identifier_table_add(&table, ids[7], 9), 7);
        ck_assert_uint_eq(identifier_table_find(&table, ids[499]), 499);
        ck_assert_uint_eq(identifier_table_find(&table, "01a1fc4d-a3c0-7000-a938-43790cd90f5a"), IDENTIFIER_TABLE_NONE);
    }

    identifier_table_free(&table);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker identifier table");
    TCase *tcase = tcase_create("identifier table");

    tcase_add_test(tcase, test_added_and_found);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
