/* The configuration: worker/base/config.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"
#include "suite.h"

static char path[] = "/tmp/checkout-config-XXXXXX";


/* Loads a file with that text; the reason in error where it is refused. */
static int
load(struct config *config, const char *text, char error[512])
{
    char name[sizeof path];

    strcpy(name, path);

    int fd = mkstemp(name);

    ck_assert_int_ne(fd, -1);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t) strlen(text));
    close(fd);

    int result = config_load(config, name, error, 512);

    unlink(name);
    return result;
}


START_TEST(test_defaults)
{
    struct config c;
    char error[512];

    ck_assert_int_eq(config_load(&c, NULL, error, sizeof error), 0);
    ck_assert_str_eq(c.redis.address, "127.0.0.1:6379");
    ck_assert_uint_eq(c.redis.database, 1);
    ck_assert_uint_eq(c.worker.payment_timeout, 1800000);
    ck_assert_uint_eq(c.worker.batch_orders, 256);
    ck_assert_uint_eq(c.log.level, LOG_LEVEL_INFO);
    ck_assert_ptr_null(c.mysql.password);
    ck_assert_uint_gt(strlen(c.worker.name), 2);
    config_free(&c);
}
END_TEST


START_TEST(test_values)
{
    struct config c;
    char error[512];

    ck_assert_int_eq(load(&c,
                          "; comment\n[redis]\naddress = unix:/run/redis.sock\n[worker]\npayment_timeout = 5m\n"
                          "dead_after=1500ms\n[log]\nlevel = debug\n",
                          error),
                     0);
    ck_assert_str_eq(c.redis.address, "unix:/run/redis.sock");
    ck_assert_uint_eq(c.worker.payment_timeout, 300000);
    ck_assert_uint_eq(c.worker.dead_after, 1500);
    ck_assert_uint_eq(c.log.level, LOG_LEVEL_DEBUG);
    config_free(&c);
}
END_TEST


static const struct {
    const char *text, *line, *word;
} refused[] = {
    { "[worker]\nthreads = 1\ntreads = 3\n", ":3: ", "[worker] treads: unknown option" },
    { "threads = 3\n", ":1: ", "unknown option" },
    { "[workers]\nthreads = 3\n", ":2: ", "[workers] threads: unknown option" },
    { "[worker]\nthreads = 0\n", ":2: ", "between 1 and 64" },
    { "[worker]\nthreads = many\n", ":2: ", "whole number" },
    { "[worker]\nthreads = 3 4\n", ":2: ", "whole number" },
    { "[worker]\npayment_timeout = 5 days\n", ":2: ", "time such as" },
    { "[worker]\npayment_timeout = 99999999999h\n", ":2: ", "time such as" },
    { "[worker]\nthreads = 1\nthreads = 2\n", ":3: ", "given twice" },
    { "[payment]\nmode = paypal\n", ":2: ", "webhook or gateway" },
    { "[payment]\nmode = gateway\n", "", "gateway needs gateway_url" },
    { "[payment]\ncurrency = twd\n", "", "capital letters" },
    { "[payment]\ncurrency = TWDX\n", ":2: ", "3 to 3 characters" },
    { "[payment]\ngateway_url = file:///etc/passwd\n", "", "http:// or https://" },
    { "[events]\nurl = https://shop.example/hook\n", "", "needs secret_file" },
    { "[events]\nurl = shop.example\n", "", "http:// or https://" },
    { "[events]\nsecret_file = /nonexistent/secret\n", "/nonexistent/secret", "No such file" },
    { "[log]\nlevel = loud\n", ":2: ", "debug, info" },
    { "[redis]\naddress =\n", ":2: ", "characters" },
    { "[worker]\nwhat is this\n", ":2: ", "neither" },
    { "[mysql]\npassword_file = /nowhere/at/all\n", "/nowhere/at/all", "no password" },
};


START_TEST(test_refused_by_name_and_line)
{
    struct config c;
    char error[512] = "";

    ck_assert_int_eq(load(&c, refused[_i].text, error), -1);
    ck_assert_msg(strstr(error, refused[_i].line) != NULL && strstr(error, refused[_i].word) != NULL, "%s", error);
}
END_TEST


START_TEST(test_environment_wins)
{
    struct config c;
    char error[512];

    setenv("CHECKOUT_WORKER_THREADS", "7", 1);
    ck_assert_int_eq(load(&c, "[worker]\nthreads = 2\n", error), 0);
    ck_assert_uint_eq(c.worker.threads, 7);
    config_free(&c);

    setenv("CHECKOUT_WORKER_THREADS", "x", 1);
    ck_assert_int_eq(load(&c, "", error), -1);
    ck_assert_ptr_nonnull(strstr(error, "CHECKOUT_WORKER_THREADS"));
    unsetenv("CHECKOUT_WORKER_THREADS");
}
END_TEST


START_TEST(test_printed_config_reads_back_and_holds_no_secret)
{
    struct config c, again;
    char error[512], secret[sizeof path], *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    strcpy(secret, path);

    int fd = mkstemp(secret);

    ck_assert_int_eq(write(fd, "tiger tiger\nrest\n", 17), 17);
    close(fd);
    setenv("CHECKOUT_MYSQL_PASSWORD_FILE", secret, 1);
    ck_assert_int_eq(config_load(&c, NULL, error, sizeof error), 0);
    ck_assert_str_eq(c.mysql.password, "tiger tiger");
    config_print(&c, out);
    fclose(out);
    ck_assert_ptr_null(strstr(text, "tiger"));
    unsetenv("CHECKOUT_MYSQL_PASSWORD_FILE");

    ck_assert_msg(load(&again, text, error) == 0, "%s", error);
    ck_assert_uint_eq(again.worker.payment_timeout, c.worker.payment_timeout);
    unlink(secret);
    free(text);
    config_free(&c);
    config_free(&again);
}
END_TEST


START_TEST(test_log_text_stays_on_its_line)
{
    char out[16];

    log_clean(out, sizeof out,
              "a\"b\nc\\d\x7f"
              "e");
    ck_assert_str_eq(out, "a'b c/d e");
    log_clean(out, 4, "abcdef");
    ck_assert_str_eq(out, "abc");
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker config");
    TCase *tcase = tcase_create("config");

    tcase_add_test(tcase, test_defaults);
    tcase_add_test(tcase, test_values);
    tcase_add_loop_test(tcase, test_refused_by_name_and_line, 0, sizeof refused / sizeof *refused);
    tcase_add_test(tcase, test_environment_wins);
    tcase_add_test(tcase, test_printed_config_reads_back_and_holds_no_secret);
    tcase_add_test(tcase, test_log_text_stays_on_its_line);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
