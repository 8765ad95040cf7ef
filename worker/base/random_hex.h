/*
 * Random hexadecimal digits from the operating system's generator, for nonces and tokens.
 */
#ifndef CHECKOUT_WORKER_BASE_RANDOM_HEX_H
#define CHECKOUT_WORKER_BASE_RANDOM_HEX_H

#include <stddef.h>

#define RANDOM_HEX_MOST 64

/* Writes `digits` digits (even, 2 .. RANDOM_HEX_MOST) and a NUL. Without random bytes the process aborts. Does not
 * block once the system has started. */
void random_hex(char *out, size_t digits);

#endif
