#include "base/backoff.h"

#include <stdint.h>
#include <sys/random.h>


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
