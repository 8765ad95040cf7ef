/*
 * The pause: one flag for the whole process. While it is set, consumers take nothing new; all else goes on.
 * Every function may be called from every thread, but not from a signal handler.
 */
#ifndef CHECKOUT_WORKER_BASE_PAUSE_H
#define CHECKOUT_WORKER_BASE_PAUSE_H

/* 1 begins the pause, 0 ends it. */
void pause_set(int paused);

/* Returns 1 during the pause, else 0. */
int pause_requested(void);

/* Sleeps `ms` milliseconds, or until the pause ends or the stop is requested. Returns stop_requested(). */
int pause_wait(unsigned ms);

#endif
