/*
 * Memory that either is there or ends the program.
 *
 * Both programs survive being killed at any moment, so running out of memory is treated as such a moment:
 * a line in the log, and abort(). Callers need no error path, and every size asked for is bounded by them.
 */
#ifndef CHECKOUT_ALLOC_H
#define CHECKOUT_ALLOC_H

#include <stddef.h>
#include <stdint.h>

void *memory_resize(void *old, size_t count, size_t size);   /* free() it */
char *memory_copy(const char *text);                         /* free() it */

/* A text that grows. Zero-initialised is empty; data is always closed by a NUL once something was added. */
struct buffer {
    char *data;
    size_t len, capacity;
};

void buffer_add(struct buffer *b, const void *data, size_t len);
void buffer_text(struct buffer *b, const char *text);
void buffer_number(struct buffer *b, uint64_t value);
void buffer_format(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_clear(struct buffer *b);
void buffer_free(struct buffer *b);

#endif
