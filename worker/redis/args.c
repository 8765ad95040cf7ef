#include "redis/args.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"


static void
end_word(struct redis_args *args)
{
    if (args->count == args->capacity) {
        args->capacity = args->capacity == 0 ? 64 : args->capacity * 2;
        args->ends = memory_resize(args->ends, args->capacity, sizeof(size_t));
    }

    args->ends[args->count++] = args->text.len;
}


void
args_add(struct redis_args *args, const void *data, size_t len)
{
    buffer_add(&args->text, data, len);
    end_word(args);
}


void
args_text(struct redis_args *args, const char *text)
{
    args_add(args, text, strlen(text));
}


void
args_number(struct redis_args *args, uint64_t value)
{
    buffer_number(&args->text, value);
    end_word(args);
}


void
args_signed(struct redis_args *args, int64_t value)
{
    args_format(args, "%" PRId64, value);
}


void
args_format(struct redis_args *args, const char *format, ...)
{
    char word[256];
    va_list list;

    va_start(list, format);
    int len = vsnprintf(word, sizeof(word), format, list);
    va_end(list);

    if (len < 0 || (size_t) len >= sizeof(word)) {
        log_error("event=bug what=\"word of a command too long\"");
        abort();
    }

    args_add(args, word, (size_t) len);
}


void
args_script(struct redis_args *args, const struct checkout_script *script, unsigned keys)
{
    args_text(args, "EVALSHA");
    args_text(args, script->sha1);
    args_number(args, keys);
}


void
args_clear(struct redis_args *args)
{
    buffer_clear(&args->text);
    args->count = 0;
}


void
args_free(struct redis_args *args)
{
    buffer_free(&args->text);
    free(args->ends);
    *args = (struct redis_args) { 0 };
}
