#include "base/silence.h"

#include <stdio.h>
#include <string.h>


uint64_t
silence_see(struct silence *silence, const char *value, uint64_t now)
{
    if (!silence->seen || strncmp(silence->value, value, SILENCE_VALUE_MOST) != 0) {
        snprintf(silence->value, sizeof(silence->value), "%s", value);
        silence->since = now;
        silence->seen = 1;
    }

    return now - silence->since;
}
