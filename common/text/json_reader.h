/*
 * The syntax of JSON (RFC 8259, UTF-8), walked over strictly. Nothing here allocates.
 *
 * A function that returns -1 has said in the reader what is wrong and where; nothing is to be read after that.
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

/* Notes a fault at the present place. Returns -1. */
int json_fail(struct json_reader *r, const char *why);

void json_skip_space(struct json_reader *r);

/* Checks the string that begins here and passes over it. */
int json_skip_string(struct json_reader *r);

/* `"name" :` in front of a member's value. */
int json_skip_name(struct json_reader *r);

/* After a member or an element: 1 when the next one follows, 0 at the end, -1. */
int json_next_member(struct json_reader *r, char closing);

/* Checks the value that follows and passes over it. depth: containers around it. */
int json_skip_value(struct json_reader *r, int depth);

/* 0 when the whole text is one JSON value, else -1. */
int json_check(const char *text, size_t len, int depth_max);

#endif
