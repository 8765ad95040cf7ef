/*
 * Counts what became of requests. Nothing here blocks.
 */
#ifndef NGX_HTTP_CHECKOUT_REQUEST_COUNT_H
#define NGX_HTTP_CHECKOUT_REQUEST_COUNT_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "request/context.h"
#include "request/outcome.h"


/*
 * Counts what a request came to, by its kind. For a refusal
 * ngx_http_checkout_refuse() does.
 */
void ngx_http_checkout_count_outcome(ngx_http_checkout_ctx_t *ctx,
    ngx_http_checkout_outcome_e outcome);

/*
 * The same for a refusal, which is noted for the variables as well. Does
 * nothing where the request has no context.
 */
void ngx_http_checkout_count_refusal(ngx_http_request_t *r,
    ngx_http_checkout_outcome_e outcome);


#endif
