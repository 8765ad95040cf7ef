/*
 * Objects that locations share whose settings are equal: connections to Redis,
 * gates and clocks.
 *
 * Each function gives a member of its list, a new one where none fits. They
 * belong to the configuration; a worker process starts them (see the module's
 * init_process). NULL: no memory.
 */
#ifndef NGX_HTTP_CHECKOUT_CONF_SHARED_H
#define NGX_HTTP_CHECKOUT_CONF_SHARED_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "conf/conf.h"


/* The location's resolver; NULL: it has none. */
ngx_resolver_t *ngx_http_checkout_resolver(ngx_conf_t *cf);

ngx_http_checkout_redis_t *ngx_http_checkout_find_redis(ngx_conf_t *cf,
    ngx_array_t *list, ngx_http_checkout_redis_settings_t *settings);

/* Of conf->redis and conf->gate_settings. zone: NULL, or for marks. */
ngx_http_checkout_gate_t *ngx_http_checkout_find_gate(ngx_conf_t *cf,
    ngx_array_t *list, ngx_http_checkout_loc_conf_t *conf,
    ngx_http_checkout_zone_t *zone);

ngx_http_checkout_clock_t *ngx_http_checkout_find_clock(ngx_conf_t *cf,
    ngx_array_t *list, ngx_msec_t timeout);


#endif
