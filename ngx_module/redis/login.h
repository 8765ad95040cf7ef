/*
 * What a new connection says first: AUTH where there is a password, then
 * SELECT.
 */
#ifndef NGX_HTTP_CHECKOUT_REDIS_LOGIN_H
#define NGX_HTTP_CHECKOUT_REDIS_LOGIN_H

#include <ngx_config.h>
#include <ngx_core.h>

#include "redis/command.h"
#include "redis/settings.h"


/*
 * Makes the text of the next command.  authenticated: AUTH was answered.
 * NGX_ERROR: no memory, and there is no text.
 */
ngx_int_t ngx_http_checkout_login_write(ngx_http_checkout_command_t *command,
    ngx_http_checkout_server_t *server, ngx_uint_t authenticated);

/*
 * NGX_AGAIN: AUTH is done, and SELECT comes next.  NGX_OK: all is done.
 * NGX_ERROR: Redis refused it, and that is logged, without the secret.
 */
ngx_int_t ngx_http_checkout_login_read(redisReply *reply,
    ngx_http_checkout_server_t *server, ngx_uint_t authenticated);


#endif
