/*
 * Who reads from the primary: "checkout_sticky". Nothing here blocks.
 */
#ifndef NGX_HTTP_CHECKOUT_REQUEST_STICKY_H
#define NGX_HTTP_CHECKOUT_REQUEST_STICKY_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * A change was made: the answer, not sent yet, makes its client read from the
 * primary for a while. Does nothing where checkout_sticky is off. NGX_ERROR:
 * no memory.
 */
ngx_int_t ngx_http_checkout_sticky_set(ngx_http_request_t *r);

/* 1: the request is of such a client; else, and where it is off, 0. */
ngx_uint_t ngx_http_checkout_sticky(ngx_http_request_t *r);

/* The getter of $checkout_sticky_cookie, which is empty where it is off. */
ngx_int_t ngx_http_checkout_variable_sticky_cookie(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


#endif
