/*
 * Answers in JSON: the codes, statuses and messages of every refusal, and the sending of a body.
 */
#ifndef NGX_HTTP_CHECKOUT_REQUEST_RESPONSE_H
#define NGX_HTTP_CHECKOUT_REQUEST_RESPONSE_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "request/outcome.h"


#define NGX_HTTP_CHECKOUT_ORDERS_URL     "/api/orders/"


ngx_int_t ngx_http_checkout_english(ngx_http_request_t *r);
ngx_int_t ngx_http_checkout_header(ngx_http_request_t *r, const char *name, u_char *value, size_t len);
ngx_int_t ngx_http_checkout_send(ngx_http_request_t *r, ngx_uint_t status, ngx_buf_t *body);
ngx_int_t ngx_http_checkout_send_type(ngx_http_request_t *r, ngx_uint_t status, const char *type, ngx_buf_t *body);
ngx_uint_t ngx_http_checkout_outcome_of(ngx_uint_t outcome, ngx_uint_t reads);
const char *ngx_http_checkout_outcome_name(ngx_uint_t outcome);
ngx_int_t ngx_http_checkout_refuse(ngx_http_request_t *r, ngx_http_checkout_code_e code, ngx_str_t *members,
    ngx_uint_t retry_after);
ngx_int_t ngx_http_checkout_refuse_method(ngx_http_request_t *r, const char *allow);
void ngx_http_checkout_finish(ngx_http_request_t *r, ngx_int_t rc);


#endif
