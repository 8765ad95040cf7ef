#include "failpoint.h"

#ifdef CHECKOUT_FAILPOINTS

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KILL     "kill"
#define BREAK    "break="
#define KILL_FOR "kill="
#define CARRY_MS 10000 /* no test waits longer for an answer */

static _Thread_local int redis_fd = -1, mysql_fd = -1;

static pthread_once_t read_once = PTHREAD_ONCE_INIT;
static char armed[128]; /* empty: no point is armed */
static char action[32] = KILL;
static atomic_int hits_left; /* it acts when this becomes 0 */


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

    for (char *word; (word = strsep(&rest, ":")) != NULL;) {
        if (word[0] >= '0' && word[0] <= '9') {
            atomic_store(&hits_left, atoi(word));
        } else {
            snprintf(action, sizeof(action), "%s", word);
        }
    }
}


static void
cut(int fd)
{
    if (fd >= 0) {
        (void) shutdown(fd, SHUT_RDWR);
    }
}


/* Between the client and its server: what goes out is carried on, and the first byte of an answer ends it. */
struct carrier {
    int client, server;
};


static void *
carry(void *data)
{
    struct carrier c = *(struct carrier *) data;
    struct pollfd ends[2] = { { .fd = c.client, .events = POLLIN }, { .fd = c.server, .events = POLLIN } };
    char bytes[4096];

    free(data);

    while (poll(ends, 2, CARRY_MS) > 0 && ends[1].revents == 0) {
        ssize_t n = read(c.client, bytes, sizeof(bytes));

        for (ssize_t done = 0; done < n;) {
            ssize_t written = send(c.server, bytes + done, (size_t) (n - done), MSG_NOSIGNAL);

            n = written > 0 ? n : -1;
            done += written;
        }

        if (n <= 0) {
            break;
        }
    }

    (void) close(c.client);
    (void) close(c.server);
    return NULL;
}


/* The call that follows reaches the server and is carried out there, and its answer is lost for certain. */
static void
lose(int fd)
{
    int pair[2];
    pthread_t thread;
    struct carrier *c = malloc(sizeof(*c));

    if (fd < 0 || c == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1) {
        free(c);
        return;
    }

    *c = (struct carrier) { .client = pair[1], .server = dup(fd) };
    (void) dup2(pair[0], fd);
    (void) close(pair[0]);

    if (pthread_create(&thread, NULL, carry, c) == 0) {
        (void) pthread_detach(thread);
    }
}


static void
act(const char *name)
{
    dprintf(STDERR_FILENO, "failpoint %s %s\n", name, action);

    if (strcmp(action, KILL) == 0) {
        (void) kill(getpid(), SIGKILL);
    } else if (strcmp(action, "stop") == 0) {
        (void) raise(SIGSTOP); /* to this thread: it stops before it goes on */
    } else if (strcmp(action, "cut_redis") == 0) {
        cut(redis_fd);
    } else if (strcmp(action, "cut_mysql") == 0) {
        cut(mysql_fd);
    } else if (strcmp(action, "lose_redis") == 0) {
        lose(redis_fd);
    } else if (strcmp(action, "lose_mysql") == 0) {
        lose(mysql_fd);
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


int
failpoint_breaks_checks(void)
{
    pthread_once(&read_once, read_environment);
    return strncmp(action, BREAK, sizeof(BREAK) - 1) == 0;
}


int
failpoint_breaks(const char *name, unsigned long long number)
{
    pthread_once(&read_once, read_environment);

    if (strncmp(action, KILL_FOR, sizeof(KILL_FOR) - 1) == 0 && strcmp(name, armed) == 0
        && strtoull(action + sizeof(KILL_FOR) - 1, NULL, 10) == number)
    {
        (void) kill(getpid(), SIGKILL);
    }

    return failpoint_breaks_checks() && strcmp(name, armed) == 0
           && strtoull(action + sizeof(BREAK) - 1, NULL, 10) == number;
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
