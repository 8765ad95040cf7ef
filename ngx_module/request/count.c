/*
 * Counts what became of requests.
 */
#include "request/count.h"

#include "stats/counters.h"


_Static_assert(NGX_HTTP_CHECKOUT_OUTCOMES <= NGX_HTTP_CHECKOUT_OUTCOMES_MAX,
               "each outcome has a counter");


/* How the requests that are counted by four results came out. */
static ngx_http_checkout_result_e
ngx_http_checkout_result(ngx_http_checkout_outcome_e outcome)
{
    ngx_uint_t  status;

    status = ngx_http_checkout_outcomes[outcome].status;

    if (status >= 500) {
        return NGX_HTTP_CHECKOUT_RESULT_FAILED;
    }

    if (status >= 400) {
        return NGX_HTTP_CHECKOUT_RESULT_REFUSED;
    }

    return outcome == NGX_HTTP_CHECKOUT_EVENT_REPEATED
               ? NGX_HTTP_CHECKOUT_RESULT_REPEATED
               : NGX_HTTP_CHECKOUT_RESULT_DONE;
}


void
ngx_http_checkout_count_outcome(ngx_http_checkout_ctx_t *ctx,
    ngx_http_checkout_outcome_e outcome)
{
    switch (ctx->kind) {

    case NGX_HTTP_CHECKOUT_REQUEST_ORDER:
        ngx_http_checkout_count(orders[outcome], 1);
        return;

    case NGX_HTTP_CHECKOUT_REQUEST_READ:
        ngx_http_checkout_count(reads[outcome], 1);
        return;

    case NGX_HTTP_CHECKOUT_REQUEST_INIT_STOCK:
        ngx_http_checkout_count(init_stocks[ngx_http_checkout_result(outcome)],
                                1);
        return;

    case NGX_HTTP_CHECKOUT_REQUEST_CANCEL:
        ngx_http_checkout_count(cancels[ngx_http_checkout_result(outcome)], 1);
        return;

    case NGX_HTTP_CHECKOUT_REQUEST_WEBHOOK:
        ngx_http_checkout_count(webhooks[ngx_http_checkout_result(outcome)],
                                1);
        return;

    case NGX_HTTP_CHECKOUT_REQUEST_OTHER:
        return;
    }
}


void
ngx_http_checkout_count_refusal(ngx_http_request_t *r,
    ngx_http_checkout_outcome_e outcome)
{
    ngx_http_checkout_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_checkout_module);

    if (ctx == NULL) {
        return;
    }

    ctx->status = ngx_http_checkout_outcomes[outcome].code;
    ctx->refused = 1;

    /* a request that got an answer all the same is not counted */
    if (ctx->waiting.late && ngx_http_checkout_outcomes[outcome].status >= 500)
    {
        ngx_http_checkout_count(timeouts, 1);
    }

    ngx_http_checkout_count_outcome(ctx, outcome);
}
