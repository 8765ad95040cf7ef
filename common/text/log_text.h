/*
 * Text from outside for a line of a log.
 */
#ifndef CHECKOUT_TEXT_LOG_TEXT_H
#define CHECKOUT_TEXT_LOG_TEXT_H

#include <stddef.h>

/*
 * Copies text so that it fits between double quotes on one line: control characters, quotes and backslashes become
 * others. It is cut to size - 1 bytes; a NUL ends it always. text: not NULL. size: at least 1. Pure.
 */
void log_clean(char *out, size_t size, const char *text);

#endif
