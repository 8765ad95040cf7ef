/*
 * Between connection and opening.
 */
#ifndef NGX_HTTP_CHECKOUT_REDIS_PRIVATE_H
#define NGX_HTTP_CHECKOUT_REDIS_PRIVATE_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "redis/connection.h"


/* between redis and connect */
void ngx_http_checkout_connect(ngx_event_t *ev);
void ngx_http_checkout_redis_opened(ngx_http_checkout_redis_t *redis);
void ngx_http_checkout_redis_lost(ngx_http_checkout_redis_t *redis, const char *reason);
void ngx_http_checkout_redis_read(ngx_event_t *rev);
void ngx_http_checkout_redis_write(ngx_event_t *wev);
void ngx_http_checkout_call_prepare(ngx_http_checkout_call_t *call, size_t len);


#endif
