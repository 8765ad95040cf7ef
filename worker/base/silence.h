/*
 * How long a value that others renew has stayed the same, by this process's own clock. Who takes over from somebody who
 * fell silent asks this, and never compares two readings of another server's clock: that one may step.
 * Pure; a struct belongs to one thread.
 */
#ifndef CHECKOUT_WORKER_BASE_SILENCE_H
#define CHECKOUT_WORKER_BASE_SILENCE_H

#include <stdint.h>

#define SILENCE_VALUE_MOST 127 /* characters that are compared; a longer value counts by its first ones */

/* Zero-initialised: nothing was seen. */
struct silence {
    char value[SILENCE_VALUE_MOST + 1]; /* as it was last seen */
    uint64_t since;                     /* when it was first seen with that value */
    int seen;
};

/*
 * Takes the value as it was read just now. now: clock_ms(). Returns the milliseconds since it was first seen like this;
 * 0 where it is new. The owner may have renewed it up to one reading earlier, so the answer is never too long.
 */
uint64_t silence_see(struct silence *silence, const char *value, uint64_t now);

#endif
