#include "base/stop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "base/clock.h"


static atomic_int requested;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken;
static pthread_once_t woken_once = PTHREAD_ONCE_INIT;


static void
make_woken(void)
{
    clock_cond_init(&woken);
}


void
stop_wake(void)
{
    (void) pthread_once(&woken_once, make_woken);
    pthread_mutex_lock(&lock);
    pthread_cond_broadcast(&woken);
    pthread_mutex_unlock(&lock);
}


void
stop_request(void)
{
    atomic_store(&requested, 1);
    stop_wake();
}


int
stop_requested(void)
{
    return atomic_load(&requested);
}


static int
must_end(int (*is_over)(void))
{
    return stop_requested() || (is_over != NULL && is_over());
}


int
stop_wait_or(unsigned ms, int (*is_over)(void))
{
    struct timespec until = clock_after(ms);

    (void) pthread_once(&woken_once, make_woken);
    pthread_mutex_lock(&lock);

    while (!must_end(is_over) && pthread_cond_timedwait(&woken, &lock, &until) != ETIMEDOUT) {
        /* woken by the other flag, or by chance: wait for the rest */
    }

    pthread_mutex_unlock(&lock);
    return stop_requested();
}


int
stop_wait(unsigned ms)
{
    return stop_wait_or(ms, NULL);
}
