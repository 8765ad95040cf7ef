/*
 * GET metrics: the counters of all worker processes as Prometheus text.
 */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "conf/conf.h"
#include "handlers/handlers.h"
#include "request/outcome.h"
#include "request/read.h"
#include "request/response.h"
#include "sql/job.h"
#include "stats/prometheus.h"


_Static_assert(
    NGX_HTTP_CHECKOUT_SQL_LATE + 1 == NGX_HTTP_CHECKOUT_SQL_OUTCOMES,
    "each outcome of a job has a counter");


static void
ngx_http_checkout_metrics_labels(ngx_http_checkout_metric_labels_t *labels)
{
    ngx_uint_t                          i;
    const ngx_http_checkout_outcome_t  *outcome;

    ngx_memzero(labels, sizeof(ngx_http_checkout_metric_labels_t));

    for (i = 0; i < NGX_HTTP_CHECKOUT_OUTCOMES; i++) {
        outcome = &ngx_http_checkout_outcomes[i];

        if (outcome->of & NGX_HTTP_CHECKOUT_OF_ORDERS) {
            labels->orders[i] = (const char *) outcome->code.data;
        }

        if (outcome->of & NGX_HTTP_CHECKOUT_OF_READS) {
            labels->reads[i] = (const char *) outcome->code.data;
        }
    }

    labels->sql_jobs[NGX_HTTP_CHECKOUT_SQL_DONE] = "done";
    labels->sql_jobs[NGX_HTTP_CHECKOUT_SQL_REFUSED] = "refused";
    labels->sql_jobs[NGX_HTTP_CHECKOUT_SQL_FAILED] = "failed";
    labels->sql_jobs[NGX_HTTP_CHECKOUT_SQL_BUSY] = "busy";
    labels->sql_jobs[NGX_HTTP_CHECKOUT_SQL_LATE] = "late";
}


/* The queues of all connections that are configured; NULL: no memory. */
static ngx_http_checkout_metric_queue_t *
ngx_http_checkout_metrics_queues(ngx_pool_t *pool, ngx_array_t *connections)
{
    ngx_uint_t                          i;
    ngx_http_checkout_redis_t         **redis;
    ngx_http_checkout_metric_queue_t   *queues;

    redis = connections->elts;
    queues = ngx_palloc(pool, connections->nelts
                                  * sizeof(ngx_http_checkout_metric_queue_t));

    for (i = 0; queues != NULL && i < connections->nelts; i++) {
        queues[i].server = redis[i]->settings.server->name;
        queues[i].database = redis[i]->settings.server->database;
        queues[i].gauge = redis[i]->gauge;
    }

    return queues;
}


ngx_int_t
ngx_http_checkout_metrics_handler(ngx_http_request_t *r)
{
    ngx_int_t                           rc;
    ngx_buf_t                          *b;
    ngx_http_checkout_main_conf_t      *cmcf;
    ngx_http_checkout_metric_queue_t   *queues;
    ngx_http_checkout_metric_labels_t   labels;

    rc = ngx_http_checkout_read_method(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_checkout_module);
    b = ngx_create_temp_buf(r->pool, NGX_HTTP_CHECKOUT_PROMETHEUS_SIZE);
    queues = ngx_http_checkout_metrics_queues(r->pool, &cmcf->redis);

    if (b == NULL || queues == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_checkout_metrics_labels(&labels);
    ngx_http_checkout_prometheus_write(b, cmcf->zone->shared, &labels, queues,
                                       cmcf->redis.nelts);

    return ngx_http_checkout_send_type(
        r, NGX_HTTP_OK,
        "text/plain; version=0.0.4;"
        " charset=utf-8",
        b);
}
