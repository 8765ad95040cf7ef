/*
 * Values as JSON text (RFC 8259), added to a buffer, which may fail (text/buffer.h). What comes out is JSON whatever
 * goes in. Nothing here blocks or keeps a pointer.
 */
#ifndef CHECKOUT_TEXT_JSON_TEXT_H
#define CHECKOUT_TEXT_JSON_TEXT_H

#include <stddef.h>

#include "text/buffer.h"

/* A string in quotes. Bytes that are no UTF-8 become U+FFFD, each its own. */
void json_text_string(struct buffer *b, const char *text, size_t len);

/* Bytes as base64 (RFC 4648, section 4) in quotes. */
void json_text_base64(struct buffer *b, const void *data, size_t len);

/* A number that reads back as the same value, in 17 (float: 9) digits at most; null where it is not finite. */
void json_text_double(struct buffer *b, double value);
void json_text_float(struct buffer *b, float value);

/* Returns 1 when all of the text is UTF-8 without a NUL, else 0. */
int json_text_is_utf8(const char *text, size_t len);

#endif
