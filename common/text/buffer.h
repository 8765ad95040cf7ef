/*
 * A text that grows. Zero-initialised is empty, with data NULL; once something was added, a NUL stands behind it.
 *
 * A buffer that cannot get the memory that it needs fails: `failed` is 1, and nothing is added to it any more, until
 * buffer_free(). It then holds only the beginning of the text, so whoever uses the text checks `failed` before.
 *
 * Nothing here blocks. A buffer belongs to one thread at a time. What is added is copied.
 */
#ifndef CHECKOUT_TEXT_BUFFER_H
#define CHECKOUT_TEXT_BUFFER_H

#include <stddef.h>
#include <stdint.h>

struct buffer {
    char *data; /* owned; may move whenever something is added */
    size_t len; /* bytes, without the NUL */
    size_t capacity;
    int failed;
};

/* Adds len bytes of any kind. data may be NULL where len is 0. */
void buffer_add(struct buffer *b, const void *data, size_t len);

/* Adds a text that ends with a NUL; not NULL. */
void buffer_text(struct buffer *b, const char *text);

/* Adds a number in decimal. */
void buffer_number(struct buffer *b, uint64_t value);

/* Adds what printf(3) would print. No argument may point into the buffer. */
void buffer_format(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Makes space for `more` bytes and a NUL behind data + len, for a caller who writes there and then sets len. Returns 0,
 * or -1: the buffer failed, now or before.
 */
int buffer_reserve(struct buffer *b, size_t more);

/* Empties the buffer. Keeps its memory, and `failed`. */
void buffer_clear(struct buffer *b);

/* Frees the memory; the buffer is then as zero-initialised. */
void buffer_free(struct buffer *b);

/*
 * Called with the number of bytes that could not be had, before a buffer fails. It may end the program; then nobody has
 * to check `failed`. NULL, the default: nothing is called. Set it before there are threads.
 */
extern void (*buffer_on_failure)(size_t size);

#endif
