/*
 * What requests that read have in common. Nothing here blocks.
 */
#ifndef NGX_HTTP_CHECKOUT_REQUEST_READ_H
#define NGX_HTTP_CHECKOUT_REQUEST_READ_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * NGX_DECLINED: the method is GET or HEAD, and a body is dropped. Else the
 * request is refused, and the caller returns the value.
 */
ngx_int_t ngx_http_checkout_read_method(ngx_http_request_t *r);

/*
 * The same, and the request has a context. argument: NULL, or takes the value
 * of the argument of the handler's directive, in the request's pool.
 */
ngx_int_t ngx_http_checkout_read_begin(ngx_http_request_t *r,
    ngx_str_t *argument);

/*
 * Sends 200. status: for $checkout_status; lives as long as the request.
 * Returns what ngx_http_finalize_request() takes.
 */
ngx_int_t ngx_http_checkout_read_found(ngx_http_request_t *r, ngx_buf_t *b,
    u_char *status, size_t len);


#endif
