/*
 * The counters of the zone as Prometheus text, version 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/), and the observation of calls.
 *
 * The text is made in one buffer from the request's pool; its size has a bound.
 */
#include "stats/prometheus.h"

#include "conf/conf.h"
#include "handlers/handlers.h"
#include "redis/connection.h"
#include "request/outcome.h"
#include "request/response.h"
#include "request/context.h"
#include "sql/job.h"
#include "stats/counters.h"
#include "checkout_scripts.h"
#include "order/order.h"


#define NGX_HTTP_CHECKOUT_METRICS_SIZE  (32 * 1024)


/* Upper bounds of the histograms; what is larger falls into one more place. */
static const ngx_uint_t  ngx_http_checkout_batch_bounds[NGX_HTTP_CHECKOUT_BATCH_BUCKETS] = {
    1, 2, 4, 8, 16, 32, 64, 128, 256
};

static const struct {
    uint64_t                       us;
    const char                    *seconds;
} ngx_http_checkout_call_bounds[NGX_HTTP_CHECKOUT_CALL_BUCKETS] = {
    { 100, "0.0001" }, { 250, "0.00025" }, { 500, "0.0005" }, { 1000, "0.001" }, { 2500, "0.0025" },
    { 5000, "0.005" }, { 10000, "0.01" }, { 25000, "0.025" }, { 50000, "0.05" }, { 100000, "0.1" },
    { 250000, "0.25" }, { 500000, "0.5" }, { 1000000, "1" }
};


/* Microseconds of a clock that only goes forward. */
uint64_t
ngx_http_checkout_now_us(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


/* A call with so many orders was answered after so many microseconds. */
void
ngx_http_checkout_metrics_call(ngx_uint_t orders, uint64_t us)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_CHECKOUT_BATCH_BUCKETS && orders > ngx_http_checkout_batch_bounds[i]; i++) {
        /* void */
    }

    ngx_http_checkout_count(batches[i], 1);
    ngx_http_checkout_count(batch_orders, orders);

    for (i = 0; i < NGX_HTTP_CHECKOUT_CALL_BUCKETS && us > ngx_http_checkout_call_bounds[i].us; i++) {
        /* void */
    }

    ngx_http_checkout_count(calls[i], 1);
    ngx_http_checkout_count(call_us, us);
}


static void
ngx_http_checkout_metrics_head(ngx_buf_t *b, const char *name, const char *type, const char *help)
{
    b->last = ngx_slprintf(b->last, b->end, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}


static void
ngx_http_checkout_metrics_number(ngx_buf_t *b, const char *name, const char *type, const char *help, uint64_t value)
{
    ngx_http_checkout_metrics_head(b, name, type, help);
    b->last = ngx_slprintf(b->last, b->end, "%s %uL\n", name, value);
}


/* Outcomes of orders or of reads: those that can come to pass there. */
static void
ngx_http_checkout_metrics_outcomes(ngx_buf_t *b, const char *name, ngx_atomic_t *counts, ngx_uint_t reads)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_CHECKOUT_OUTCOMES; i++) {
        if (ngx_http_checkout_outcome_of(i, reads)) {
            b->last = ngx_slprintf(b->last, b->end, "%s{outcome=\"%s\"} %uA\n", name,
                                   ngx_http_checkout_outcome_name(i), counts[i]);
        }
    }
}


static void
ngx_http_checkout_metrics_stock_inits(ngx_buf_t *b, ngx_atomic_t *counts)
{
    ngx_uint_t                i;
    static const char *const  names[NGX_HTTP_CHECKOUT_STOCK_OUTCOMES] = { "set", "refused", "failed" };

    ngx_http_checkout_metrics_head(b, "checkout_stock_inits_total", "counter",
                                   "Requests to set a product and its stock, by outcome.");

    for (i = 0; i < NGX_HTTP_CHECKOUT_STOCK_OUTCOMES; i++) {
        b->last = ngx_slprintf(b->last, b->end, "checkout_stock_inits_total{outcome=\"%s\"} %uA\n", names[i],
                               counts[i]);
    }
}


static void
ngx_http_checkout_metrics_cancels(ngx_buf_t *b, ngx_atomic_t *counts)
{
    ngx_uint_t                i;
    static const char *const  names[NGX_HTTP_CHECKOUT_CANCEL_OUTCOMES] = { "cancelled", "refused", "failed" };

    ngx_http_checkout_metrics_head(b, "checkout_cancels_total", "counter", "Requests to cancel an order, by outcome.");

    for (i = 0; i < NGX_HTTP_CHECKOUT_CANCEL_OUTCOMES; i++) {
        b->last = ngx_slprintf(b->last, b->end, "checkout_cancels_total{outcome=\"%s\"} %uA\n", names[i], counts[i]);
    }
}


