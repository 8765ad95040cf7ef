/*
 * The administrator's token.
 */
#ifndef NGX_HTTP_CHECKOUT_REQUEST_ADMIN_H
#define NGX_HTTP_CHECKOUT_REQUEST_ADMIN_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>



char *ngx_http_checkout_set_admin_token(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_uint_t ngx_http_checkout_is_admin(ngx_http_request_t *r);


#endif
