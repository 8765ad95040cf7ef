/* What a run of a job on a MySQL server came to: ngx_module/sql/errors.c. */
#include "sql/errors.h"
#include "suite.h"


/* A run on a connection that was there, which ended with that error. */
static ngx_http_checkout_run_class_e
class_of(enum db_result result, unsigned code, int reused)
{
    ngx_http_checkout_run_end_t end = { .connected = 1, .reused = reused, .result = result, .code = code };

    return ngx_http_checkout_run_classify(&end);
}


START_TEST(a_run_without_an_error_is_done)
{
    ck_assert_int_eq(class_of(DB_OK, 0, 0), NGX_HTTP_CHECKOUT_RUN_DONE);
    ck_assert_int_eq(class_of(DB_OK, 0, 1), NGX_HTTP_CHECKOUT_RUN_DONE);
}
END_TEST


START_TEST(without_a_connection_another_server_is_asked)
{
    ngx_http_checkout_run_end_t end = { .connected = 0 };

    for (int result = DB_OK; result <= DB_POISON; result++) {
        end.result = result;
        ck_assert_int_eq(ngx_http_checkout_run_classify(&end), NGX_HTTP_CHECKOUT_RUN_FAILED);
    }
}
END_TEST


START_TEST(data_that_is_refused_is_refused_by_every_server)
{
    ck_assert_int_eq(class_of(DB_POISON, 1406, 1), NGX_HTTP_CHECKOUT_RUN_REFUSED);
}
END_TEST


START_TEST(a_job_that_lost_is_run_again_but_not_for_ever)
{
    ngx_http_checkout_run_end_t end = { .connected = 1, .result = DB_AGAIN, .code = 1213 };

    end.repeats = NGX_HTTP_CHECKOUT_REPEATS_MAX;
    ck_assert_int_eq(ngx_http_checkout_run_classify(&end), NGX_HTTP_CHECKOUT_RUN_LOST);

    end.repeats = NGX_HTTP_CHECKOUT_REPEATS_MAX + 1;
    ck_assert_int_eq(ngx_http_checkout_run_classify(&end), NGX_HTTP_CHECKOUT_RUN_WRONG);
}
END_TEST


/* MySQL's max_execution_time and MariaDB's max_statement_time. */
START_TEST(a_statement_whose_time_is_over_is_slow)
{
    ck_assert_int_eq(class_of(DB_RETRY, 3024, 1), NGX_HTTP_CHECKOUT_RUN_SLOW);
    ck_assert_int_eq(class_of(DB_RETRY, 1969, 0), NGX_HTTP_CHECKOUT_RUN_SLOW);
}
END_TEST


START_TEST(a_lock_that_is_kept_is_no_fault_of_the_server)
{
    ck_assert_int_eq(class_of(DB_RETRY, 1205, 0), NGX_HTTP_CHECKOUT_RUN_LOCKED);
}
END_TEST


/* Only a connection that was idle may have been closed meanwhile. */
START_TEST(a_session_that_ended_is_opened_again_where_it_was_idle)
{
    static const unsigned codes[] = { 2006, 2013, 1053, 1927, 3169, 4031, 1158, 1159, 1160, 1161 };

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        ck_assert_int_eq(class_of(DB_RETRY, codes[i], 1), NGX_HTTP_CHECKOUT_RUN_STALE);
        ck_assert_int_eq(class_of(DB_RETRY, codes[i], 0), NGX_HTTP_CHECKOUT_RUN_FAILED);
    }
}
END_TEST


START_TEST(trouble_of_the_server_is_no_fault_of_the_statement)
{
    static const unsigned codes[] = { 1021, 1026, 1030, 1037, 1038, 1040, 1041, 1077, 1079, 1080,
                                      1114, 1129, 1130, 1194, 1195, 1203, 1226, 1290, 1792, 1836 };

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        ck_assert_int_eq(class_of(DB_RETRY, codes[i], 0), NGX_HTTP_CHECKOUT_RUN_FAILED);
        ck_assert_int_eq(class_of(DB_RETRY, codes[i], 1), NGX_HTTP_CHECKOUT_RUN_FAILED);
    }
}
END_TEST


/* No such table, a syntax error, no permission, an error of our own, and a number that nobody knows. */
START_TEST(everything_else_is_the_statements_fault)
{
    static const unsigned codes[] = { 1146, 1064, 1142, 0, 4999, 1999, 3000 };

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        ck_assert_int_eq(class_of(DB_RETRY, codes[i], 1), NGX_HTTP_CHECKOUT_RUN_WRONG);
    }
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("errors");
    TCase *tcase = tcase_create("errors");

    tcase_add_test(tcase, a_run_without_an_error_is_done);
    tcase_add_test(tcase, without_a_connection_another_server_is_asked);
    tcase_add_test(tcase, data_that_is_refused_is_refused_by_every_server);
    tcase_add_test(tcase, a_job_that_lost_is_run_again_but_not_for_ever);
    tcase_add_test(tcase, a_statement_whose_time_is_over_is_slow);
    tcase_add_test(tcase, a_lock_that_is_kept_is_no_fault_of_the_server);
    tcase_add_test(tcase, a_session_that_ended_is_opened_again_where_it_was_idle);
    tcase_add_test(tcase, trouble_of_the_server_is_no_fault_of_the_statement);
    tcase_add_test(tcase, everything_else_is_the_statements_fault);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
