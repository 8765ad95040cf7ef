/*
 * Directives that fill request/settings.h and gate/settings.h, and the zone of
 * shared memory.
 */
#ifndef NGX_HTTP_CHECKOUT_CONF_REQUEST_H
#define NGX_HTTP_CHECKOUT_CONF_REQUEST_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


char *ngx_http_checkout_set_user(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_checkout_set_sold_out_cache(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_checkout_set_sticky(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_checkout_set_admin_token(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_checkout_set_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#endif
