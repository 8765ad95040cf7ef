/*
 * Steps of a request that asks Redis and the MySQL primary one after the
 * other.
 *
 * None blocks, and none calls done() from within. done() is called once from
 * the event loop, unless the request goes away before; it begins the next
 * step, or ends the request with ngx_http_checkout_waiting_finish(). data is
 * for done() and write(), and may be of the request's pool.
 */
#ifndef NGX_HTTP_CHECKOUT_HANDLERS_STEPS_H
#define NGX_HTTP_CHECKOUT_HANDLERS_STEPS_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "redis/script_call.h"
#include "sql/job.h"


/*
 * Asks Redis; the request has a context. NGX_DONE: the step has begun.
 * NGX_DECLINED: Redis cannot be asked, for want of memory or because too many
 * ask.
 */
ngx_int_t ngx_http_checkout_ask_redis(ngx_http_request_t *r,
    ngx_http_checkout_script_write_pt write,
    ngx_http_checkout_script_done_pt done, void *data);

/*
 * Runs a job on the primary. input: size bytes, which are copied. NGX_DONE:
 * the step has begun. NGX_DECLINED: there are too many jobs, nothing was sent.
 * NGX_HTTP_INTERNAL_SERVER_ERROR: no memory, nothing was sent.
 */
ngx_int_t ngx_http_checkout_ask_primary(ngx_http_request_t *r, sql_job_pt run,
    const void *input, size_t size, ngx_http_checkout_job_pt done, void *data);

/*
 * Answers a request whose job did not end in DONE: 422 invalid_request
 * (REFUSED), 502 bad_gateway (FAILED), 503 unavailable (BUSY), 504
 * gateway_timeout (LATE). Returns what ngx_http_checkout_refuse() does.
 */
ngx_int_t ngx_http_checkout_sql_refuse(ngx_http_request_t *r,
    ngx_http_checkout_sql_outcome_e outcome);


#endif
