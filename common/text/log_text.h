/*
 * Text from outside for a line of a log.
 */
#ifndef CHECKOUT_TEXT_LOG_TEXT_H
#define CHECKOUT_TEXT_LOG_TEXT_H

#include <stddef.h>

/* Copies text so that it fits between double quotes on one line; out is always closed by a NUL. */
void log_clean(char *out, size_t size, const char *text);

#endif
