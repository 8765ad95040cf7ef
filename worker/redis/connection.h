/*
 * One connection to Redis. Every call blocks: up to [redis] connect_timeout where it has to connect, and up to [redis]
 * timeout for the reply.
 *
 * A connection belongs to one thread. A call opens it where it is closed, and closes it after a failure that leaves its
 * state in doubt; the caller only tries again later. Whether a call that failed was carried out is unknown: every
 * script of the project may be sent again.
 */
#ifndef CHECKOUT_WORKER_REDIS_CONNECTION_H
#define CHECKOUT_WORKER_REDIS_CONNECTION_H

#include <hiredis/hiredis.h>
#include <stdint.h>

#include "base/config.h"
#include "redis/args.h"
#include "redis/reply.h"

/* Set config, all else zero: a closed connection. */
struct redis_connection {
    const struct config *config; /* not owned */
    redisContext *context;       /* NULL: closed */
    char error[256];             /* why the last call failed, through log_clean(); Redis's error code comes first */
};

/*
 * Sends the command and waits for its reply, `extra_ms` longer than the configured time (for BLOCK).
 * args stay the caller's. Returns the reply, which the caller frees (freeReplyObject()), or NULL with conn->error set;
 * an error reply is NULL too.
 */
redisReply *redis_call(struct redis_connection *conn, const struct redis_args *args, unsigned extra_ms);

/* The same for a call made with args_script(): EVALSHA, and EVAL once when Redis does not know the script. */
redisReply *redis_script(struct redis_connection *conn, const struct checkout_script *script,
                         const struct redis_args *args);

/* Closes the connection; the next call opens it again. Also right for one that is closed. Does not block. */
void redis_close(struct redis_connection *conn);

#endif
