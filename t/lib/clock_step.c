/*
 * Preloaded into a server (LD_PRELOAD), lets a test step its clock: gettimeofday(2) and time(2) are off by the seconds
 * that the file CLOCK_STEP_FILE holds, a 64-bit integer in the machine's own form. The monotonic clock stays as it is.
 * libfaketime does not start beside the allocator of Debian's redis-server.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset;


__attribute__((constructor)) static void
map_file(void)
{
    const char *path = getenv("CLOCK_STEP_FILE");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (fd >= 0) {
        void *map = mmap(NULL, sizeof(*offset), PROT_READ, MAP_SHARED, fd, 0);

        offset = map != MAP_FAILED ? map : NULL;
        (void) close(fd);
    }
}


int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    struct timespec now;

    (void) zone;
    (void) clock_gettime(CLOCK_REALTIME, &now);
    tv->tv_sec = now.tv_sec + (time_t) (offset != NULL ? *offset : 0);
    tv->tv_usec = now.tv_nsec / 1000;
    return 0;
}


time_t
time(time_t *at)
{
    struct timeval tv;

    (void) gettimeofday(&tv, NULL);

    if (at != NULL) {
        *at = tv.tv_sec;
    }

    return tv.tv_sec;
}
