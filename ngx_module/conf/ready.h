/*
 * The directive "checkout_ready".
 */
#ifndef NGX_HTTP_CHECKOUT_CONF_READY_H
#define NGX_HTTP_CHECKOUT_CONF_READY_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


char *ngx_http_checkout_set_ready(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#endif
