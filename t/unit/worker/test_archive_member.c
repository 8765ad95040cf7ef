/* The archive's file: worker/ctl/archive_member.c, archive_file.c. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/archive_file.h"
#include "ctl/archive_member.h"
#include "suite.h"

static char path[64];


/* A name of which there is a file with that text. */
static void
make_file(const char *text)
{
    strcpy(path, "/tmp/checkout-archive-XXXXXX");

    int fd = mkstemp(path);

    ck_assert_int_ne(fd, -1);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t) strlen(text));
    ck_assert_int_eq(close(fd), 0);
}


static off_t
size_now(void)
{
    struct stat status;

    ck_assert_int_eq(stat(path, &status), 0);
    return status.st_size;
}


static void
add(struct archive_file *file, const char *lines)
{
    struct buffer text = { 0 };

    buffer_text(&text, lines);
    ck_assert_msg(archive_file_add(file, &text) == 0, "%s", file->error);
    buffer_free(&text);
}


/* What zcat makes of the file. */
static void
text_is(const char *wanted)
{
    char command[128], text[256];

    snprintf(command, sizeof(command), "gzip -dc < %s", path);

    FILE *out = popen(command, "r");

    ck_assert_ptr_nonnull(out);

    size_t len = fread(text, 1, sizeof(text) - 1, out);

    text[len] = '\0';
    ck_assert_int_eq(pclose(out), 0);
    ck_assert_str_eq(text, wanted);
}


START_TEST(test_a_member_says_how_long_it_is)
{
    struct buffer member = { 0 };

    ck_assert_int_eq(archive_member_add(&member, "a line\n", 7), 0);

    const unsigned char *bytes = (const unsigned char *) member.data;

    ck_assert_uint_eq(archive_member_length(bytes), member.len);
    ck_assert_int_eq(archive_member_is_whole(bytes, member.len), 1);
    ck_assert_int_eq(archive_member_is_whole(bytes, member.len - 1), 0);
    ck_assert_int_eq(archive_member_may_begin(bytes, 3), 1);
    ck_assert_int_eq(archive_member_may_begin((const unsigned char *) "hello", 5), 0);

    for (size_t i = 0; i < member.len; i++) {
        member.data[i] = (char) (member.data[i] ^ 0x01);
        ck_assert_msg(archive_member_is_whole(bytes, member.len) == 0, "byte %zu", i);
        member.data[i] = (char) (member.data[i] ^ 0x01);
    }

    buffer_free(&member);
}
END_TEST


/* Wherever a crash cuts the last batch, the next run goes on behind the one before it. */
START_TEST(test_S13_an_unfinished_batch_is_cut_off)
{
    struct archive_file file;
    struct stat status;

    make_file("");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_msg(archive_file_open(&file, path) == 0, "%s", file.error);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(status.st_mode & 0777, 0600);
    add(&file, "one\n");

    off_t first = size_now();

    add(&file, "two\n");
    archive_file_close(&file);
    text_is("one\ntwo\n");

    for (off_t size = size_now() - 1; size > first; size--) {
        ck_assert_int_eq(truncate(path, size), 0);
        ck_assert_msg(archive_file_open(&file, path) == 0, "%s", file.error);
        ck_assert_uint_eq(file.cut, (uint64_t) (size - first));
        text_is("one\n");
        add(&file, "two\n");
        archive_file_close(&file);
        text_is("one\ntwo\n");
    }

    /* As long as it should be, but the disk never got what is in it. */
    char nothing[8] = "";
    int fd = open(path, O_WRONLY);

    ck_assert_int_eq(pwrite(fd, nothing, sizeof(nothing), first + ARCHIVE_MEMBER_HEADER), sizeof(nothing));
    ck_assert_int_eq(close(fd), 0);
    ck_assert_int_eq(archive_file_open(&file, path), 0);
    archive_file_close(&file);
    ck_assert_int_eq(size_now(), first);
    text_is("one\n");
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST


START_TEST(test_another_file_stays_as_it_is)
{
    static const char *const texts[] = { "x", "a text that is longer than the header of a member\n" };
    struct archive_file file;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        make_file(texts[i]);
        ck_assert_int_eq(archive_file_open(&file, path), -1);
        archive_file_close(&file);
        ck_assert_int_eq(size_now(), (off_t) strlen(texts[i]));
        ck_assert_int_eq(unlink(path), 0);
    }
}
END_TEST


START_TEST(test_one_process_at_a_time)
{
    struct archive_file one, two;

    make_file("");
    ck_assert_int_eq(archive_file_open(&one, path), 0);
    ck_assert_int_eq(archive_file_open(&two, path), -1);
    archive_file_close(&two);
    archive_file_close(&one);
    ck_assert_int_eq(archive_file_open(&two, path), 0);
    archive_file_close(&two);
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("worker archive file");
    TCase *tcase = tcase_create("archive file");

    tcase_add_test(tcase, test_a_member_says_how_long_it_is);
    tcase_add_test(tcase, test_S13_an_unfinished_batch_is_cut_off);
    tcase_add_test(tcase, test_another_file_stays_as_it_is);
    tcase_add_test(tcase, test_one_process_at_a_time);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
