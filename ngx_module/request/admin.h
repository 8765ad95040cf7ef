/*
 * The administrator's token.
 */
#ifndef NGX_HTTP_CHECKOUT_REQUEST_ADMIN_H
#define NGX_HTTP_CHECKOUT_REQUEST_ADMIN_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * 1: the request's "Authorization: Bearer" has the token of its location,
 * which must have one; else 0. Takes the same time whatever is in it.
 */
ngx_uint_t ngx_http_checkout_is_admin(ngx_http_request_t *r);


#endif
