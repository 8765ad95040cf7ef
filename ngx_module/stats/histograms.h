/*
 * Histograms of the calls of place_order.lua, and the clock to measure with.
 */
#ifndef NGX_HTTP_CHECKOUT_STATS_HISTOGRAMS_H
#define NGX_HTTP_CHECKOUT_STATS_HISTOGRAMS_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "stats/counters.h"


typedef struct {
    uint64_t     us;
    const char  *seconds;  /* the same, for a label */
} ngx_http_checkout_call_bound_t;

/* Upper bounds, as in "le". What is larger counts in one more place. */
extern const ngx_uint_t
    ngx_http_checkout_batch_bounds[NGX_HTTP_CHECKOUT_BATCH_BUCKETS];
extern const ngx_http_checkout_call_bound_t
    ngx_http_checkout_call_bounds[NGX_HTTP_CHECKOUT_CALL_BUCKETS];

/* µs of CLOCK_MONOTONIC, as db_begun() of mysql/db.h; for any thread. */
uint64_t ngx_http_checkout_now_us(void);

/* A call with so many orders was answered after so many µs. */
void ngx_http_checkout_observe_call(ngx_uint_t orders, uint64_t us);


#endif
