/*
 * The administrator's token.
 */
#ifndef NGX_HTTP_CHECKOUT_REQUEST_ADMIN_H
#define NGX_HTTP_CHECKOUT_REQUEST_ADMIN_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>



ngx_uint_t ngx_http_checkout_is_admin(ngx_http_request_t *r);


#endif
