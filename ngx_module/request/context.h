/*
 * What is known of a request, from its first moment to its last.
 */
#ifndef NGX_HTTP_CHECKOUT_REQUEST_CONTEXT_H
#define NGX_HTTP_CHECKOUT_REQUEST_CONTEXT_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "order/identifier.h"
#include "request/settings.h"
#include "request/waiting.h"


/* What a request asks for: how it is counted depends on it. */
typedef enum {
    NGX_HTTP_CHECKOUT_REQUEST_OTHER, /* is not counted */
    NGX_HTTP_CHECKOUT_REQUEST_ORDER,
    NGX_HTTP_CHECKOUT_REQUEST_READ,
    NGX_HTTP_CHECKOUT_REQUEST_INIT_STOCK,
    NGX_HTTP_CHECKOUT_REQUEST_CANCEL,
    NGX_HTTP_CHECKOUT_REQUEST_WEBHOOK
} ngx_http_checkout_request_kind_e;

typedef struct {
    ngx_http_checkout_waiting_t       waiting;  /* with the request itself */
    ngx_http_checkout_request_kind_e  kind;
    /* of the order, or the refusal's code; empty: not known */
    ngx_str_t                         status;
    /* Idempotency-Key; empty: none */
    ngx_str_t                         key;
    uint64_t                          user_id;  /* of checkout_user */
    uint64_t                          product_id;
    /* orders in the call that decided this one */
    ngx_uint_t                        batch;
    unsigned                          refused:1;
    /* Idempotency-Key is not valid */
    unsigned                          bad_key:1;

    /* first byte NUL: none */
    char                              identifier[CHECKOUT_IDENTIFIER_LEN];
} ngx_http_checkout_ctx_t;


/*
 * The context lives in the request's pool. None of these blocks.
 *
 * get: of this request, also after nginx went to an error_page; NULL: none.
 *
 * create: a new one, zeroed but for waiting and kind. NULL: no memory.
 *
 * create_main: the same, for a request that changes something and may have a
 * body. NULL also in a subrequest, which is logged with the directive's name.
 */
ngx_http_checkout_ctx_t *ngx_http_checkout_ctx_get(ngx_http_request_t *r);
ngx_http_checkout_ctx_t *ngx_http_checkout_ctx_create(ngx_http_request_t *r,
    ngx_http_checkout_request_kind_e kind);
ngx_http_checkout_ctx_t *ngx_http_checkout_ctx_create_main(
    ngx_http_request_t *r, ngx_http_checkout_request_kind_e kind,
    const char *directive);


#endif
