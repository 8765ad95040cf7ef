/*
 * One blocking connection to Redis, with a deadline on everything, and the calls made on it.
 *
 * A connection belongs to one thread. It opens itself when a call needs it and closes itself on every
 * failure that leaves its state in doubt, so the caller's only duty is to try again later. Whether a call
 * that failed has run is unknown: every script of the project may be sent again.
 */
#ifndef CHECKOUT_WORKER_REDIS_CONNECTION_H
#define CHECKOUT_WORKER_REDIS_CONNECTION_H

#include <stdint.h>
#include <hiredis/hiredis.h>

#include "text/buffer.h"
#include "checkout_scripts.h"
#include "base/config.h"

struct redis_conn {
    const struct config *config;   /* not owned */
    redisContext *context;         /* NULL: closed */
    char error[256];               /* why the last call failed, fit for the log; the error's own word first */
};

/* The words of a command. All are copied. Zero-initialised is empty; can be used again after args_clear(). */
struct redis_args {
    struct buffer text;
    size_t *ends;                  /* where each word ends in text */
    size_t count, capacity;
};

void args_add(struct redis_args *args, const void *data, size_t len);
void args_text(struct redis_args *args, const char *text);
void args_number(struct redis_args *args, uint64_t value);
void args_signed(struct redis_args *args, int64_t value);
void args_format(struct redis_args *args, const char *format, ...) __attribute__((format(printf, 2, 3)));
void args_clear(struct redis_args *args);
void args_free(struct redis_args *args);

/* The words that open a script call; the keys (exactly `keys` of them) and the arguments follow. */
void args_script(struct redis_args *args, const struct checkout_script *script, unsigned keys);

/*
 * Sends the command and waits for its reply, `extra_ms` longer than the configured time (for BLOCK).
 * Returns the reply (freeReplyObject() it), or NULL with conn->error set; an error reply is NULL too.
 */
redisReply *redis_call(struct redis_conn *conn, const struct redis_args *args, unsigned extra_ms);

/* The same for a call made with args_script(): EVALSHA, and EVAL once when Redis does not know the script. */
redisReply *redis_script(struct redis_conn *conn, const struct checkout_script *script,
                         const struct redis_args *args);

void redis_close(struct redis_conn *conn);

/* A reply's text or integer as a number; `missing` for nil, an empty text or anything else. */
int64_t reply_number(const redisReply *reply, int64_t missing);

#endif
