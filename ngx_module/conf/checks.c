/*
 * Bounds of numbers that nginx itself reads.
 */
#include "conf/checks.h"


static char *
ngx_http_checkout_positive(ngx_conf_t *cf, void *post, void *data)
{
    ngx_msec_t  *value = data;

    return *value > 0 ? NGX_CONF_OK : "must be positive";
}


/* A signature that is valid for longer could be used by whoever finds it. */
static char *
ngx_http_checkout_tolerance(ngx_conf_t *cf, void *post, void *data)
{
    time_t  *value = data;

    return *value >= 1 && *value <= 3600
               ? NGX_CONF_OK
               : "must be between 1s and 1h";
}


static char *
ngx_http_checkout_size(ngx_conf_t *cf, void *post, void *data)
{
    size_t  *value = data;

    return *value >= 1024 && *value <= INT32_MAX
               ? NGX_CONF_OK
               : "must be between 1k and 2g";
}


static char *
ngx_http_checkout_number(ngx_conf_t *cf, void *post, void *data)
{
    ngx_int_t  *value = data;

    return *value >= 1 && *value <= INT32_MAX
               ? NGX_CONF_OK
               : "must be between 1 and 2147483647";
}


ngx_conf_post_t  ngx_http_checkout_check_positive = {
    ngx_http_checkout_positive
};
ngx_conf_post_t  ngx_http_checkout_check_size = { ngx_http_checkout_size };
ngx_conf_post_t  ngx_http_checkout_check_tolerance = {
    ngx_http_checkout_tolerance
};
ngx_conf_post_t  ngx_http_checkout_check_number = { ngx_http_checkout_number };
