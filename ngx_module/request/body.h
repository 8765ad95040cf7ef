/*
 * A request's body: its text, and what is wrong with it.
 */
#ifndef NGX_HTTP_CHECKOUT_REQUEST_BODY_H
#define NGX_HTTP_CHECKOUT_REQUEST_BODY_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "order/order.h"
#include "request/outcome.h"


#define NGX_HTTP_CHECKOUT_BODY_MAX  16384    /* bytes of a JSON body */


ngx_int_t ngx_http_checkout_body_read_json(ngx_http_request_t *r, ngx_http_client_body_handler_pt handler);
ngx_int_t ngx_http_checkout_refuse_unread(ngx_http_request_t *r, ngx_http_checkout_outcome_e code);
ngx_int_t ngx_http_checkout_body_text(ngx_http_request_t *r, size_t most, ngx_str_t *text);
u_char *ngx_http_checkout_body_syntax(u_char *p, u_char *end, u_char *first, const char *syntax, size_t offset,
    ngx_uint_t english);
u_char *ngx_http_checkout_body_field(u_char *p, u_char *end, u_char *first, const char *name,
    enum checkout_field_error error, uint64_t min, uint64_t max, ngx_uint_t english);


#endif
