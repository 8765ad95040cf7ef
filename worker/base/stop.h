/*
 * The wish to stop, and the wish to pause: one flag each for the whole process, and waits that they cut short.
 */
#ifndef CHECKOUT_WORKER_BASE_STOP_H
#define CHECKOUT_WORKER_BASE_STOP_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

void stop_request(void);
int stop_requested(void);

/* While paused, consumers take nothing new; all else goes on. */
void pause_set(int paused);
int pause_wanted(void);

/* Sleeps until the pause or the process is over, or `ms` milliseconds have passed. Returns stop_requested(). */
int pause_wait(unsigned ms);

/* Sleeps for so many milliseconds, or until the stop is asked for. Returns stop_requested(). */
int stop_wait(unsigned ms);

/* A clock that never runs backwards, in milliseconds, and in microseconds. */
uint64_t clock_ms(void);
uint64_t clock_us(void);

/* A condition whose timed waits go by that clock, and the moment in so many milliseconds for such a wait. */
void clock_cond_init(pthread_cond_t *cond);
struct timespec clock_after(unsigned ms);

/*
 * Back-off with jitter ("Exponential Backoff And Jitter", AWS Architecture Blog): each wait lies between
 * half of the bound and the bound, which doubles from BACKOFF_FIRST_MS to BACKOFF_MOST_MS.
 */
#define BACKOFF_FIRST_MS 50
#define BACKOFF_MOST_MS  2000

struct backoff {
    unsigned bound_ms;   /* 0: nothing went wrong yet */
};

void backoff_reset(struct backoff *b);
unsigned backoff_next(struct backoff *b);

#endif
