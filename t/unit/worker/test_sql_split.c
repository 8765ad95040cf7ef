/* A file of SQL divided into statements: worker/ctl/sql_split.c. */
#include <string.h>

#include "ctl/sql_split.h"
#include "suite.h"


START_TEST(test_sql_is_divided)
{
    const char *at = " -- a; comment\n# another;\nCREATE TABLE t (c CHAR(1) DEFAULT ';' COMMENT 'it''s; \\'x');;\n"
                     "/* b; */ INSERT INTO `a;b` VALUES (1--1) /*! ; */; SELECT \"x;\" -- end;\n;\n -- rest";
    static const char *const statements[] = {
        "CREATE TABLE t (c CHAR(1) DEFAULT ';' COMMENT 'it''s; \\'x')",
        "INSERT INTO `a;b` VALUES (1--1) /*! ; */",
        "SELECT \"x;\" -- end;\n",
    };
    size_t len;

    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        const char *statement = sql_next_statement(&at, &len);

        ck_assert_ptr_nonnull(statement);
        ck_assert_uint_eq(len, strlen(statements[i]));
        ck_assert_int_eq(memcmp(statement, statements[i], len), 0);
    }

    ck_assert_ptr_null(sql_next_statement(&at, &len));
    ck_assert_ptr_null(sql_next_statement(&at, &len));
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker sql split");
    TCase *tcase = tcase_create("sql split");

    tcase_add_test(tcase, test_sql_is_divided);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
