#include "base/pause.h"

#include <stdatomic.h>

#include "base/stop.h"


static atomic_int requested;


void
pause_set(int paused)
{
    atomic_store(&requested, paused);
    stop_wake();
}


int
pause_requested(void)
{
    return atomic_load(&requested);
}


static int
is_over(void)
{
    return !pause_requested();
}


int
pause_wait(unsigned ms)
{
    return stop_wait_or(ms, is_over);
}
