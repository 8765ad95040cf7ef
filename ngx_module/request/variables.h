/*
 * What is known of a request, and the variables that tell it.
 */
#ifndef NGX_HTTP_CHECKOUT_REQUEST_VARIABLES_H
#define NGX_HTTP_CHECKOUT_REQUEST_VARIABLES_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "order/identifier.h"
#include "request/settings.h"


typedef struct {
    ngx_http_request_t          *request;
    void                       (*detach)(void *worker);    /* called when the request goes away; or NULL */
    void                        *worker;
    ngx_str_t                    status;     /* of the order, or the code of the refusal; empty: not known */
    ngx_str_t                    key;        /* Idempotency-Key, empty: none */
    uint64_t                     user_id;    /* of checkout_user */
    uint64_t                     product_id;
    ngx_msec_t                   started;    /* ngx_current_msec */
    ngx_uint_t                   batch;      /* orders in the call that decided this one */
    unsigned                     refused:1;
    unsigned                     webhook:1;
    unsigned                     read:1;     /* a read, not an order */
    unsigned                     admin:1;    /* init-stock */
    unsigned                     cancel:1;   /* a cancellation */
    unsigned                     late:1;     /* a clock of it ran out */
    unsigned                     bad_key:1;  /* the Idempotency-Key is none */
    char                         identifier[CHECKOUT_IDENTIFIER_LEN];   /* first byte NUL: none */
} ngx_http_checkout_ctx_t;

ngx_int_t ngx_http_checkout_add_variables(ngx_conf_t *cf);
ngx_http_checkout_ctx_t *ngx_http_checkout_ctx_get(ngx_http_request_t *r);
ngx_http_checkout_ctx_t *ngx_http_checkout_ctx_create(ngx_http_request_t *r);
ngx_http_checkout_ctx_t *ngx_http_checkout_ctx_create_main(ngx_http_request_t *r, const char *directive);


#endif
