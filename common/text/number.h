/*
 * Whole numbers as decimal text. Nothing here allocates, blocks or keeps a pointer.
 */
#ifndef CHECKOUT_TEXT_NUMBER_H
#define CHECKOUT_TEXT_NUMBER_H

#include <stddef.h>
#include <stdint.h>

#define NUMBER_DIGITS_MAX 20 /* of 2^64 - 1 */

/*
 * Strict: digits alone, no sign, no leading zero, no space, 0 .. max. text need not be closed by a NUL.
 * Returns 0, or -1, and then *value is as it was.
 */
int number_parse(uint64_t *value, const char *text, size_t len, uint64_t max);

/* Writes up to NUMBER_DIGITS_MAX characters, no NUL. Returns the end of what was written. */
char *number_write(char *out, uint64_t value);

/* The value of a column as MySQL writes it, closed by a NUL. NULL (the SQL value, in the client library): 0. */
uint64_t number_of_column(const char *text);
int64_t number_of_signed_column(const char *text);

#endif
