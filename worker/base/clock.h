/*
 * A clock that never runs backwards (CLOCK_MONOTONIC, clock_gettime(2)), and timed waits that go by it. Its zero is
 * arbitrary: compare its times only with each other. No function blocks.
 */
#ifndef CHECKOUT_WORKER_BASE_CLOCK_H
#define CHECKOUT_WORKER_BASE_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* The time now, in milliseconds and in microseconds. */
uint64_t clock_ms(void);
uint64_t clock_us(void);

/* Initialises a condition for pthread_cond_timedwait() with times of clock_after(). */
void clock_cond_init(pthread_cond_t *cond);

/* Returns the time that it will be in `ms` milliseconds. */
struct timespec clock_after(unsigned ms);

#endif
