#include "ctl/archive_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/archive_member.h"
#include "failpoint.h"


static int __attribute__((format(printf, 2, 3))) fail(struct archive_file *file, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(file->error, sizeof(file->error), format, args);
    va_end(args);
    return -1;
}


/* Returns 0, or -1: there are not so many bytes there, or they cannot be read. */
static int
read_at(const struct archive_file *file, void *data, size_t len, uint64_t at)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = pread(file->fd, (char *) data + done, len - done, (off_t) (at + done));

        if (n == 0 || (n < 0 && errno != EINTR)) {
            return -1;
        }

        done += n > 0 ? (size_t) n : 0;
    }

    return 0;
}


static int
write_all(struct archive_file *file, const struct buffer *data)
{
    for (size_t done = 0; done < data->len;) {
        ssize_t n = pwrite(file->fd, data->data + done, data->len - done, (off_t) (file->size + done));

        if (n < 0 && errno != EINTR) {
            return fail(file, "cannot be written: %s", strerror(errno));
        }

        done += n > 0 ? (size_t) n : 0;
    }

    return 0;
}


/* Each batch is synced before the next begins, so only the last one can be damaged. */
static int
last_is_whole(const struct archive_file *file, uint64_t at, uint32_t length)
{
    unsigned char *member = malloc(length);
    int whole = member != NULL && read_at(file, member, length, at) == 0 && archive_member_is_whole(member, length);

    free(member);
    return whole;
}


/* Goes from batch to batch, and cuts off what is behind the last whole one. */
static int
find_end(struct archive_file *file, uint64_t size)
{
    unsigned char header[ARCHIVE_MEMBER_HEADER];
    uint64_t last = 0;
    uint32_t length = 0, next;

    while (size - file->size >= sizeof(header)) {
        if (read_at(file, header, sizeof(header), file->size) == -1) {
            return fail(file, "cannot be read");
        }

        if ((next = archive_member_length(header)) == 0 || next > size - file->size) {
            break;
        }

        last = file->size;
        length = next;
        file->size += length;
    }

    size_t first = size < sizeof(header) ? (size_t) size : sizeof(header);

    if (file->size == 0 && (read_at(file, header, first, 0) == -1 || !archive_member_may_begin(header, first))) {
        return fail(file, "is there already, and was not made by this command");
    }

    if (length > 0 && !last_is_whole(file, last, length)) {
        file->size = last;
    }

    file->cut = size - file->size;

    if (file->cut > 0 && (ftruncate(file->fd, (off_t) file->size) == -1 || fsync(file->fd) == -1)) {
        return fail(file, "cannot be cut: %s", strerror(errno));
    }

    return 0;
}


/* A new file is there after a crash only once its folder is on the disk too. */
static int
sync_folder(struct archive_file *file, const char *path)
{
    char copy[PATH_MAX];

    if (snprintf(copy, sizeof(copy), "%s", path) >= (int) sizeof(copy)) {
        return fail(file, "has too long a name");
    }

    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int synced = fd != -1 && fsync(fd) == 0;
    int why = errno;

    if (fd != -1) {
        (void) close(fd);
    }

    return synced ? 0 : fail(file, "its folder cannot be synced: %s", strerror(why));
}


int
archive_file_open(struct archive_file *file, const char *path)
{
    struct stat status;

    *file = (struct archive_file) { .fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600) };

    if (file->fd == -1 || fstat(file->fd, &status) == -1) {
        return fail(file, "cannot be opened: %s", strerror(errno));
    }

    if (!S_ISREG(status.st_mode)) {
        return fail(file, "is no file");
    }

    if (flock(file->fd, LOCK_EX | LOCK_NB) == -1) {
        return fail(file, "another process writes there");
    }

    /* Again under the lock: whoever had it before may have written. */
    if (fstat(file->fd, &status) == -1) {
        return fail(file, "cannot be opened: %s", strerror(errno));
    }

    return find_end(file, (uint64_t) status.st_size) == -1 ? -1 : sync_folder(file, path);
}


int
archive_file_add(struct archive_file *file, const struct buffer *lines)
{
    struct buffer member = { 0 };
    int result = -1;

    if (archive_member_add(&member, lines->data, lines->len) == -1) {
        (void) fail(file, "a batch cannot be compressed");
    } else if (EFFECT("archive.write", write_all(file, &member)) == 0) {
        result = EFFECT("archive.sync", fsync(file->fd)) == 0 ? 0 : fail(file, "cannot be synced: %s", strerror(errno));
    }

    file->size += result == 0 ? member.len : 0;
    buffer_free(&member);
    return result;
}


void
archive_file_close(struct archive_file *file)
{
    if (file->fd != -1) {
        (void) close(file->fd);
        file->fd = -1;
    }
}
