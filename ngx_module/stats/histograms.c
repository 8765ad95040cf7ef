/*
 * Histograms of the calls of place_order.lua, and the clock to measure with.
 */
#include "stats/histograms.h"


const ngx_uint_t
    ngx_http_checkout_batch_bounds[NGX_HTTP_CHECKOUT_BATCH_BUCKETS] = {
        1, 2, 4, 8, 16, 32, 64, 128, 256
    };

const ngx_http_checkout_call_bound_t
    ngx_http_checkout_call_bounds[NGX_HTTP_CHECKOUT_CALL_BUCKETS] = {
        { 100, "0.0001" }, { 250, "0.00025" }, { 500, "0.0005" },
        { 1000, "0.001" }, { 2500, "0.0025" }, { 5000, "0.005" },
        { 10000, "0.01" }, { 25000, "0.025" }, { 50000, "0.05" },
        { 100000, "0.1" }, { 250000, "0.25" }, { 500000, "0.5" },
        { 1000000, "1" }
    };


uint64_t
ngx_http_checkout_now_us(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


void
ngx_http_checkout_observe_call(ngx_uint_t orders, uint64_t us)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_CHECKOUT_BATCH_BUCKETS; i++) {
        if (orders <= ngx_http_checkout_batch_bounds[i]) {
            break;
        }
    }

    ngx_http_checkout_count(batches[i], 1);
    ngx_http_checkout_count(batch_orders, orders);

    for (i = 0; i < NGX_HTTP_CHECKOUT_CALL_BUCKETS; i++) {
        if (us <= ngx_http_checkout_call_bounds[i].us) {
            break;
        }
    }

    ngx_http_checkout_count(calls[i], 1);
    ngx_http_checkout_count(call_us, us);
}
