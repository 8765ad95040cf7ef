/* What an error number of MySQL means for a transaction: common/mysql/db.c. */
#include "mysql/db.h"
#include "suite.h"


START_TEST(test_W6_W20_unknown_means_environmental)
{
    /* read-only, too many connections, disk full, killed, no grant, timeout, lost, and what nobody has seen yet */
    static const unsigned retried[] = { 1290, 1836, 1040, 1021, 1114, 1317, 1142, 1205, 3024, 1969, 2006, 2013, 1927, 9999 };

    for (size_t i = 0; i < sizeof retried / sizeof *retried; i++) {
        ck_assert_int_eq(db_class(retried[i]), DB_RETRY);
    }

    ck_assert_int_eq(db_class(1062), DB_AGAIN);
    ck_assert_int_eq(db_class(1213), DB_AGAIN);
    ck_assert_int_eq(db_class(1264), DB_POISON);
    ck_assert_int_eq(db_class(1406), DB_POISON);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("common db errors");
    TCase *tcase = tcase_create("db errors");

    tcase_add_test(tcase, test_W6_W20_unknown_means_environmental);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
