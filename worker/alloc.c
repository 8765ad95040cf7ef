#include "alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "order.h"


void *
memory_resize(void *old, size_t count, size_t size)
{
    void *p = reallocarray(old, count > 0 ? count : 1, size);

    if (p == NULL) {
        log_error("event=out_of_memory elements=%zu bytes_each=%zu", count, size);
        abort();
    }

    return p;
}


char *
memory_copy(const char *text)
{
    size_t size = strlen(text) + 1;

    return memcpy(memory_resize(NULL, size, 1), text, size);
}


static void
make_room(struct buffer *b, size_t more)
{
    size_t wanted = b->len + more + 1;

    if (wanted <= b->capacity) {
        return;
    }

    b->capacity = wanted < 256 ? 256 : wanted * 2;
    b->data = memory_resize(b->data, b->capacity, 1);
}


void
buffer_add(struct buffer *b, const void *data, size_t len)
{
    make_room(b, len);

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
    make_room(b, 20);
    b->len = (size_t) (checkout_uint_write(b->data + b->len, value) - b->data);
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

    if (len > 0) {
        make_room(b, (size_t) len);
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
