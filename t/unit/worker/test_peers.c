/* Who is dead, who is heard, and what a beat says: worker/observe/peers.c, worker/redis/beats.c. */
#include "observe/peers.h"

#include <string.h>

#include "redis/beats.h"
#include "suite.h"

#define MOST 4

static redisReply words[2 * MOST], *pointers[2 * MOST];


/* { name, value, … } up to NULL */
static redisReply
beats(const char *const *texts)
{
    size_t n = 0;

    for (; texts[n] != NULL; n++) {
        words[n] = (redisReply) { .type = REDIS_REPLY_STRING, .str = (char *) texts[n], .len = strlen(texts[n]) };
        pointers[n] = &words[n];
    }

    return (redisReply) { .type = REDIS_REPLY_ARRAY, .elements = n, .element = pointers };
}


#define LOOK(peers, now, ...) \
    do { \
        redisReply reply_ = beats((const char *const[]) { __VA_ARGS__, NULL }); \
        peers_look(peers, &reply_, now); \
    } while (0)


START_TEST(test_silent)
{
    struct peers peers;
    struct silent_consumer silent[MOST];

    peers_init(&peers);
    ck_assert_uint_eq(peers_silent(&peers, 0, silent, MOST), 0);
    LOOK(&peers, 10000, "a", "1.21", "b", "", "c", "9");
    LOOK(&peers, 12000, "c", "9", "a", "2.21", "b", "");
    ck_assert_uint_eq(peers_silent(&peers, 3000, silent, MOST), 0);
    LOOK(&peers, 13000, "a", "2.21", "b", "", "c", "8"); /* another value, also a smaller one, is a sign of life */
    ck_assert_uint_eq(peers_silent(&peers, 3000, silent, MOST), 1);
    ck_assert_str_eq(silent[0].name, "b");
    ck_assert_str_eq(silent[0].value, "");
    LOOK(&peers, 15000, "a", "2.21", "c", "8");
    ck_assert_uint_eq(peers_silent(&peers, 2000, silent, MOST), 2);
    ck_assert_uint_eq(peers_silent(&peers, 2000, silent, 1), 1);
    ck_assert_uint_eq(peers_silent(&peers, 3000, silent, MOST), 1);
    ck_assert_str_eq(silent[0].name, "a");
    ck_assert_str_eq(silent[0].value, "2.21");

    /* Nobody could be heard while Redis was away. */
    peers_forget(&peers);
    LOOK(&peers, 60000, "a", "2.21", "c", "8");
    ck_assert_uint_eq(peers_silent(&peers, 3000, silent, MOST), 0);
    LOOK(&peers, 63000, "a", "2.21", "c", "8");
    ck_assert_uint_eq(peers_silent(&peers, 3000, silent, MOST), 2);

    /* Who came back after he was gone was not silent. */
    LOOK(&peers, 64000, "c", "8");
    LOOK(&peers, 66000, "a", "2.21", "c", "8");
    ck_assert_uint_eq(peers_silent(&peers, 1000, silent, MOST), 1);
    peers_free(&peers);
}
END_TEST


START_TEST(test_reach_mysql)
{
    struct peers peers;

    peers_init(&peers);
    ck_assert_int_eq(peers_reach_mysql(&peers, "a", 3000), 0);
    LOOK(&peers, 1000, "a", "1.21", "b", "1.20", "c", "1");
    ck_assert_int_eq(peers_reach_mysql(&peers, "b", 3000), 1);
    ck_assert_int_eq(peers_reach_mysql(&peers, "a", 3000), 0);
    LOOK(&peers, 4000, "a", "1.21", "b", "2.20", "c", "2");
    ck_assert_int_eq(peers_reach_mysql(&peers, "b", 3000), 0); /* it is silent */
    peers_free(&peers);
}
END_TEST


START_TEST(test_beat)
{
    static const struct {
        const char *value;
        struct beat beat;
    } cases[] = {
        { "", { 0, 0 } },
        { "0", { 0, 0 } }, /* it left */
        { "1795244400123", { 1, 0 } },
        { "1795244400123.20", { 2, 0 } },
        { "1795244400123.21", { 2, 1 } },
        { "1795244400123.315", { 3, 1 } }, /* a later release may add to it */
        { "1795244400123.2", { 2, 0 } },
        { "1795244400123.", { 0, 0 } },
        { "1795244400123 x", { 0, 0 } },
        { "w-1 17", { 0, 0 } },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct beat beat = beat_read(cases[i].value);

        ck_assert_int_eq(beat.release, cases[i].beat.release);
        ck_assert_int_eq(beat.reaches_mysql, cases[i].beat.reaches_mysql);
    }

    ck_assert(beat_is_field("shop-1"));
    ck_assert(!beat_is_field("paused"));
    ck_assert(!beat_is_field("lease:recount"));
    ck_assert(!beat_is_field("batch:shop-1"));
    ck_assert(!beat_is_field("deaths"));
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker peers");
    TCase *tcase = tcase_create("peers");

    tcase_add_test(tcase, test_silent);
    tcase_add_test(tcase, test_reach_mysql);
    tcase_add_test(tcase, test_beat);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
