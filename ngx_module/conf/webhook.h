/*
 * Webhooks: whose, and their secrets.
 */
#ifndef NGX_HTTP_CHECKOUT_CONF_WEBHOOK_H
#define NGX_HTTP_CHECKOUT_CONF_WEBHOOK_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "conf/conf.h"


char *ngx_http_checkout_set_webhook(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_checkout_set_webhook_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Reads the secrets of a location with "checkout_webhook". NGX_CONF_ERROR:
 * what is wrong is logged, without any secret. Reads the disk.
 */
char *ngx_http_checkout_merge_webhook(ngx_conf_t *cf,
    ngx_http_checkout_loc_conf_t *conf);


#endif
