/*
 * What a new connection says first: AUTH where there is a password, then
 * SELECT.
 *
 * Nothing else is written before Redis has agreed to both: orders must not
 * land in another database.
 */
#include "redis/login.h"

#include "text/number.h"


static ngx_uint_t
ngx_http_checkout_login_is_auth(ngx_http_checkout_server_t *server,
    ngx_uint_t authenticated)
{
    return server->password.len != 0 && !authenticated;
}


static int
ngx_http_checkout_login_auth(char **text, ngx_http_checkout_server_t *server)
{
    int          n;
    size_t       lengths[3];
    const char  *argv[3];

    n = 0;
    argv[n] = "AUTH";
    lengths[n++] = 4;

    if (server->user.len) {
        argv[n] = (char *) server->user.data;
        lengths[n++] = server->user.len;
    }

    argv[n] = (char *) server->password.data;
    lengths[n++] = server->password.len;

    return redisFormatCommandArgv(text, n, argv, lengths);
}


static int
ngx_http_checkout_login_select(char **text, ngx_http_checkout_server_t *server)
{
    char         number[NUMBER_DIGITS_MAX];
    size_t       lengths[2];
    const char  *argv[2];

    argv[0] = "SELECT";
    lengths[0] = 6;
    argv[1] = number;
    lengths[1] = number_write(number, server->database) - number;

    return redisFormatCommandArgv(text, 2, argv, lengths);
}


ngx_int_t
ngx_http_checkout_login_write(ngx_http_checkout_command_t *command,
    ngx_http_checkout_server_t *server, ngx_uint_t authenticated)
{
    int  len;

    if (ngx_http_checkout_login_is_auth(server, authenticated)) {
        len = ngx_http_checkout_login_auth(&command->text, server);

    } else {
        len = ngx_http_checkout_login_select(&command->text, server);
    }

    if (len < 0) {
        command->text = NULL;
        return NGX_ERROR;
    }

    ngx_http_checkout_command_prepare(command, len);

    return NGX_OK;
}


ngx_int_t
ngx_http_checkout_login_read(redisReply *reply,
    ngx_http_checkout_server_t *server, ngx_uint_t authenticated)
{
    ngx_str_t   word;
    ngx_uint_t  auth;

    auth = ngx_http_checkout_login_is_auth(server, authenticated);

    if (reply->type != REDIS_REPLY_ERROR) {
        return auth ? NGX_AGAIN : NGX_OK;
    }

    /*
     * Only the first word: Redis repeats the arguments of a command that it
     * does not know.
     */
    word.data = (u_char *) reply->str;
    word.len = strcspn(reply->str, " ");

    if (auth) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "checkout: Redis %V refused the password: %V",
                      &server->name, &word);

    } else {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "checkout: Redis %V refused database %ui: %V",
                      &server->name, server->database, &word);
    }

    return NGX_ERROR;
}
