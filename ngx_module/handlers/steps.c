/*
 * Steps of a request that asks Redis and the MySQL primary one after the
 * other.
 */
#include "handlers/steps.h"

#include "conf/conf.h"
#include "request/context.h"
#include "request/outcome.h"
#include "request/response.h"


ngx_int_t
ngx_http_checkout_ask_redis(ngx_http_request_t *r,
    ngx_http_checkout_script_write_pt write,
    ngx_http_checkout_script_done_pt done, void *data)
{
    ngx_int_t                         rc;
    ngx_http_checkout_ctx_t          *ctx;
    ngx_http_checkout_script_call_t  *call;
    ngx_http_checkout_loc_conf_t     *clcf;

    clcf = ngx_http_checkout_location(r);
    call = ngx_http_checkout_script_call_create(clcf->redis,
                                                r->connection->log);

    if (call == NULL) {
        return NGX_DECLINED;
    }

    call->write = write;
    call->done = done;
    call->data = data;

    ctx = ngx_http_get_module_ctx(r, ngx_http_checkout_module);
    rc = ngx_http_checkout_script_call_start(call, &ctx->waiting,
                                             clcf->redis_clock);

    return rc == NGX_DONE ? NGX_DONE : NGX_DECLINED;
}


ngx_int_t
ngx_http_checkout_ask_primary(ngx_http_request_t *r, sql_job_pt run,
    const void *input, size_t size, ngx_http_checkout_job_pt done, void *data)
{
    ngx_http_checkout_ctx_t  *ctx;
    ngx_http_checkout_job_t  *job;

    job = ngx_http_checkout_job_create(&ngx_http_checkout_location(r)->sql);

    if (job == NULL) {
        return NGX_DECLINED;
    }

    job->input = ngx_palloc(job->pool, size);

    if (job->input == NULL) {
        ngx_http_checkout_job_destroy(job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memcpy(job->input, input, size);
    job->run = run;
    job->done = done;
    job->data = data;
    job->primary = 1;

    ctx = ngx_http_get_module_ctx(r, ngx_http_checkout_module);
    ngx_http_checkout_job_start(job, &ctx->waiting);

    return NGX_DONE;
}


ngx_int_t
ngx_http_checkout_sql_refuse(ngx_http_request_t *r,
    ngx_http_checkout_sql_outcome_e outcome)
{
    ngx_http_checkout_outcome_e  code;

    switch (outcome) {

    case NGX_HTTP_CHECKOUT_SQL_REFUSED:
        code = NGX_HTTP_CHECKOUT_INVALID_REQUEST;
        break;

    case NGX_HTTP_CHECKOUT_SQL_BUSY:
        code = NGX_HTTP_CHECKOUT_UNAVAILABLE;
        break;

    case NGX_HTTP_CHECKOUT_SQL_LATE:
        code = NGX_HTTP_CHECKOUT_GATEWAY_TIMEOUT;
        break;

    default:
        code = NGX_HTTP_CHECKOUT_BAD_GATEWAY;
        break;
    }

    return ngx_http_checkout_refuse(r, code, NULL, 0);
}
