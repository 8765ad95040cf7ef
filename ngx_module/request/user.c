/*
 * Who asks: "checkout_user".
 */
#include "request/user.h"

#include "request/outcome.h"
#include "request/response.h"
#include "request/settings.h"
#include "order/identifier.h"
#include "text/number.h"


ngx_int_t
ngx_http_checkout_user(ngx_http_request_t *r, uint64_t *user_id)
{
    ngx_str_t                  text;
    ngx_http_complex_value_t  *value;

    *user_id = 0;
    value = ngx_http_checkout_request_settings(r)->user;

    if (value == NULL) {
        return NGX_OK;
    }

    if (ngx_http_complex_value(r, value, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    if (number_parse(user_id, (char *) text.data, text.len, UINT64_MAX) != 0
        || *user_id == 0)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_checkout_require_user(ngx_http_request_t *r, uint64_t *user_id)
{
    ngx_int_t  rc;

    rc = ngx_http_checkout_user(r, user_id);

    if (rc == NGX_OK) {
        return NGX_DECLINED;
    }

    return rc == NGX_DECLINED
               ? ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_UNAUTHORIZED,
                                          NULL, 0)
               : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


ngx_int_t
ngx_http_checkout_require_order(ngx_http_request_t *r, ngx_str_t *identifier,
    uint64_t *user_id)
{
    ngx_int_t  rc;

    rc = ngx_http_checkout_require_user(r, user_id);

    if (rc == NGX_DECLINED
        && checkout_identifier_check((char *) identifier->data,
                                     identifier->len)
               != 0)
    {
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_ORDER_NOT_FOUND,
                                        NULL, 0);
    }

    return rc;
}
