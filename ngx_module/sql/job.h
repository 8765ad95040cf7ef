/*
 * Jobs on MySQL servers, in nginx's thread pool.
 *
 * All functions are the event loop's; none blocks.
 *
 * A job has one timer of its own, beside the request's clock: how long it
 * waits for a connection (checkout_pool timeout=), then connects
 * (checkout_mysql_connect_timeout), then for each statement
 * (checkout_mysql_read_timeout; sql/settings.h). When it runs out the next
 * server is asked, if there is one; in the last two cases the server counts as
 * failed. "The request's time", which bounds the whole, is that of
 * checkout_timeout (request/waiting.h).
 *
 * Who frees: after job_start() sql/job.c frees the job, its pool and so its
 * input: when done() has returned or the request has gone away, and no thread
 * runs it any more. Where the request's time runs out, or a thread hangs,
 * done() comes first and the thread ends later: what it finds then is thrown
 * away, and its connection is used again or closed. So after FAILED and LATE a
 * job that writes may have been committed, or be committed later.
 */
#ifndef NGX_HTTP_CHECKOUT_SQL_JOB_H
#define NGX_HTTP_CHECKOUT_SQL_JOB_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "mysql/sql_job.h"
#include "request/waiting.h"
#include "sql/settings.h"


typedef enum {
    NGX_HTTP_CHECKOUT_SQL_DONE,    /* the result is whole */
    NGX_HTTP_CHECKOUT_SQL_REFUSED, /* MySQL refuses the data (DB_POISON) */
    /* no server gave an answer in its time, or all say the statement fails */
    NGX_HTTP_CHECKOUT_SQL_FAILED,
    /* no connection, or no lock, came free in time; nothing was changed */
    NGX_HTTP_CHECKOUT_SQL_BUSY,
    /* the request's time has run out, or the server's for a statement */
    NGX_HTTP_CHECKOUT_SQL_LATE
} ngx_http_checkout_sql_outcome_e;

typedef struct ngx_http_checkout_job_s  ngx_http_checkout_job_t;

/*
 * Called once from the event loop, unless the request went away before: then
 * never. It goes on with the request, or answers it.
 * result: NULL unless DONE. It is freed after the call; do not keep the job.
 */
typedef void (*ngx_http_checkout_job_pt)(
   ngx_http_checkout_job_t *job, ngx_http_request_t *r,
   ngx_http_checkout_sql_outcome_e outcome, struct sql_result *result);

/* The public part of a job. The caller fills it in before the start. */
struct ngx_http_checkout_job_s {
    /* the job's own, for `input`: the job may outlive its request */
    ngx_pool_t                *pool;
    void                      *input;  /* not changed after the start */
    /* called in a thread, again after some failures (sql_job.h) */
    sql_job_pt                 run;
    ngx_http_checkout_job_pt   done;
    /* for done(); may be of the request's pool */
    void                      *data;
    unsigned                   primary:1;  /* ask the primary */
    /* set for done(): the primary was asked last */
    unsigned                   of_primary:1;
};

/*
 * A new job. settings: of the location. NULL: no memory, too many jobs, or
 * settings->access is NULL. It is then started, or destroyed.
 */
ngx_http_checkout_job_t *ngx_http_checkout_job_create(
    const ngx_http_checkout_sql_settings_t *settings);

/* Frees a job that was not started. */
void ngx_http_checkout_job_destroy(ngx_http_checkout_job_t *job);

/*
 * Starts the job, as a step of a request that waits, or will in this turn of
 * the event loop; no other step is under way. The job is not the caller's any
 * more. done() is never called from within.
 */
void ngx_http_checkout_job_start(ngx_http_checkout_job_t *job,
    ngx_http_checkout_waiting_t *waiting);


#endif
