/*
 * The variables: $checkout_status and its like.
 */
#ifndef NGX_HTTP_CHECKOUT_REQUEST_VARIABLES_H
#define NGX_HTTP_CHECKOUT_REQUEST_VARIABLES_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* Of the module's preconfiguration. NGX_ERROR: no memory. */
ngx_int_t ngx_http_checkout_add_variables(ngx_conf_t *cf);


#endif
