/*
 * Jobs on MySQL servers, in nginx's thread pool.
 */
#ifndef NGX_HTTP_CHECKOUT_SQL_JOB_H
#define NGX_HTTP_CHECKOUT_SQL_JOB_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "mysql/sql_job.h"
#include "sql/settings.h"


typedef enum {
    NGX_HTTP_CHECKOUT_SQL_DONE,      /* result is whole */
    NGX_HTTP_CHECKOUT_SQL_REFUSED,   /* MySQL refuses the data of the job (DB_POISON) */
    NGX_HTTP_CHECKOUT_SQL_FAILED,    /* no server that could be asked gave an answer: 502 */
    NGX_HTTP_CHECKOUT_SQL_BUSY,      /* no connection, or no lock, came free in time; nothing was changed: 503 */
    NGX_HTTP_CHECKOUT_SQL_LATE       /* the request's clock, or the server's for a statement, ran out: 504 */
} ngx_http_checkout_sql_outcome_e;

typedef struct ngx_http_checkout_job_s  ngx_http_checkout_job_t;

/*
 * Called once in the event loop, unless the request went away; it answers the request, or goes on with it, and ends with
 * ngx_http_checkout_finish() where it ends it. result: NULL unless DONE; it belongs to the room and ends with the call.
 */
typedef void (*ngx_http_checkout_job_pt)(ngx_http_checkout_job_t *job, ngx_http_request_t *r,
    ngx_http_checkout_sql_outcome_e outcome, struct sql_result *result);

struct ngx_http_checkout_job_s {
    ngx_pool_t                  *pool;       /* the job's own: input is made of it, and outlives the request */
    void                        *input;
    sql_job_pt                   run;        /* in a thread */
    ngx_http_checkout_job_pt     done;
    void                        *data;       /* of the caller; may be of the request's pool */
    unsigned                     primary:1;  /* the primary is asked, whatever the request is */
    unsigned                     of_primary:1;  /* told with the outcome: the primary was asked last */
    /* what follows is the room's own */
};

/* A worker process starts. accesses: ngx_http_checkout_access_t * */
ngx_int_t ngx_http_checkout_sql_init(ngx_cycle_t *cycle,
    ngx_http_checkout_threads_settings_t *threads, ngx_array_t *accesses);
void ngx_http_checkout_sql_exit(ngx_array_t *accesses);

/* NULL: no memory, or too many jobs. Set input, run, done (and primary); then start it, or destroy it. */
ngx_http_checkout_job_t *ngx_http_checkout_job_create(ngx_http_request_t *r,
    ngx_http_checkout_sql_settings_t *settings);
void ngx_http_checkout_job_destroy(ngx_http_checkout_job_t *job);

/*
 * The request waits from now on: NGX_DONE, and r->main->count has grown by one as for every handler that goes on later
 * (not when `again`: the request waits already, and its handler has returned). done() is never called from within.
 */
ngx_int_t ngx_http_checkout_job_start(ngx_http_request_t *r, ngx_http_checkout_job_t *job, ngx_uint_t again);

/* The usual answers of an outcome other than DONE: 502 bad_gateway, 503 unavailable, 504 gateway_timeout, 422. */
ngx_int_t ngx_http_checkout_sql_refuse(ngx_http_request_t *r, ngx_http_checkout_sql_outcome_e outcome);


#endif
