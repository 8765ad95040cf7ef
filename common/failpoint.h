/*
 * Fail points: named moments at which tests make the worker die or lose a connection.
 *
 * The rule: every outside effect (a call of Redis, a statement or group of statements of MySQL, a connect) stands in
 * EFFECT("name", call), which makes the points name.before and name.after. Log lines, metrics and notifications are
 * no effects. t/worker/intake_failpoints.t finds the calls in the source and fails when one stands outside.
 *
 * Only with -DCHECKOUT_FAILPOINTS (make failpoints); in every other build EFFECT() is the call alone. There the
 * environment arms one point: CHECKOUT_FAILPOINT=name[:nth][:action], nth from 1. It acts once. Actions:
 *
 *   kill         SIGKILL to the own process (the default)
 *   stop         SIGSTOP: the process stands still until a SIGCONT
 *   cut_redis    this thread's connection to Redis is shut down
 *   cut_mysql    this thread's connection to MySQL is shut down
 *   lose_redis   the next call on it reaches the server, and its answer is lost; then the connection is closed
 *   lose_mysql
 *   break=number the check of that name fails for that number (FAILPOINT_BREAKS), each time, and does not abort: tests
 *                then see what a release does
 *   kill=number  SIGKILL to the own process where the check of that name comes to that number, each time
 *
 * Before a point acts, it writes one line "failpoint <name> <action>" to standard error.
 */
#ifndef CHECKOUT_FAILPOINT_H
#define CHECKOUT_FAILPOINT_H

#ifdef CHECKOUT_FAILPOINTS

/* The functions are for the macros below. All may be called from every thread; name is never NULL, and not kept. */

/* Acts where that point is armed: may end the process, cut a socket, or make a thread that loses one answer. */
void failpoint_hit(const char *name);

/* The calling thread's connection has this socket; -1: it is closed. The socket stays the caller's. */
void failpoint_redis_socket(int fd);
void failpoint_mysql_socket(int fd);

/* Return 1 where that check is armed with break=number, and where any is; else 0. */
int failpoint_breaks(const char *name, unsigned long long number);
int failpoint_breaks_checks(void);

#define FAILPOINT(name)                failpoint_hit(name)
#define FAILPOINT_BREAKS(name, number) failpoint_breaks(name, number)
#define FAILPOINT_BREAKS_CHECKS()      failpoint_breaks_checks()
#define FAILPOINT_REDIS_SOCKET(fd)     failpoint_redis_socket(fd)
#define FAILPOINT_MYSQL_SOCKET(fd)     failpoint_mysql_socket(fd)

#define EFFECT(name, call) \
    __extension__({ \
        FAILPOINT(name ".before"); \
        __auto_type effect_result_ = (call); \
        FAILPOINT(name ".after"); \
        effect_result_; \
    })

#else

#define FAILPOINT(name)                ((void) 0)
#define FAILPOINT_BREAKS(name, number) 0
#define FAILPOINT_BREAKS_CHECKS()      0
#define FAILPOINT_REDIS_SOCKET(fd)     ((void) 0)
#define FAILPOINT_MYSQL_SOCKET(fd)     ((void) 0)
#define EFFECT(name, call)             (call)

#endif

#endif
