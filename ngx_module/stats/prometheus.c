/*
 * The counters of the zone as Prometheus text.
 */
#include "stats/prometheus.h"

#include "stats/histograms.h"


static void
ngx_http_checkout_metric_head(ngx_buf_t *b, const char *name, const char *type,
    const char *help)
{
    b->last = ngx_slprintf(b->last, b->end, "# HELP %s %s\n# TYPE %s %s\n",
                           name, help, name, type);
}


static void
ngx_http_checkout_metric_counter(ngx_buf_t *b, const char *name,
    uint64_t value, const char *help)
{
    ngx_http_checkout_metric_head(b, name, "counter", help);
    b->last = ngx_slprintf(b->last, b->end, "%s %uL\n", name, value);
}


static void
ngx_http_checkout_metric_gauge(ngx_buf_t *b, const char *name, uint64_t value,
    const char *help)
{
    ngx_http_checkout_metric_head(b, name, "gauge", help);
    b->last = ngx_slprintf(b->last, b->end, "%s %uL\n", name, value);
}


/* One sample for each label that is not NULL. */
static void
ngx_http_checkout_metric_outcomes(ngx_buf_t *b, const char *name,
    const char *const *labels, ngx_atomic_t *counts, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (labels[i] != NULL) {
            b->last = ngx_slprintf(b->last, b->end, "%s{outcome=\"%s\"} %uA\n",
                                   name, labels[i], counts[i]);
        }
    }
}


static void
ngx_http_checkout_metric_requests(ngx_buf_t *b,
    ngx_http_checkout_counters_t *sum,
    const ngx_http_checkout_metric_labels_t *labels)
{
    static const char *const init_stock[NGX_HTTP_CHECKOUT_RESULTS] = {
        "set", NULL, "refused", "failed"
    };
    static const char *const cancel[NGX_HTTP_CHECKOUT_RESULTS] = {
        "cancelled", NULL, "refused", "failed"
    };

    ngx_http_checkout_metric_head(b, "checkout_orders_total", "counter",
                                  "Requests to place an order, by outcome.");
    ngx_http_checkout_metric_outcomes(
        b, "checkout_orders_total", labels->orders, sum->orders,
        NGX_HTTP_CHECKOUT_OUTCOMES_MAX);

    ngx_http_checkout_metric_head(
        b, "checkout_reads_total", "counter",
        "Requests for an order, live stock or rows of MySQL, by outcome.");
    ngx_http_checkout_metric_outcomes(
        b, "checkout_reads_total", labels->reads, sum->reads,
        NGX_HTTP_CHECKOUT_OUTCOMES_MAX);

    ngx_http_checkout_metric_head(
        b, "checkout_stock_inits_total", "counter",
        "Requests to set a product and its stock, by outcome.");
    ngx_http_checkout_metric_outcomes(
        b, "checkout_stock_inits_total", init_stock, sum->init_stocks,
        NGX_HTTP_CHECKOUT_RESULTS);

    ngx_http_checkout_metric_head(b, "checkout_cancels_total", "counter",
                                  "Requests to cancel an order, by outcome.");
    ngx_http_checkout_metric_outcomes(b, "checkout_cancels_total", cancel,
                                      sum->cancels, NGX_HTTP_CHECKOUT_RESULTS);
}


static void
ngx_http_checkout_metric_redis(ngx_buf_t *b, ngx_http_checkout_counters_t *sum)
{
    ngx_http_checkout_metric_counter(
        b, "checkout_sold_out_local_total", sum->sold_out_local,
        "Orders refused as out of stock without asking Redis.");
    ngx_http_checkout_metric_counter(
        b, "checkout_timeouts_total", sum->timeouts,
        "Requests whose checkout_timeout ran out.");
    ngx_http_checkout_metric_counter(
        b, "checkout_orders_resent_total", sum->resent,
        "Orders sent again because a connection was lost.");
    ngx_http_checkout_metric_counter(
        b, "checkout_script_errors_total", sum->errors,
        "Script calls that Redis answered with an error.");
    ngx_http_checkout_metric_counter(
        b, "checkout_redis_connects_total", sum->connects,
        "Connections to Redis that were opened.");
    ngx_http_checkout_metric_counter(
        b, "checkout_redis_losses_total", sum->losses,
        "Connections to Redis that failed or were lost.");
    ngx_http_checkout_metric_gauge(
        b, "checkout_redis_connections", sum->connections,
        "Connections to Redis that can take calls, of all worker processes.");
}


