#include "base/random_hex.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/log.h"


void
random_hex(char *out, size_t digits)
{
    unsigned char bytes[RANDOM_HEX_MOST / 2];

    /* getrandom(2) gives up to 256 bytes at once and is not interrupted on the way. */
    if (getrandom(bytes, digits / 2, 0) != (ssize_t) (digits / 2)) {
        log_error("event=bug what=\"no random bytes\"");
        abort();
    }

    for (size_t i = 0; i < digits / 2; i++) {
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    }
}
