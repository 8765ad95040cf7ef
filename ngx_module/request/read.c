/*
 * What requests that read have in common.
 */
#include "request/read.h"

#include "request/context.h"
#include "request/count.h"
#include "request/outcome.h"
#include "request/response.h"
#include "request/settings.h"


ngx_int_t
ngx_http_checkout_read_method(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    if (!(r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD))) {
        return ngx_http_checkout_refuse_method(r, "GET, HEAD");
    }

    rc = ngx_http_discard_request_body(r);

    return rc == NGX_OK ? NGX_DECLINED : rc;
}


ngx_int_t
ngx_http_checkout_read_begin(ngx_http_request_t *r, ngx_str_t *argument)
{
    ngx_int_t                  rc;
    ngx_http_checkout_ctx_t   *ctx;
    ngx_http_complex_value_t  *value;

    ctx = ngx_http_checkout_ctx_create(r, NGX_HTTP_CHECKOUT_REQUEST_READ);

    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_checkout_read_method(r);

    if (rc != NGX_DECLINED || argument == NULL) {
        return rc;
    }

    value = ngx_http_checkout_request_settings(r)->argument;

    if (ngx_http_complex_value(r, value, argument) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_checkout_read_found(ngx_http_request_t *r, ngx_buf_t *b,
    u_char *status, size_t len)
{
    ngx_http_checkout_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_checkout_module);

    if (ctx != NULL) {
        ctx->status.data = status;
        ctx->status.len = len;
        ngx_http_checkout_count_outcome(ctx, NGX_HTTP_CHECKOUT_FOUND);
    }

    return ngx_http_checkout_send(r, NGX_HTTP_OK, b);
}
