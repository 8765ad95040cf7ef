#include "text/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/number.h"

#define SIZE_LEAST 256

void (*buffer_on_failure)(size_t size);


static int
fail(struct buffer *b, size_t size)
{
    if (buffer_on_failure != NULL) {
        buffer_on_failure(size);
    }

    b->failed = 1;
    return -1;
}


int
buffer_reserve(struct buffer *b, size_t more)
{
    if (b->failed) {
        return -1;
    }

    if (more >= SIZE_MAX / 2 - b->len) {
        return fail(b, more);
    }

    size_t wanted = b->len + more + 1;

    if (wanted <= b->capacity) {
        return 0;
    }

    size_t capacity = wanted < SIZE_LEAST ? SIZE_LEAST : wanted * 2;
    char *data = realloc(b->data, capacity);

    if (data == NULL) {
        return fail(b, capacity);
    }

    b->data = data;
    b->capacity = capacity;
    return 0;
}


void
buffer_add(struct buffer *b, const void *data, size_t len)
{
    if (buffer_reserve(b, len) == -1) {
        return;
    }

    if (len > 0) {
        memcpy(b->data + b->len, data, len);
    }

    b->len += len;
    b->data[b->len] = '\0';
}


void
buffer_text(struct buffer *b, const char *text)
{
    buffer_add(b, text, strlen(text));
}


void
buffer_number(struct buffer *b, uint64_t value)
{
    if (buffer_reserve(b, NUMBER_DIGITS_MAX) == -1) {
        return;
    }

    b->len = (size_t) (number_write(b->data + b->len, value) - b->data);
    b->data[b->len] = '\0';
}


void
buffer_format(struct buffer *b, const char *format, ...)
{
    va_list args, again;
    int len;

    va_start(args, format);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);

    if (len < 0) {
        (void) fail(b, 0);
    } else if (len > 0 && buffer_reserve(b, (size_t) len) == 0) {
        (void) vsnprintf(b->data + b->len, (size_t) len + 1, format, again);
        b->len += (size_t) len;
    }

    va_end(again);
}


void
buffer_clear(struct buffer *b)
{
    b->len = 0;

    if (b->data != NULL) {
        b->data[0] = '\0';
    }
}


void
buffer_free(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer) { 0 };
}
