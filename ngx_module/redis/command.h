/*
 * A command to Redis and its reply.
 *
 * Who frees:
 *   the command   its maker: in its handler or later, or once it is withdrawn.
 *                 Its connection has it from send() until then (connection.h)
 *   its text      the connection: when all of it is written, when the
 *                 connection is lost in the middle of it, or when the command
 *                 is withdrawn
 *   the reply     the connection, when the handler has returned; a handler
 *                 copies what it keeps
 */
#ifndef NGX_HTTP_CHECKOUT_REDIS_COMMAND_H
#define NGX_HTTP_CHECKOUT_REDIS_COMMAND_H

#include <ngx_config.h>
#include <ngx_core.h>

#include <hiredis/hiredis.h>


typedef struct ngx_http_checkout_command_s  ngx_http_checkout_command_t;

/*
 * Called once for each command of which a byte was written.  reply: NULL when
 * the connection was lost before it came; else it is freed after this call.
 * The handler may free the command or send it again, send others, end
 * requests, and drop the connection.
 */
typedef void (*ngx_http_checkout_reply_pt)(
   ngx_http_checkout_command_t *command, redisReply *reply);

/* Part of what belongs to its maker. */
struct ngx_http_checkout_command_s {
    ngx_queue_t                  queue;  /* of its connection */
    ngx_buf_t                    buf;
    ngx_chain_t                  link;
    char                        *text;  /* made by hiredis; NULL: none */
    ngx_http_checkout_reply_pt   handler;
    /* TLS may have written of it, though buf.pos does not show it */
    unsigned                     begun:1;
};


/* command->text holds len bytes, to be written. */
void ngx_http_checkout_command_prepare(ngx_http_checkout_command_t *command,
    size_t len);

/* Frees the text, if there is one. */
void ngx_http_checkout_command_free(ngx_http_checkout_command_t *command);

/* 1: Redis may have got some byte of it; else 0. */
ngx_uint_t ngx_http_checkout_command_begun(
    ngx_http_checkout_command_t *command);

/* 1: the reply is an error whose first word is this one; else 0. */
ngx_uint_t ngx_http_checkout_reply_is_error(redisReply *reply,
    const char *word);


#endif
