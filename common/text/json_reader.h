/*
 * The syntax of JSON (RFC 8259, UTF-8), walked over strictly. Nothing here allocates.
 *
 * Functions return 0, or -1 with the fault in the reader (syntax, fault); nothing may be read after that. They keep no
 * pointer but at, end and fault, which point into the caller's text.
 */
#ifndef CHECKOUT_TEXT_JSON_READER_H
#define CHECKOUT_TEXT_JSON_READER_H

#include <stddef.h>

struct json_reader {
    const char *at, *end;
    int depth_max;      /* containers inside one another */
    const char *syntax; /* the first fault; constant text */
    const char *fault;  /* where */
};

/* Notes a fault at the present place. why: constant text. Returns -1. */
int json_fail(struct json_reader *r, const char *why);

/* Passes over space, if there is any. */
void json_skip_space(struct json_reader *r);

/* Checks the string that begins here (at a quote) and passes over it. */
int json_skip_string(struct json_reader *r);

/* Checks `"name" :` in front of a member's value and passes over it. */
int json_skip_name(struct json_reader *r);

/* After a member or an element. closing: '}' or ']'. Returns 1 when the next one follows, 0 behind the last, or -1. */
int json_next_member(struct json_reader *r, char closing);

/* Checks the value that follows and passes over it. depth: containers around it. */
int json_skip_value(struct json_reader *r, int depth);

/* Returns 0 when the whole text is one JSON value, else -1. text: len bytes, no NUL needed. */
int json_check(const char *text, size_t len, int depth_max);

#endif
