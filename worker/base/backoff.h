/*
 * Back-off with jitter ("Exponential Backoff And Jitter", AWS Architecture Blog): each wait lies between half of the
 * bound and the bound, which doubles from BACKOFF_FIRST_MS to BACKOFF_MOST_MS.
 *
 * Pure but for the random bytes. A struct belongs to one thread; zero-initialised is the state before any failure.
 */
#ifndef CHECKOUT_WORKER_BASE_BACKOFF_H
#define CHECKOUT_WORKER_BASE_BACKOFF_H

#define BACKOFF_FIRST_MS 50
#define BACKOFF_MOST_MS  2000

struct backoff {
    unsigned bound_ms; /* of the last wait; 0: no failure yet */
};

/* After a success: the next wait is short again. */
void backoff_reset(struct backoff *b);

/* After a failure: returns the milliseconds to wait, BACKOFF_FIRST_MS / 2 .. BACKOFF_MOST_MS. Does not wait itself. */
unsigned backoff_next(struct backoff *b);

#endif
