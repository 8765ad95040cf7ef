/*
 * The counters of the zone as Prometheus text, version 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/).
 */
#ifndef NGX_HTTP_CHECKOUT_STATS_PROMETHEUS_H
#define NGX_HTTP_CHECKOUT_STATS_PROMETHEUS_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "stats/counters.h"


#define NGX_HTTP_CHECKOUT_PROMETHEUS_SIZE  (32 * 1024) /* of all */


/* The label "outcome" of what is counted by one; NULL: it has no series. */
typedef struct {
    const char  *orders[NGX_HTTP_CHECKOUT_OUTCOMES_MAX];
    const char  *reads[NGX_HTTP_CHECKOUT_OUTCOMES_MAX];
    const char  *sql_jobs[NGX_HTTP_CHECKOUT_SQL_OUTCOMES];
} ngx_http_checkout_metric_labels_t;

/* A Redis, as it is configured. */
typedef struct {
    ngx_str_t                   server;
    ngx_uint_t                  database;
    ngx_http_checkout_gauge_t  *gauge;
} ngx_http_checkout_metric_queue_t;


/*
 * Appends all metrics to b. What has no room in it is cut: b has room for
 * NGX_HTTP_CHECKOUT_PROMETHEUS_SIZE bytes. queues: connections that share a
 * gauge are written once. Neither blocks nor allocates.
 */
void ngx_http_checkout_prometheus_write(ngx_buf_t *b,
    ngx_http_checkout_shared_t *shared,
    const ngx_http_checkout_metric_labels_t *labels,
    const ngx_http_checkout_metric_queue_t *queues, ngx_uint_t nqueues);


#endif
