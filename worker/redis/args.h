/*
 * The words of a command of Redis, made in memory. Nothing here blocks; running out of memory ends the process
 * (base/memory.h). A struct belongs to one thread.
 */
#ifndef CHECKOUT_WORKER_REDIS_ARGS_H
#define CHECKOUT_WORKER_REDIS_ARGS_H

#include <stddef.h>
#include <stdint.h>

#include "checkout_scripts.h"
#include "text/buffer.h"

/* All words are copied. Zero-initialised is empty; can be used again after args_clear(). */
struct redis_args {
    struct buffer text;
    size_t *ends; /* where each word ends in text */
    size_t count, capacity;
};

/* Each adds one word. A word of args_format() has at most 255 characters; a longer one ends the process. */
void args_add(struct redis_args *args, const void *data, size_t len);
void args_text(struct redis_args *args, const char *text);
void args_number(struct redis_args *args, uint64_t value);
void args_signed(struct redis_args *args, int64_t value);
void args_format(struct redis_args *args, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The words that open a script call; the keys (exactly `keys` of them) and the arguments follow. */
void args_script(struct redis_args *args, const struct checkout_script *script, unsigned keys);

/* Empties the words and keeps their memory. */
void args_clear(struct redis_args *args);

/* Frees the memory; the struct is empty then and may be used again. */
void args_free(struct redis_args *args);

#endif
