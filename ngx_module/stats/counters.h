/*
 * Counters in shared memory, and what was last seen of each Redis.
 */
#ifndef NGX_HTTP_CHECKOUT_STATS_COUNTERS_H
#define NGX_HTTP_CHECKOUT_STATS_COUNTERS_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* Outcomes that are counted one by one: more than request/outcome.h has. */
#define NGX_HTTP_CHECKOUT_OUTCOMES_MAX  40

/* Outcomes of jobs on MySQL servers: as many as sql/job.h has. */
#define NGX_HTTP_CHECKOUT_SQL_OUTCOMES  5

/* What became of a request that is counted by this alone. */
typedef enum {
    NGX_HTTP_CHECKOUT_RESULT_DONE,
    NGX_HTTP_CHECKOUT_RESULT_REPEATED, /* was done by one before */
    NGX_HTTP_CHECKOUT_RESULT_REFUSED,  /* 4xx */
    NGX_HTTP_CHECKOUT_RESULT_FAILED,   /* 5xx */
    NGX_HTTP_CHECKOUT_RESULTS
} ngx_http_checkout_result_e;

/* Bounds of a histogram; one more place takes what is above them. */
#define NGX_HTTP_CHECKOUT_BATCH_BUCKETS  9
#define NGX_HTTP_CHECKOUT_CALL_BUCKETS   13

typedef struct ngx_http_checkout_shared_s  ngx_http_checkout_shared_t;

typedef struct {
    ngx_shm_zone_t              *shm;
    ngx_http_checkout_shared_t  *shared;
} ngx_http_checkout_zone_t;

/* All members are ngx_atomic_t; a worker process has a slot of its own. */
typedef struct {
    /* requests, by what they ask for; orders and reads by their outcome */
    ngx_atomic_t  orders[NGX_HTTP_CHECKOUT_OUTCOMES_MAX];
    ngx_atomic_t  reads[NGX_HTTP_CHECKOUT_OUTCOMES_MAX];
    ngx_atomic_t  init_stocks[NGX_HTTP_CHECKOUT_RESULTS];
    ngx_atomic_t  cancels[NGX_HTTP_CHECKOUT_RESULTS];
    ngx_atomic_t  webhooks[NGX_HTTP_CHECKOUT_RESULTS];

    /* the gate, and Redis */
    ngx_atomic_t  sold_out_local;
    ngx_atomic_t  timeouts;
    ngx_atomic_t  resent;
    ngx_atomic_t  errors;
    ngx_atomic_t  connects;
    ngx_atomic_t  losses;

    /* calls of place_order.lua */
    ngx_atomic_t  batches[NGX_HTTP_CHECKOUT_BATCH_BUCKETS + 1];
    ngx_atomic_t  batch_orders;
    ngx_atomic_t  calls[NGX_HTTP_CHECKOUT_CALL_BUCKETS + 1];
    ngx_atomic_t  call_us;

    /* MySQL */
    ngx_atomic_t  sql_jobs[NGX_HTTP_CHECKOUT_SQL_OUTCOMES];
    ngx_atomic_t  sql_gone;  /* the request left first */
    ngx_atomic_t  sql_connect_errors;
    ngx_atomic_t  sql_connect_timeouts;
    ngx_atomic_t  sql_losses;  /* while a job ran */
    ngx_atomic_t  sql_read_timeouts;
    ngx_atomic_t  sql_connects;
    /* the server had closed an idle connection */
    ngx_atomic_t  sql_reconnects;
    /* the primary was asked for what a replica lacked */
    ngx_atomic_t  sql_fallbacks;

    /* gauges of the process pid */
    ngx_atomic_t  sql_connections;
    ngx_atomic_t  sql_waiting;  /* jobs */
    ngx_atomic_t  connections;  /* that can take calls */
    ngx_atomic_t  pid;

    /* the next slot begins in another cache line */
    ngx_atomic_t  spare[8];
} ngx_http_checkout_counters_t;

/* What was last seen of a server. */
typedef struct {
    ngx_atomic_t  server;  /* its key, 0: free */
    ngx_atomic_t  queued;
} ngx_http_checkout_gauge_t;

/*
 * Where this process counts; never NULL. Its own memory, until zone_enter()
 * sets it to a slot of the zone where there is one.
 */
extern ngx_http_checkout_counters_t  *ngx_http_checkout_counters;

/* Adds n to the member `counter`. For every process, also before the above. */
#define ngx_http_checkout_count(counter, n) \
    ((void) ngx_atomic_fetch_add(&ngx_http_checkout_counters->counter, n))

/*
 * Nothing here blocks or takes a lock. shared: NULL where there is no zone,
 * unless something else is said.
 */

/*
 * A zone of shared memory, of the configuration. size: bytes. module: whose
 * name it is. NULL: no memory, or nginx has logged what is wrong.
 */
ngx_http_checkout_zone_t *ngx_http_checkout_zone_add(ngx_conf_t *cf,
    ngx_str_t *name, size_t size, ngx_module_t *module);

/*
 * What stands for a server (its name in the configuration) and its database in
 * the zone, for gauges and for gate/marks.h: a hash; never 0.
 */
uint64_t ngx_http_checkout_zone_key(const ngx_str_t *name,
    ngx_uint_t database);

/* A worker process starts: it counts in its slot from now on. */
void ngx_http_checkout_zone_enter(ngx_http_checkout_shared_t *shared);

/*
 * Adds to a gauge of this process: connections to Redis that can take calls,
 * connections to MySQL, jobs that wait for one. Does nothing in the old
 * process of a reload, whose slot another one has.
 */
void ngx_http_checkout_zone_connections(ngx_int_t more);
void ngx_http_checkout_zone_sql_connections(ngx_int_t more);
void ngx_http_checkout_zone_sql_waiting(ngx_int_t more);

/* The sum over all processes. shared: not NULL. */
void ngx_http_checkout_zone_sum(ngx_http_checkout_shared_t *shared,
    ngx_http_checkout_counters_t *sum);

/*
 * The gauges of a server, by its key; never NULL. The process's own where
 * there is no zone, or no place left in it.
 */
ngx_http_checkout_gauge_t *ngx_http_checkout_zone_gauge(
    ngx_http_checkout_shared_t *shared, uint64_t server);

/*
 * The memory of the zone that is not used here, and its size, 1024 bytes at
 * least.  It is zeroed when the zone is made, and aligned for uint64_t.
 */
void *ngx_http_checkout_zone_rest(ngx_http_checkout_shared_t *shared,
    size_t *size);


#endif