static void
ngx_http_checkout_metrics_webhooks(ngx_buf_t *b, ngx_http_checkout_counters_t *sum)
{
    static const char *const  names[] = { "received", "repeated", "refused", "failed" };

    ngx_uint_t  i;

    ngx_http_checkout_metrics_head(b, "checkout_webhooks_total", "counter", "Events of payment providers, by outcome.");

    for (i = 0; i < NGX_HTTP_CHECKOUT_WEBHOOK_OUTCOMES; i++) {
        b->last = ngx_slprintf(b->last, b->end, "checkout_webhooks_total{outcome=\"%s\"} %uA\n", names[i],
                               sum->webhooks[i]);
    }
}


static void
ngx_http_checkout_metrics_batches(ngx_buf_t *b, ngx_http_checkout_counters_t *sum)
{
    ngx_uint_t  i;
    uint64_t    count;

    ngx_http_checkout_metrics_head(b, "checkout_batch_orders", "histogram", "Orders in one script call.");

    for (i = 0, count = 0; i < NGX_HTTP_CHECKOUT_BATCH_BUCKETS; i++) {
        count += sum->batches[i];
        b->last = ngx_slprintf(b->last, b->end, "checkout_batch_orders_bucket{le=\"%ui\"} %uL\n",
                               ngx_http_checkout_batch_bounds[i], count);
    }

    count += sum->batches[i];
    b->last = ngx_slprintf(b->last, b->end, "checkout_batch_orders_bucket{le=\"+Inf\"} %uL\n"
                           "checkout_batch_orders_sum %uA\ncheckout_batch_orders_count %uL\n",
                           count, sum->batch_orders, count);
}


static void
ngx_http_checkout_metrics_calls(ngx_buf_t *b, ngx_http_checkout_counters_t *sum)
{
    ngx_uint_t  i;
    uint64_t    count;

    ngx_http_checkout_metrics_head(b, "checkout_script_seconds", "histogram",
                                   "Time from the sending of a script call to its answer.");

    for (i = 0, count = 0; i < NGX_HTTP_CHECKOUT_CALL_BUCKETS; i++) {
        count += sum->calls[i];
        b->last = ngx_slprintf(b->last, b->end, "checkout_script_seconds_bucket{le=\"%s\"} %uL\n",
                               ngx_http_checkout_call_bounds[i].seconds, count);
    }

    count += sum->calls[i];
    b->last = ngx_slprintf(b->last, b->end, "checkout_script_seconds_bucket{le=\"+Inf\"} %uL\n"
                           "checkout_script_seconds_sum %uA.%06uA\ncheckout_script_seconds_count %uL\n",
                           count, sum->call_us / 1000000, sum->call_us % 1000000, count);
}


/* Each server and database once, however many connections are configured to it. */
static void
ngx_http_checkout_metrics_queues(ngx_buf_t *b, ngx_array_t *list)
{
    ngx_uint_t                   i, j;
    ngx_http_checkout_redis_t  **redis;

    ngx_http_checkout_metrics_head(b, "checkout_queue_orders", "gauge",
                                   "Accepted orders without a verdict, as last seen by the gate.");
    redis = list->elts;

    for (i = 0; i < list->nelts; i++) {
        for (j = 0; j < i && redis[j]->gauge != redis[i]->gauge; j++) {
            /* void */
        }

        if (j == i) {
            b->last = ngx_slprintf(b->last, b->end, "checkout_queue_orders{server=\"%V\",database=\"%ui\"} %uA\n",
                                   &redis[i]->settings.server->name, redis[i]->settings.server->database, redis[i]->gauge->queued);
        }
    }
}


/* In the order of ngx_http_checkout_sql_outcome_e. */
static const char  *ngx_http_checkout_sql_outcomes[] = { "done", "refused", "failed", "busy", "late" };


