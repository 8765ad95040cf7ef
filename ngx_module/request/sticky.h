/*
 * Who reads from the primary.
 */
#ifndef NGX_HTTP_CHECKOUT_REQUEST_STICKY_H
#define NGX_HTTP_CHECKOUT_REQUEST_STICKY_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>



/* A change was made: the answer, not sent yet, makes its client read from the primary for a while. */
ngx_int_t ngx_http_checkout_sticky_set(ngx_http_request_t *r);

/* Is the request of such a client? Always 0 where checkout_sticky is off. */
ngx_uint_t ngx_http_checkout_sticky(ngx_http_request_t *r);

ngx_int_t ngx_http_checkout_variable_sticky_cookie(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data);


#endif
