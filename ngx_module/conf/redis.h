/*
 * Which Redis, and the TLS that it is spoken to with.
 */
#ifndef NGX_HTTP_CHECKOUT_CONF_REDIS_H
#define NGX_HTTP_CHECKOUT_CONF_REDIS_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "conf/conf.h"


char *ngx_http_checkout_set_redis(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* 1: the same server, database and login. */
ngx_uint_t ngx_http_checkout_same_server(ngx_http_checkout_server_t *a,
    ngx_http_checkout_server_t *b);

#if (NGX_HTTP_SSL)
/*
 * Sets conf->redis_settings.tls, where the location has TLS, from the list or
 * to a new member of it. NGX_CONF_ERROR: what is wrong is logged. Reads files.
 */
char *ngx_http_checkout_merge_tls(ngx_conf_t *cf, ngx_array_t *list,
    ngx_http_checkout_loc_conf_t *conf);
#endif


#endif