static void
ngx_http_checkout_metrics_sql(ngx_buf_t *b, ngx_http_checkout_counters_t *sum)
{
    ngx_uint_t  i;

    ngx_http_checkout_metrics_head(b, "checkout_mysql_jobs_total", "counter", "Jobs on MySQL servers, by outcome.");

    for (i = 0; i < sizeof(ngx_http_checkout_sql_outcomes) / sizeof(char *); i++) {
        b->last = ngx_slprintf(b->last, b->end, "checkout_mysql_jobs_total{outcome=\"%s\"} %uA\n",
                               ngx_http_checkout_sql_outcomes[i], sum->sql_jobs[i]);
    }

    b->last = ngx_slprintf(b->last, b->end, "checkout_mysql_jobs_total{outcome=\"gone\"} %uA\n", sum->sql_gone);

    ngx_http_checkout_metrics_head(b, "checkout_mysql_failures_total", "counter",
                                   "Tries of a job on a MySQL server that failed for the server's sake, by reason.");
    b->last = ngx_slprintf(b->last, b->end,
                           "checkout_mysql_failures_total{reason=\"connect_error\"} %uA\n"
                           "checkout_mysql_failures_total{reason=\"connect_timeout\"} %uA\n"
                           "checkout_mysql_failures_total{reason=\"lost\"} %uA\n"
                           "checkout_mysql_failures_total{reason=\"read_timeout\"} %uA\n",
                           sum->sql_connect_errors, sum->sql_connect_timeouts, sum->sql_losses,
                           sum->sql_read_timeouts);

    ngx_http_checkout_metrics_number(b, "checkout_mysql_connects_total", "counter",
                                     "Connections to MySQL that were opened.", sum->sql_connects);
    ngx_http_checkout_metrics_number(b, "checkout_mysql_reconnects_total", "counter",
                                     "Idle connections that MySQL had closed when they were needed.",
                                     sum->sql_reconnects);
    ngx_http_checkout_metrics_number(b, "checkout_mysql_fallbacks_total", "counter",
                                     "Reads asked of the primary because a replica did not have the row.",
                                     sum->sql_fallbacks);
    ngx_http_checkout_metrics_number(b, "checkout_mysql_connections", "gauge",
                                     "Connections to MySQL, of all worker processes.", sum->sql_connections);
    ngx_http_checkout_metrics_number(b, "checkout_mysql_waiting_jobs", "gauge",
                                     "Jobs that wait for a connection to MySQL, of all worker processes.",
                                     sum->sql_waiting);
}


static void
ngx_http_checkout_metrics_write(ngx_buf_t *b, ngx_http_checkout_main_conf_t *cmcf)
{
    ngx_http_checkout_counters_t  sum;

    ngx_http_checkout_zone_sum(cmcf->zone->shared, &sum);

    ngx_http_checkout_metrics_head(b, "checkout_orders_total", "counter", "Requests to place an order, by outcome.");
    ngx_http_checkout_metrics_outcomes(b, "checkout_orders_total", sum.orders, 0);
    ngx_http_checkout_metrics_head(b, "checkout_reads_total", "counter",
                                   "Requests for an order, live stock or rows of MySQL, by outcome.");
    ngx_http_checkout_metrics_outcomes(b, "checkout_reads_total", sum.reads, 1);

    ngx_http_checkout_metrics_stock_inits(b, sum.stock_inits);
    ngx_http_checkout_metrics_cancels(b, sum.cancels);
    ngx_http_checkout_metrics_number(b, "checkout_sold_out_local_total", "counter",
                                     "Orders refused as out of stock without asking Redis.", sum.sold_out_local);
    ngx_http_checkout_metrics_number(b, "checkout_timeouts_total", "counter",
                                     "Requests whose checkout_timeout ran out.", sum.timeouts);
    ngx_http_checkout_metrics_number(b, "checkout_orders_resent_total", "counter",
                                     "Orders sent again because a connection was lost.", sum.resent);
    ngx_http_checkout_metrics_number(b, "checkout_script_errors_total", "counter",
                                     "Script calls that Redis answered with an error.", sum.errors);
    ngx_http_checkout_metrics_number(b, "checkout_redis_connects_total", "counter",
                                     "Connections to Redis that were opened.", sum.connects);
    ngx_http_checkout_metrics_number(b, "checkout_redis_losses_total", "counter",
                                     "Connections to Redis that failed or were lost.", sum.losses);
    ngx_http_checkout_metrics_number(b, "checkout_redis_connections", "gauge",
                                     "Connections to Redis that can take calls, of all worker processes.",
                                     sum.connections);
    ngx_http_checkout_metrics_sql(b, &sum);
    ngx_http_checkout_metrics_webhooks(b, &sum);
    ngx_http_checkout_metrics_batches(b, &sum);
    ngx_http_checkout_metrics_calls(b, &sum);
    ngx_http_checkout_metrics_queues(b, &cmcf->redis);
}


ngx_int_t
ngx_http_checkout_metrics_handler(ngx_http_request_t *r)
{
    ngx_int_t                       rc;
    ngx_buf_t                      *b;
    ngx_http_checkout_main_conf_t  *cmcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_checkout_refuse_method(r, "GET, HEAD");
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    b = ngx_create_temp_buf(r->pool, NGX_HTTP_CHECKOUT_METRICS_SIZE);

    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_checkout_module);
    ngx_http_checkout_metrics_write(b, cmcf);

    return ngx_http_checkout_send_type(r, NGX_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", b);
}
