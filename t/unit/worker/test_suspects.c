/* Entries whose worker died with them in hand: worker/intake/suspects.c. */
#include "intake/suspects.h"

#include <string.h>

#include "suite.h"

#define MOST 8

static redisReply words[MOST], *pointers[MOST];


static redisReply
text(const char *s)
{
    return (redisReply) { .type = REDIS_REPLY_STRING, .str = (char *) s, .len = strlen(s) };
}


static redisReply
number(long long n)
{
    return (redisReply) { .type = REDIS_REPLY_INTEGER, .integer = n };
}


static redisReply
list(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        pointers[i] = &words[i];
    }

    return (redisReply) { .type = REDIS_REPLY_ARRAY, .elements = n, .element = pointers };
}


static void
tell(struct suspects *s)
{
    words[0] = text("7-1");
    words[1] = number(9);
    words[2] = text("5-12");
    words[3] = number(SUSPECT_DEATHS);
    words[4] = text("no id");
    words[5] = number(7);
    words[6] = text("5-3");
    words[7] = number(SUSPECT_DEATHS - 1);

    redisReply told = list(8);

    suspects_take(s, &told);
}


START_TEST(test_deaths)
{
    struct suspects s = { 0 };

    ck_assert_uint_eq(suspects_deaths(&s, "7-1"), 0);
    tell(&s);
    ck_assert_uint_eq(s.count, 2);
    ck_assert_uint_eq(suspects_deaths(&s, "7-1"), 9);
    ck_assert_uint_eq(suspects_deaths(&s, "5-12"), 5);
    ck_assert_uint_eq(suspects_deaths(&s, "5-3"), 0);
    ck_assert_uint_eq(suspects_deaths(&s, NULL), 0);

    suspects_take(&s, NULL); /* a heartbeat that told nothing */
    ck_assert_uint_eq(s.count, 2);

    redisReply none = { .type = REDIS_REPLY_ARRAY };

    suspects_take(&s, &none);
    ck_assert_uint_eq(s.count, 0);
    suspects_free(&s);
}
END_TEST


START_TEST(test_fewest_deaths_first)
{
    struct suspects s = { 0 };

    ck_assert_ptr_null(suspects_next(&s));
    tell(&s);
    ck_assert_uint_eq(suspects_next(&s)->deaths, SUSPECT_DEATHS);
    tell(&s); /* a heartbeat between */
    ck_assert_uint_eq(suspects_next(&s)->id.ms, 7);
    ck_assert_ptr_null(suspects_next(&s));
    ck_assert_uint_eq(suspects_next(&s)->id.ms, 5); /* it begins anew */
    suspects_free(&s);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker suspects");
    TCase *tcase = tcase_create("suspects");

    tcase_add_test(tcase, test_deaths);
    tcase_add_test(tcase, test_fewest_deaths_first);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
