/*
 * The context of a request, and its cleanup.
 *
 * nginx forgets the contexts of modules when it goes to an error_page; the
 * cleanup stays until the request ends, so the context is found again there.
 */
#include "request/context.h"


/* Only the mark by which the context is found again. */
static void
ngx_http_checkout_ctx_cleanup(void *data)
{
}


ngx_http_checkout_ctx_t *
ngx_http_checkout_ctx_get(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t       *cleanup;
    ngx_http_checkout_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_checkout_module);

    if (ctx != NULL || (!r->internal && !r->filter_finalize)) {
        return ctx;
    }

    for (cleanup = r->pool->cleanup; cleanup; cleanup = cleanup->next) {
        if (cleanup->handler == ngx_http_checkout_ctx_cleanup) {
            ctx = cleanup->data;

            if (ctx->waiting.request == r) {
                return ctx;
            }
        }
    }

    return NULL;
}


ngx_http_checkout_ctx_t *
ngx_http_checkout_ctx_create(ngx_http_request_t *r,
    ngx_http_checkout_request_kind_e kind)
{
    ngx_pool_cleanup_t       *cleanup;
    ngx_http_checkout_ctx_t  *ctx;

    cleanup = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_checkout_ctx_t));

    if (cleanup == NULL) {
        return NULL;
    }

    ctx = cleanup->data;
    ngx_memzero(ctx, sizeof(ngx_http_checkout_ctx_t));
    ngx_http_checkout_waiting_init(&ctx->waiting, r);
    ctx->kind = kind;
    cleanup->handler = ngx_http_checkout_ctx_cleanup;

    ngx_http_set_ctx(r, ctx, ngx_http_checkout_module);

    return ctx;
}


ngx_http_checkout_ctx_t *
ngx_http_checkout_ctx_create_main(ngx_http_request_t *r,
    ngx_http_checkout_request_kind_e kind, const char *directive)
{
    if (r != r->main) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "%s in a subrequest",
                      directive);
        return NULL;
    }

    return ngx_http_checkout_ctx_create(r, kind);
}
