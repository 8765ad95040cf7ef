/*
 * A command to Redis and its reply.
 */
#include "redis/command.h"


void
ngx_http_checkout_command_prepare(ngx_http_checkout_command_t *command,
    size_t len)
{
    ngx_memzero(&command->buf, sizeof(ngx_buf_t));

    command->buf.start = (u_char *) command->text;
    command->buf.pos = command->buf.start;
    command->buf.last = command->buf.start + len;
    command->buf.end = command->buf.last;
    command->buf.memory = 1;
    command->begun = 0;
}


void
ngx_http_checkout_command_free(ngx_http_checkout_command_t *command)
{
    if (command->text != NULL) {
        redisFreeCommand(command->text);
        command->text = NULL;
    }
}


ngx_uint_t
ngx_http_checkout_command_begun(ngx_http_checkout_command_t *command)
{
    return command->begun || command->buf.pos != command->buf.start;
}


ngx_uint_t
ngx_http_checkout_reply_is_error(redisReply *reply, const char *word)
{
    size_t  len;

    len = ngx_strlen(word);

    return reply->type == REDIS_REPLY_ERROR && (size_t) reply->len >= len
           && ngx_strncmp(reply->str, word, len) == 0
           && ((size_t) reply->len == len || reply->str[len] == ' ');
}
