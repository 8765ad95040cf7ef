#include "base/systemd.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

static struct sockaddr_un address;
static socklen_t address_len; /* 0: no NOTIFY_SOCKET */


void
systemd_prepare(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    size_t len = path != NULL ? strlen(path) : 0;

    if (len < 2 || len >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@')) {
        return;
    }

    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, path, len);
    address_len = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + len);

    /* "@" stands for the NUL that opens an abstract name (unix(7)). */
    if (path[0] == '@') {
        address.sun_path[0] = '\0';
    }

    (void) unsetenv("NOTIFY_SOCKET");
}


void
systemd_notify(const char *state)
{
    if (address_len == 0) {
        return;
    }

    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd == -1 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *) &address, address_len) == -1) {
        log_warn("event=notify_failed error=\"%s\"", strerror(errno));
    }

    if (fd != -1) {
        (void) close(fd);
    }
}


void
systemd_notify_reloading(void)
{
    char state[64];
    struct timespec now;

    (void) clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
             (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000);
    systemd_notify(state);
}
