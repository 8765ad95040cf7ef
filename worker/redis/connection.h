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

#include "base/config.h"
#include "redis/args.h"
#include "redis/reply.h"

struct redis_connection {
    const struct config *config;   /* not owned */
    redisContext *context;         /* NULL: closed */
    char error[256];               /* why the last call failed, fit for the log; the error's own word first */
};

/*
 * Sends the command and waits for its reply, `extra_ms` longer than the configured time (for BLOCK).
 * Returns the reply (freeReplyObject() it), or NULL with conn->error set; an error reply is NULL too.
 */
redisReply *redis_call(struct redis_connection *conn, const struct redis_args *args, unsigned extra_ms);

/* The same for a call made with args_script(): EVALSHA, and EVAL once when Redis does not know the script. */
redisReply *redis_script(struct redis_connection *conn, const struct checkout_script *script,
                         const struct redis_args *args);

void redis_close(struct redis_connection *conn);

#endif
