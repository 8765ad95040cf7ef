/*
 * Answers in JSON.
 */
#ifndef NGX_HTTP_CHECKOUT_REQUEST_RESPONSE_H
#define NGX_HTTP_CHECKOUT_REQUEST_RESPONSE_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "request/context.h"
#include "request/outcome.h"


#define NGX_HTTP_CHECKOUT_ORDERS_URL  "/api/orders/"


/*
 * None of these blocks. Those that send or refuse return what a content
 * handler returns, or ngx_http_finalize_request() takes.
 */

/* 1: the answer is in English, as the first language of Accept-Language. */
ngx_int_t ngx_http_checkout_english(ngx_http_request_t *r);

/*
 * Adds a header as it stands: a relative Location stays relative. name and
 * value must live as long as the request. NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_checkout_header(ngx_http_request_t *r, const char *name,
    u_char *value, size_t len);

/*
 * Sends a body of application/json, or of a type that is constant text. The
 * buffer must live as long as the request.
 */
ngx_int_t ngx_http_checkout_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_buf_t *body);
ngx_int_t ngx_http_checkout_send_type(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, ngx_buf_t *body);

/*
 * Sends a refusal: {"message":"…","code":"…"members}. Where the location has
 * an error_page for its status, the status alone is returned. members: NULL,
 * or JSON members, each with its comma in front. retry_after: seconds, 0: what
 * the table of outcomes has. Is counted, and noted for the variables, where
 * the request has a context.
 */
ngx_int_t ngx_http_checkout_refuse(ngx_http_request_t *r,
    ngx_http_checkout_outcome_e outcome, ngx_str_t *members,
    ngx_uint_t retry_after);

/* 405, with the methods that are allowed: constant text. Drops the body. */
ngx_int_t ngx_http_checkout_refuse_method(ngx_http_request_t *r,
    const char *allow);

#endif
