#include "base/stop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/random.h>
#include <time.h>


static atomic_int wanted, paused;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken;
static pthread_once_t woken_once = PTHREAD_ONCE_INIT;


static void
make_woken(void)
{
    clock_cond_init(&woken);
}


static void
set_flag(atomic_int *flag, int value)
{
    (void) pthread_once(&woken_once, make_woken);
    pthread_mutex_lock(&lock);
    atomic_store(flag, value);
    pthread_cond_broadcast(&woken);
    pthread_mutex_unlock(&lock);
}


void
stop_request(void)
{
    set_flag(&wanted, 1);
}


int
stop_requested(void)
{
    return atomic_load(&wanted);
}


void
pause_set(int on)
{
    set_flag(&paused, on);
}


int
pause_wanted(void)
{
    return atomic_load(&paused);
}


static int
over(int pause)
{
    return stop_requested() || (pause && !pause_wanted());
}


/* Sleeps until the stop is asked for; pause = 1: or the pause is over. */
static int
wait_for(unsigned ms, int pause)
{
    struct timespec until = clock_after(ms);

    (void) pthread_once(&woken_once, make_woken);
    pthread_mutex_lock(&lock);

    while (!over(pause) && pthread_cond_timedwait(&woken, &lock, &until) != ETIMEDOUT) {
        /* woken for nothing: wait for the rest */
    }

    pthread_mutex_unlock(&lock);
    return stop_requested();
}


int
stop_wait(unsigned ms)
{
    return wait_for(ms, 0);
}


int
pause_wait(unsigned ms)
{
    return wait_for(ms, 1);
}


void
clock_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    (void) pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}


struct timespec
clock_after(unsigned ms)
{
    struct timespec until;

    (void) clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long) (ms % 1000) * 1000000;

    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }

    return until;
}


uint64_t
clock_us(void)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}


uint64_t
clock_ms(void)
{
    return clock_us() / 1000;
}


void
backoff_reset(struct backoff *b)
{
    b->bound_ms = 0;
}


unsigned
backoff_next(struct backoff *b)
{
    uint32_t random = 0;

    b->bound_ms = b->bound_ms == 0 ? BACKOFF_FIRST_MS : b->bound_ms * 2;

    if (b->bound_ms > BACKOFF_MOST_MS) {
        b->bound_ms = BACKOFF_MOST_MS;
    }

    /* Without random bytes the wait is only less spread. */
    ssize_t n = getrandom(&random, sizeof(random), GRND_NONBLOCK);
    (void) n;

    return b->bound_ms / 2 + random % (b->bound_ms / 2 + 1);
}