static void
ngx_http_checkout_metric_sql(ngx_buf_t *b, ngx_http_checkout_counters_t *sum,
    const ngx_http_checkout_metric_labels_t *labels)
{
    ngx_http_checkout_metric_head(b, "checkout_mysql_jobs_total", "counter",
                                  "Jobs on MySQL servers, by outcome.");
    ngx_http_checkout_metric_outcomes(
        b, "checkout_mysql_jobs_total", labels->sql_jobs, sum->sql_jobs,
        NGX_HTTP_CHECKOUT_SQL_OUTCOMES);
    b->last = ngx_slprintf(b->last, b->end,
                           "checkout_mysql_jobs_total{outcome=\"gone\"} %uA\n",
                           sum->sql_gone);

    ngx_http_checkout_metric_head(
        b, "checkout_mysql_failures_total", "counter",
        "Tries of a job on a MySQL server that failed for the"
        " server's sake, by reason.");
    b->last = ngx_slprintf(
        b->last, b->end,
        "checkout_mysql_failures_total{reason=\"connect_error\"} %uA\n"
        "checkout_mysql_failures_total{reason=\"connect_timeout\"} %uA\n"
        "checkout_mysql_failures_total{reason=\"lost\"} %uA\n"
        "checkout_mysql_failures_total{reason=\"read_timeout\"} %uA\n",
        sum->sql_connect_errors, sum->sql_connect_timeouts, sum->sql_losses,
        sum->sql_read_timeouts);

    ngx_http_checkout_metric_counter(
        b, "checkout_mysql_connects_total", sum->sql_connects,
        "Connections to MySQL that were opened.");
    ngx_http_checkout_metric_counter(
        b, "checkout_mysql_reconnects_total", sum->sql_reconnects,
        "Idle connections that MySQL had closed when they were needed.");
    ngx_http_checkout_metric_counter(
        b, "checkout_mysql_fallbacks_total", sum->sql_fallbacks,
        "Reads asked of the primary because a replica did not have the row.");
    ngx_http_checkout_metric_gauge(
        b, "checkout_mysql_connections", sum->sql_connections,
        "Connections to MySQL, of all worker processes.");
    ngx_http_checkout_metric_gauge(
        b, "checkout_mysql_waiting_jobs", sum->sql_waiting,
        "Jobs that wait for a connection to MySQL, of all worker processes.");
}


static void
ngx_http_checkout_metric_webhooks(ngx_buf_t *b,
    ngx_http_checkout_counters_t *sum)
{
    static const char *const labels[NGX_HTTP_CHECKOUT_RESULTS] = {
        "received", "repeated", "refused", "failed"
    };

    ngx_http_checkout_metric_head(b, "checkout_webhooks_total", "counter",
                                  "Events of payment providers, by outcome.");
    ngx_http_checkout_metric_outcomes(
        b, "checkout_webhooks_total", labels, sum->webhooks,
        NGX_HTTP_CHECKOUT_RESULTS);
}


static void
ngx_http_checkout_metric_batches(ngx_buf_t *b,
    ngx_http_checkout_counters_t *sum)
{
    ngx_uint_t  i;
    uint64_t    count;

    ngx_http_checkout_metric_head(b, "checkout_batch_orders", "histogram",
                                  "Orders in one script call.");

    for (i = 0, count = 0; i < NGX_HTTP_CHECKOUT_BATCH_BUCKETS; i++) {
        count += sum->batches[i];
        b->last = ngx_slprintf(
            b->last, b->end, "checkout_batch_orders_bucket{le=\"%ui\"} %uL\n",
            ngx_http_checkout_batch_bounds[i], count);
    }

    count += sum->batches[i];
    b->last = ngx_slprintf(
        b->last, b->end,
        "checkout_batch_orders_bucket{le=\"+Inf\"} %uL\n"
        "checkout_batch_orders_sum %uA\ncheckout_batch_orders_count %uL\n",
        count, sum->batch_orders, count);
}


static void
ngx_http_checkout_metric_calls(ngx_buf_t *b, ngx_http_checkout_counters_t *sum)
{
    ngx_uint_t  i;
    uint64_t    count;

    ngx_http_checkout_metric_head(
        b, "checkout_script_seconds", "histogram",
        "Time from the sending of a script call to its answer.");

    for (i = 0, count = 0; i < NGX_HTTP_CHECKOUT_CALL_BUCKETS; i++) {
        count += sum->calls[i];
        b->last = ngx_slprintf(
            b->last, b->end, "checkout_script_seconds_bucket{le=\"%s\"} %uL\n",
            ngx_http_checkout_call_bounds[i].seconds, count);
    }

    count += sum->calls[i];
    b->last = ngx_slprintf(
        b->last, b->end,
        "checkout_script_seconds_bucket{le=\"+Inf\"} %uL\n"
        "checkout_script_seconds_sum %uA.%06uA\n"
        "checkout_script_seconds_count %uL\n",
        count, sum->call_us / 1000000, sum->call_us % 1000000, count);
}


static void
ngx_http_checkout_metric_queues(ngx_buf_t *b,
    const ngx_http_checkout_metric_queue_t *queues, ngx_uint_t n)
{
    ngx_uint_t  i, j;

    ngx_http_checkout_metric_head(
        b, "checkout_queue_orders", "gauge",
        "Accepted orders without a verdict, as last seen by the gate.");

    for (i = 0; i < n; i++) {
        for (j = 0; j < i && queues[j].gauge != queues[i].gauge; j++) {
            /* void */
        }

        if (j == i) {
            b->last = ngx_slprintf(
                b->last, b->end,
                "checkout_queue_orders{server=\"%V\",database=\"%ui\"} %uA\n",
                &queues[i].server, queues[i].database,
                queues[i].gauge->queued);
        }
    }
}


void
ngx_http_checkout_prometheus_write(ngx_buf_t *b,
    ngx_http_checkout_shared_t *shared,
    const ngx_http_checkout_metric_labels_t *labels,
    const ngx_http_checkout_metric_queue_t *queues, ngx_uint_t nqueues)
{
    ngx_http_checkout_counters_t  sum;

    ngx_http_checkout_zone_sum(shared, &sum);

    ngx_http_checkout_metric_requests(b, &sum, labels);
    ngx_http_checkout_metric_redis(b, &sum);
    ngx_http_checkout_metric_sql(b, &sum, labels);
    ngx_http_checkout_metric_webhooks(b, &sum);
    ngx_http_checkout_metric_batches(b, &sum);
    ngx_http_checkout_metric_calls(b, &sum);
    ngx_http_checkout_metric_queues(b, queues, nqueues);
}
