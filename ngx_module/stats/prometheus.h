/*
 * The counters as Prometheus text.
 */
#ifndef NGX_HTTP_CHECKOUT_STATS_PROMETHEUS_H
#define NGX_HTTP_CHECKOUT_STATS_PROMETHEUS_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>



uint64_t ngx_http_checkout_now_us(void);    /* of CLOCK_MONOTONIC, as db_begun() */
void ngx_http_checkout_metrics_call(ngx_uint_t orders, uint64_t us);


#endif
