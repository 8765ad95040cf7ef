/*
 * The configuration: what a location says, and the objects that locations
 * share. Handlers read it; only conf/ changes it, but for `state` of
 * "checkout_ready", which the handler sets with the first request.
 */
#ifndef NGX_HTTP_CHECKOUT_CONF_CONF_H
#define NGX_HTTP_CHECKOUT_CONF_CONF_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "gate/queue.h"
#include "gate/settings.h"
#include "redis/connection.h"
#include "redis/settings.h"
#include "request/clock.h"
#include "request/settings.h"
#include "sql/settings.h"


typedef struct ngx_http_checkout_query_s  ngx_http_checkout_query_t;

/* What "checkout_ready" says; one for each location. */
typedef struct {
    ngx_msec_t                         oldest_job;  /* a job may wait so long */
    /* of the handler; or NULL */
    struct ngx_http_checkout_ready_s  *state;
} ngx_http_checkout_ready_conf_t;


/* What "checkout_mysql" says. The texts end with NUL. */
typedef struct {
    const char  *database;
    const char  *user;
    const char  *password;  /* NULL: none; never logged */
    ngx_uint_t   server_public_key;
} ngx_http_checkout_mysql_t;

/* What the directives of TLS to one kind of server say. */
typedef struct {
    ngx_flag_t  enable;
    ngx_flag_t  verify;
    ngx_str_t   name;  /* of Redis only */
    ngx_str_t   certificate;
    ngx_str_t   certificate_key;
    ngx_str_t   trusted_certificate;
} ngx_http_checkout_tls_conf_t;

typedef struct {
    ngx_http_checkout_threads_settings_t   threads;
    ngx_http_checkout_zone_t              *zone;  /* NULL: none */

    /* what locations share; arrays of pointers */
    /* ngx_http_checkout_access_t * */
    ngx_array_t                            accesses;
#if (NGX_HTTP_SSL)
    ngx_array_t  tls;  /* ngx_http_checkout_tls_t * */
#endif
    ngx_array_t  redis;   /* ngx_http_checkout_redis_t * */
    ngx_array_t  gates;   /* ngx_http_checkout_gate_t * */
    ngx_array_t  clocks;  /* ngx_http_checkout_clock_t * */
} ngx_http_checkout_main_conf_t;

typedef struct {
    /* must be the first: see request/settings.h */
    ngx_http_checkout_request_settings_t   request;
    ngx_http_checkout_redis_settings_t     redis_settings;
    ngx_http_checkout_gate_settings_t      gate_settings;
    ngx_http_checkout_sql_settings_t       sql;

    /* what these are made of */
    ngx_http_checkout_tls_conf_t           redis_tls;
    ngx_http_checkout_tls_conf_t           mysql_tls;
    ngx_http_checkout_mysql_t             *mysql;  /* NULL: none */
    ngx_http_checkout_pool_conf_t          pool;
    ngx_msec_t                             mysql_connect_timeout;
    ngx_msec_t                             mysql_read_timeout;

    /* of single handlers */
    ngx_uint_t                             max_quantity;
    ngx_http_checkout_ready_conf_t        *ready;  /* NULL: another handler */
    /* of checkout_query; or NULL */
    ngx_http_checkout_query_t             *query;
    size_t                                 query_max_size;
    ngx_uint_t                             webhook;  /* enum checkout_scheme */
    ngx_array_t                           *webhook_secret_files;
    /* struct checkout_secret; never logged */
    ngx_array_t                           *webhook_secrets;
    time_t                                 webhook_tolerance;

    /* of the main configuration's lists; NULL without a handler */
    ngx_http_checkout_redis_t             *redis;
    ngx_http_checkout_gate_t              *gate;
    ngx_http_checkout_clock_t             *clock;
    /* half of it, where MySQL is asked after Redis */
    ngx_http_checkout_clock_t             *redis_clock;
    ngx_http_checkout_zone_t              *zone;  /* of marks; NULL: none */
} ngx_http_checkout_loc_conf_t;

/* The configuration of the request's location. */
#define ngx_http_checkout_location(r) \
    ((ngx_http_checkout_loc_conf_t *) \
         ngx_http_get_module_loc_conf(r, ngx_http_checkout_module))


#endif
