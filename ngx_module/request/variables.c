/*
 * The variables: $checkout_status and its like.
 */
#include "request/variables.h"

#include "request/context.h"
#include "request/sticky.h"
#include "order/identifier.h"
#include "order/order.h"
#include "text/number.h"


static ngx_int_t
ngx_http_checkout_variable_text(ngx_http_variable_value_t *v,
    const u_char *text, size_t len)
{
    v->data = (u_char *) text;
    v->len = len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_checkout_variable_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uint64_t number)
{
    u_char  *text;

    if (number == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    text = ngx_pnalloc(r->pool, NGX_INT64_LEN);

    if (text == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_checkout_variable_text(
        v, text, (u_char *) number_write((char *) text, number) - text);
}


/*
 * The outcome: the status of an accepted or found order, the code of a
 * refusal.
 */
static ngx_int_t
ngx_http_checkout_variable_status(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_checkout_ctx_t  *ctx;

    ctx = ngx_http_checkout_ctx_get(r);

    if (ctx == NULL || ctx->status.len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_checkout_variable_text(v, ctx->status.data,
                                           ctx->status.len);
}


static ngx_int_t
ngx_http_checkout_variable_code(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_checkout_ctx_t  *ctx;

    ctx = ngx_http_checkout_ctx_get(r);

    if (ctx == NULL || !ctx->refused) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_checkout_variable_text(v, ctx->status.data,
                                           ctx->status.len);
}


static ngx_int_t
ngx_http_checkout_variable_order(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_checkout_ctx_t  *ctx;

    ctx = ngx_http_checkout_ctx_get(r);

    if (ctx == NULL || ctx->identifier[0] == '\0') {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_checkout_variable_text(v, (u_char *) ctx->identifier,
                                           CHECKOUT_IDENTIFIER_LEN);
}


static ngx_int_t
ngx_http_checkout_variable_product(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_checkout_ctx_t  *ctx;

    ctx = ngx_http_checkout_ctx_get(r);

    return ngx_http_checkout_variable_number(r, v, ctx ? ctx->product_id : 0);
}


static ngx_int_t
ngx_http_checkout_variable_batch(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_checkout_ctx_t  *ctx;

    ctx = ngx_http_checkout_ctx_get(r);

    return ngx_http_checkout_variable_number(r, v, ctx ? ctx->batch : 0);
}


/*
 * "1" for a client that reads from the primary; known before any handler runs,
 * so that it can bypass nginx's caches.
 */
static ngx_int_t
ngx_http_checkout_variable_sticky(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    return ngx_http_checkout_variable_text(
        v, (u_char *) "1", ngx_http_checkout_sticky(r) ? 1 : 0);
}


static ngx_http_variable_t  ngx_http_checkout_variables[] = {

    { ngx_string("checkout_status"), NULL, ngx_http_checkout_variable_status,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },
    { ngx_string("checkout_code"), NULL, ngx_http_checkout_variable_code, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },
    { ngx_string("checkout_order"), NULL, ngx_http_checkout_variable_order, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },
    { ngx_string("checkout_product"), NULL, ngx_http_checkout_variable_product,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },
    { ngx_string("checkout_batch"), NULL, ngx_http_checkout_variable_batch, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },
    { ngx_string("checkout_sticky_cookie"), NULL,
      ngx_http_checkout_variable_sticky_cookie, 0, NGX_HTTP_VAR_NOCACHEABLE,
      0 },
    { ngx_string("checkout_sticky"), NULL, ngx_http_checkout_variable_sticky,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    ngx_http_null_variable
};


ngx_int_t
ngx_http_checkout_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *v, *var;

    for (v = ngx_http_checkout_variables; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);

        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}
