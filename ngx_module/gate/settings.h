/*
 * What a location's directives say about the gate. conf/ fills it.
 */
#ifndef NGX_HTTP_CHECKOUT_GATE_SETTINGS_H
#define NGX_HTTP_CHECKOUT_GATE_SETTINGS_H

#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    ngx_uint_t  queue_limit;     /* orders */
    ngx_msec_t  sold_out_cache;  /* a mark's life; 0: off */
} ngx_http_checkout_gate_settings_t;


#endif
