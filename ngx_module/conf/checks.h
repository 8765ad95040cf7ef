/*
 * Bounds of numbers that nginx itself reads: cmd->post of a directive.
 */
#ifndef NGX_HTTP_CHECKOUT_CONF_CHECKS_H
#define NGX_HTTP_CHECKOUT_CONF_CHECKS_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


extern ngx_conf_post_t  ngx_http_checkout_check_positive;   /* ngx_msec_t */
extern ngx_conf_post_t  ngx_http_checkout_check_size;       /* 1k to 2g */
extern ngx_conf_post_t  ngx_http_checkout_check_tolerance;  /* 1s to 1h */
extern ngx_conf_post_t  ngx_http_checkout_check_number;     /* 1 to 2^31-1 */


#endif
