/*
 * The endpoints.
 */
#ifndef NGX_HTTP_CHECKOUT_HANDLERS_HANDLERS_H
#define NGX_HTTP_CHECKOUT_HANDLERS_HANDLERS_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "conf/conf.h"
#include "redis/lookup.h"


ngx_int_t ngx_http_checkout_order_handler(ngx_http_request_t *r);


/* status, stock, ready */

ngx_int_t ngx_http_checkout_status_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_checkout_stock_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_checkout_stock_write(ngx_http_checkout_lookup_t *lookup);
ngx_int_t ngx_http_checkout_health_handler(ngx_http_request_t *r);

char *ngx_http_checkout_set_ready(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_checkout_ready_handler(ngx_http_request_t *r);


/* cancel */

ngx_int_t ngx_http_checkout_cancel_handler(ngx_http_request_t *r);


/* init_stock */

ngx_int_t ngx_http_checkout_init_stock_handler(ngx_http_request_t *r);


/* query */

ngx_int_t ngx_http_checkout_query_handler(ngx_http_request_t *r);


/* webhook */

ngx_int_t ngx_http_checkout_webhook_handler(ngx_http_request_t *r);


/* metrics */

ngx_int_t ngx_http_checkout_metrics_handler(ngx_http_request_t *r);


#endif
