#include "failpoint.h"

#ifdef CHECKOUT_FAILPOINTS

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KILL "kill"

static _Thread_local int redis_fd = -1, mysql_fd = -1;

static pthread_once_t read_once = PTHREAD_ONCE_INIT;
static char armed[128];                    /* empty: no point is armed */
static char action[32] = KILL;
static atomic_int hits_left;               /* it acts when this becomes 0 */


/* name[:nth][:action] */
static void
read_environment(void)
{
    const char *text = getenv("CHECKOUT_FAILPOINT");
    char words[192];
    char *rest = words;

    snprintf(words, sizeof(words), "%s", text != NULL ? text : "");
    snprintf(armed, sizeof(armed), "%s", strsep(&rest, ":"));
    atomic_store(&hits_left, 1);

    for (char *word; (word = strsep(&rest, ":")) != NULL; ) {
        if (word[0] >= '0' && word[0] <= '9') {
            atomic_store(&hits_left, atoi(word));
        } else {
            snprintf(action, sizeof(action), "%s", word);
        }
    }
}


static void
cut(int fd, int how)
{
    if (fd >= 0) {
        (void) shutdown(fd, how);
    }
}


static void
act(const char *name)
{
    dprintf(STDERR_FILENO, "failpoint %s %s\n", name, action);

    if (strcmp(action, KILL) == 0) {
        (void) kill(getpid(), SIGKILL);
    } else if (strcmp(action, "cut_redis") == 0) {
        cut(redis_fd, SHUT_RDWR);
    } else if (strcmp(action, "cut_mysql") == 0) {
        cut(mysql_fd, SHUT_RDWR);
    } else if (strcmp(action, "lose_redis") == 0) {
        cut(redis_fd, SHUT_RD);
    } else if (strcmp(action, "lose_mysql") == 0) {
        cut(mysql_fd, SHUT_RD);
    } else {
        dprintf(STDERR_FILENO, "failpoint: no such action: %s\n", action);
        abort();
    }
}


void
failpoint_hit(const char *name)
{
    pthread_once(&read_once, read_environment);

    if (strcmp(name, armed) == 0 && atomic_fetch_sub(&hits_left, 1) == 1) {
        act(name);
    }
}


void
failpoint_redis_socket(int fd)
{
    redis_fd = fd;
}


void
failpoint_mysql_socket(int fd)
{
    mysql_fd = fd;
}

#endif
