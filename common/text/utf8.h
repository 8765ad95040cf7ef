/*
 * UTF-8 (RFC 3629). Pure.
 */
#ifndef CHECKOUT_TEXT_UTF8_H
#define CHECKOUT_TEXT_UTF8_H

#include <stddef.h>

/* Returns the length of the sequence at text, 1 to 4, or 0: it is none. left: bytes that are there, at least 1. */
size_t checkout_utf8_length(const char *text, size_t left);

#endif
