/*
 * The request to stop: one flag for the whole process, which is never taken back, and waits that it cuts short.
 * Every function may be called from every thread, but not from a signal handler.
 *
 * The main thread takes SIGTERM or SIGINT by sigwaitinfo(2) and requests the stop. What then ends in which order is in
 * worker/README.md, "The stop". A second signal does not come here: the main thread ends the process at once, with
 * code 1.
 */
#ifndef CHECKOUT_WORKER_BASE_STOP_H
#define CHECKOUT_WORKER_BASE_STOP_H

/* Requests the stop, and ends all waits below. A second call does nothing more. */
void stop_request(void);

/* Returns 1 once the stop was requested, else 0. */
int stop_requested(void);

/* Sleeps `ms` milliseconds, or until the stop is requested. Returns stop_requested(). */
int stop_wait(unsigned ms);

/*
 * The same, and also ends when is_over() returns 1. It is called under a lock of this file, so it must not block, nor
 * call anything here but stop_requested(). Whoever changes its result calls stop_wake() after that.
 */
int stop_wait_or(unsigned ms, int (*is_over)(void));

/* Makes all waiting threads ask is_over() again. Does not block. */
void stop_wake(void);

#endif
