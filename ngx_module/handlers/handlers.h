/*
 * The endpoints: content handlers, each of the directive that has its name.
 *
 * A handler never blocks. It returns what nginx expects of one; NGX_DONE when
 * the request waits for a body, Redis or MySQL and is answered later.
 */
#ifndef NGX_HTTP_CHECKOUT_HANDLERS_HANDLERS_H
#define NGX_HTTP_CHECKOUT_HANDLERS_HANDLERS_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


ngx_int_t ngx_http_checkout_order_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_checkout_status_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_checkout_stock_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_checkout_cancel_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_checkout_init_stock_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_checkout_query_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_checkout_webhook_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_checkout_ready_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_checkout_health_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_checkout_metrics_handler(ngx_http_request_t *r);


#endif
