/*
 * UTF-8 (RFC 3629).
 */
#ifndef CHECKOUT_TEXT_UTF8_H
#define CHECKOUT_TEXT_UTF8_H

#include <stddef.h>

/* The length of the sequence at text, 1 to 4; 0 when it is none. left: bytes that are there, at least 1. */
size_t checkout_utf8_length(const char *text, size_t left);

#endif
