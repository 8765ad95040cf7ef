/*
 * A text that grows. Zero-initialised is empty; data is always closed by a NUL once something was added.
 *
 * A buffer that cannot have the memory it needs fails: `failed` is 1, what was to be added is not, and neither is
 * anything after it, until buffer_free(). Its content is then the beginning of what was meant, so it is looked at
 * before that is used.
 */
#ifndef CHECKOUT_TEXT_BUFFER_H
#define CHECKOUT_TEXT_BUFFER_H

#include <stddef.h>
#include <stdint.h>

struct buffer {
    char *data;
    size_t len, capacity;
    int failed;
};

void buffer_add(struct buffer *b, const void *data, size_t len);
void buffer_text(struct buffer *b, const char *text);
void buffer_number(struct buffer *b, uint64_t value);
void buffer_format(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Room for `more` bytes and a NUL behind data + len, for who writes there and sets len. Returns 0, or -1 when it
 * failed. */
int buffer_reserve(struct buffer *b, size_t more);

void buffer_clear(struct buffer *b); /* keeps the memory, and `failed` */
void buffer_free(struct buffer *b);  /* as zero-initialised */

/*
 * Called with the size that could not be had, before the buffer fails; it may end the program, and then no buffer has
 * to be looked at. NULL, the default: nothing is called. To be set before there are threads.
 */
extern void (*buffer_on_failure)(size_t size);

#endif
