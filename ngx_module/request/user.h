/*
 * Who asks: "checkout_user". Nothing here blocks.
 */
#ifndef NGX_HTTP_CHECKOUT_REQUEST_USER_H
#define NGX_HTTP_CHECKOUT_REQUEST_USER_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * NGX_OK, and the buyer who asks; 0 where the location has no "checkout_user".
 * NGX_DECLINED: its value is not a user. NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_checkout_user(ngx_http_request_t *r, uint64_t *user_id);

/*
 * NGX_DECLINED, and user_id as above. Else the request is refused, and the
 * caller returns the value.
 */
ngx_int_t ngx_http_checkout_require_user(ngx_http_request_t *r,
    uint64_t *user_id);

/*
 * The same for a request that names an order. identifier: read only, the value
 * of the directive's argument, as the caller has evaluated it; so its text
 * lives in the request's pool. After NGX_DECLINED it has the form of an
 * identifier, CHECKOUT_IDENTIFIER_LEN characters without a NUL. What has not
 * is refused like the identifier of an order that there is not.
 */
ngx_int_t ngx_http_checkout_require_order(ngx_http_request_t *r,
    ngx_str_t *identifier, uint64_t *user_id);


#endif
