#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>


static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int fd = STDERR_FILENO;
static atomic_int lowest = LOG_LEVEL_INFO;
static char path_in_use[4096];

static const char *const level_names[] = { "debug", "info", "warn", "error" };


static int
open_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}


static void
redirect_to(int new_fd)
{
    pthread_mutex_lock(&lock);

    if (fd != STDERR_FILENO) {
        (void) close(fd);
    }

    fd = new_fd;
    pthread_mutex_unlock(&lock);
}


void
log_set_level(enum log_level level)
{
    atomic_store(&lowest, (int) level);
}


int
log_open(const char *path, enum log_level level)
{
    log_set_level(level);

    if (path == NULL || path[0] == '\0') {
        return 0;
    }

    if (strlen(path) >= sizeof(path_in_use)) {
        errno = ENAMETOOLONG;
        return -1;
    }

    int new_fd = open_file(path);

    if (new_fd == -1) {
        return -1;
    }

    strcpy(path_in_use, path);
    redirect_to(new_fd);
    return 0;
}


void
log_reopen(void)
{
    if (path_in_use[0] == '\0') {
        return;
    }

    int new_fd = open_file(path_in_use);

    if (new_fd == -1) {
        log_error("event=log_reopen_failed file=\"%s\" error=\"%s\"", path_in_use, strerror(errno));
        return;
    }

    redirect_to(new_fd);
}


static size_t
write_head(char *line, size_t size, enum log_level level)
{
    struct timespec now;
    struct tm utc;

    (void) clock_gettime(CLOCK_REALTIME, &now);
    (void) gmtime_r(&now.tv_sec, &utc);

    size_t len = strftime(line, size, "time=%Y-%m-%dT%H:%M:%S", &utc);

    return len
           + (size_t) snprintf(line + len, size - len, ".%03ldZ level=%s ", now.tv_nsec / 1000000, level_names[level]);
}


void
log_line(enum log_level level, const char *format, ...)
{
    char line[LOG_LINE_MAX];
    va_list args;

    if ((int) level < atomic_load(&lowest)) {
        return;
    }

    size_t len = write_head(line, sizeof(line), level);

    va_start(args, format);
    int more = vsnprintf(line + len, sizeof(line) - len, format, args);
    va_end(args);

    if (more > 0) {
        len += (size_t) more < sizeof(line) - len ? (size_t) more : sizeof(line) - len - 1;
    }

    line[len++] = '\n';

    pthread_mutex_lock(&lock);
    /* A log that cannot be written (disk full) must not stop the sale, and there is nowhere else to report it. */
    ssize_t written = write(fd, line, len);
    (void) written;
    pthread_mutex_unlock(&lock);
}
