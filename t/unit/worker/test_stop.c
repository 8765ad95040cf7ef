/* The stop, the pause, and the waits that they end: worker/base/stop.c, pause.c, clock.c. */
#include <pthread.h>

#include "base/clock.h"
#include "base/pause.h"
#include "base/stop.h"
#include "suite.h"

#define LONG_MS 60000 /* longer than a test may take: a wait that nobody ends fails it */


static void *
end_pause(void *data)
{
    (void) stop_wait(20);
    pause_set(0);
    return data;
}


static void *
request_stop(void *data)
{
    (void) stop_wait(20);
    stop_request();
    return data;
}


static void
start(void *(*run)(void *) )
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, run, NULL), 0);
    (void) pthread_detach(thread);
}


START_TEST(test_waits_end_by_themselves)
{
    uint64_t begun = clock_ms();

    pause_set(1);
    ck_assert_int_eq(stop_wait(20), 0);
    ck_assert_int_eq(pause_wait(20), 0);
    ck_assert_uint_ge(clock_ms() - begun, 38);
    ck_assert_int_eq(pause_requested(), 1);
}
END_TEST


START_TEST(test_no_pause_no_wait)
{
    ck_assert_int_eq(pause_wait(LONG_MS), 0);
}
END_TEST


START_TEST(test_the_end_of_a_pause)
{
    pause_set(1);
    start(end_pause);
    ck_assert_int_eq(pause_wait(LONG_MS), 0);
    ck_assert_int_eq(pause_requested(), 0);
    ck_assert_int_eq(stop_requested(), 0);
}
END_TEST


/* A pause ends no wait that is not for it. */
START_TEST(test_the_stop)
{
    uint64_t begun = clock_ms();

    pause_set(1);
    start(end_pause);
    ck_assert_int_eq(stop_wait(60), 0);
    ck_assert_uint_ge(clock_ms() - begun, 59);

    start(request_stop);
    ck_assert_int_eq(stop_wait(LONG_MS), 1);
    pause_set(1);
    ck_assert_int_eq(pause_wait(LONG_MS), 1);
    ck_assert_int_eq(stop_wait(LONG_MS), 1);
}
END_TEST


START_TEST(test_times)
{
    struct timespec now = clock_after(0), later = clock_after(1999);

    ck_assert_int_lt(later.tv_nsec, 1000000000);
    ck_assert_int_ge((later.tv_sec - now.tv_sec) * 1000 + (later.tv_nsec - now.tv_nsec) / 1000000, 1998);
    ck_assert_uint_le(clock_ms(), clock_us() / 1000);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker stop");
    TCase *tcase = tcase_create("stop");

    tcase_add_test(tcase, test_waits_end_by_themselves);
    tcase_add_test(tcase, test_no_pause_no_wait);
    tcase_add_test(tcase, test_the_end_of_a_pause);
    tcase_add_test(tcase, test_the_stop);
    tcase_add_test(tcase, test_times);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
