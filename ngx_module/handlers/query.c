/*
 * The statement of a location: the request's values are checked and typed, a
 * job runs the statement, and its rows become the answer.
 *
 * Values are copied into the job's own memory, since a thread may still read
 * them when the request has gone.
 */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "conf/conf.h"
#include "conf/query.h"
#include "handlers/handlers.h"
#include "handlers/steps.h"
#include "request/body.h"
#include "request/context.h"
#include "request/outcome.h"
#include "request/parameter.h"
#include "request/read.h"
#include "request/response.h"
#include "request/user.h"
#include "sql/job.h"
#include "mysql/prepared.h"
#include "text/json_fields.h"


/* bytes of a member of "errors", without the name */
#define NGX_HTTP_CHECKOUT_QUERY_ERROR  160


typedef struct {
    struct prepared_query  query;     /* first: what the job reads */
    struct prepared_value  values[];  /* the query's */
} ngx_http_checkout_query_input_t;


static ngx_int_t ngx_http_checkout_query_start(ngx_http_request_t *r,
    uint64_t user_id);
static ngx_int_t ngx_http_checkout_query_fill(ngx_http_request_t *r,
    ngx_http_checkout_job_t *job, uint64_t user_id);
static ngx_http_checkout_query_input_t *ngx_http_checkout_query_input(
    ngx_http_checkout_job_t *job, ngx_http_checkout_loc_conf_t *clcf);
static ngx_int_t ngx_http_checkout_query_read_values(ngx_http_request_t *r,
    ngx_pool_t *pool, ngx_http_checkout_query_t *query,
    struct prepared_value *to, ngx_int_t *errors);
static ngx_int_t ngx_http_checkout_query_read_page(ngx_http_request_t *r,
    ngx_http_checkout_query_page_t *page, struct prepared_query *query,
    ngx_int_t *errors);
static ngx_int_t ngx_http_checkout_query_check_buyer(
    ngx_http_checkout_query_t *query, uint64_t user_id,
    struct prepared_value *to, ngx_int_t *errors);
static ngx_int_t ngx_http_checkout_query_invalid(ngx_http_request_t *r,
    ngx_http_checkout_query_t *query, ngx_int_t *errors);
static void ngx_http_checkout_query_bounds(
    ngx_http_checkout_parameter_t *value, ngx_int_t error, uint64_t *min,
    uint64_t *max);
static void ngx_http_checkout_query_done(ngx_http_checkout_job_t *job,
    ngx_http_request_t *r, ngx_http_checkout_sql_outcome_e outcome,
    struct sql_result *result);
static ngx_int_t ngx_http_checkout_query_answer(ngx_http_request_t *r,
    struct sql_result *result);
static ngx_buf_t *ngx_http_checkout_query_body(ngx_http_request_t *r,
    struct sql_result *result);
static void ngx_http_checkout_query_free(void *data);
static ngx_int_t ngx_http_checkout_query_etag(ngx_http_request_t *r,
    struct sql_result *result);


ngx_int_t
ngx_http_checkout_query_handler(ngx_http_request_t *r)
{
    uint64_t                       user_id;
    ngx_int_t                      rc;
    ngx_http_checkout_loc_conf_t  *clcf;

    rc = ngx_http_checkout_read_begin(r, NULL);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    clcf = ngx_http_checkout_location(r);
    user_id = 0;

    if (clcf->query->of_buyer) {
        rc = ngx_http_checkout_require_user(r, &user_id);
    }

    return rc == NGX_DECLINED ? ngx_http_checkout_query_start(r, user_id) : rc;
}


static ngx_int_t
ngx_http_checkout_query_start(ngx_http_request_t *r, uint64_t user_id)
{
    ngx_int_t                      rc;
    ngx_http_checkout_ctx_t       *ctx;
    ngx_http_checkout_job_t       *job;
    ngx_http_checkout_loc_conf_t  *clcf;

    job = ngx_http_checkout_job_create(&ngx_http_checkout_location(r)->sql);

    if (job == NULL) {
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_UNAVAILABLE, NULL,
                                        0);
    }

    rc = ngx_http_checkout_query_fill(r, job, user_id);

    if (rc != NGX_DECLINED) {
        ngx_http_checkout_job_destroy(job);
        return rc;
    }

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "checkout query: asks MySQL");

    ctx = ngx_http_get_module_ctx(r, ngx_http_checkout_module);
    ngx_http_checkout_job_start(job, &ctx->waiting);

    clcf = ngx_http_checkout_location(r);
    rc = ngx_http_checkout_waiting_begin(&ctx->waiting, clcf->clock);
    ngx_http_checkout_waiting_watch_client(&ctx->waiting);

    return rc;
}


/*
 * NGX_DECLINED: the job may run. Else the request is answered, and the caller
 * destroys the job. user_id 0: unknown.
 */
static ngx_int_t
ngx_http_checkout_query_fill(ngx_http_request_t *r,
    ngx_http_checkout_job_t *job, uint64_t user_id)
{
    ngx_int_t                         rc, errors[PREPARED_VALUES_MAX + 2];
    ngx_uint_t                        i, n;
    ngx_http_checkout_query_t        *query;
    ngx_http_checkout_loc_conf_t     *clcf;
    ngx_http_checkout_query_input_t  *input;

    clcf = ngx_http_checkout_location(r);
    query = clcf->query;
    input = ngx_http_checkout_query_input(job, clcf);
    n = query->nvalues;

    if (input == NULL
        || ngx_http_checkout_query_read_values(r, job->pool, query,
                                               input->values, errors)
               != NGX_OK
        || (query->page
            && ngx_http_checkout_query_read_page(r, query->page, &input->query,
                                                 &errors[n])
                   != NGX_OK))
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = user_id ? ngx_http_checkout_query_check_buyer(query, user_id,
                                                       input->values, errors)
                 : NGX_OK;

    for (i = 0; i < n + (query->page ? 2 : 0); i++) {
        if (errors[i] != CHECKOUT_FIELD_OK) {
            return ngx_http_checkout_query_invalid(r, query, errors);
        }
    }

    return rc == NGX_OK
               ? NGX_DECLINED
               : ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_ORDER_NOT_FOUND,
                                          NULL, 0);
}


static ngx_http_checkout_query_input_t *
ngx_http_checkout_query_input(ngx_http_checkout_job_t *job,
    ngx_http_checkout_loc_conf_t *clcf)
{
    ngx_http_checkout_query_t        *query;
    ngx_http_checkout_query_input_t  *input;

    query = clcf->query;

    input = ngx_pcalloc(job->pool,
                        sizeof(ngx_http_checkout_query_input_t)
                            + query->nvalues * sizeof(struct prepared_value));
    if (input == NULL) {
        return NULL;
    }

    input->query.sql = query->sql;
    input->query.count_sql = query->count_sql;
    input->query.values = input->values;
    input->query.nvalues = query->nvalues;
    input->query.form = query->form;
    input->query.max_size = clcf->query_max_size;

    job->input = input;
    job->run = prepared_run;
    job->done = ngx_http_checkout_query_done;

    return input;
}


/*
 * All values of the statement. errors: what is wrong with each. NGX_ERROR: no
 * memory.
 */
static ngx_int_t
ngx_http_checkout_query_read_values(ngx_http_request_t *r, ngx_pool_t *pool,
    ngx_http_checkout_query_t *query, struct prepared_value *to,
    ngx_int_t *errors)
{
    ngx_uint_t  i;

    for (i = 0; i < query->nvalues; i++) {
        errors[i] = ngx_http_checkout_parameter_read(
            r, pool, &query->values[i], &to[i]);

        if (errors[i] == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* Page and number of rows, each at least 1. */
static ngx_int_t
ngx_http_checkout_query_read_page(ngx_http_request_t *r,
    ngx_http_checkout_query_page_t *page, struct prepared_query *query,
    ngx_int_t *errors)
{
    ngx_uint_t             i;
    struct prepared_value  values[2];

    for (i = 0; i < 2; i++) {
        errors[i] = ngx_http_checkout_parameter_read(
            r, r->pool, &page->values[i], &values[i]);

        if (errors[i] == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (errors[i] == CHECKOUT_FIELD_MISSING) {
            errors[i] = CHECKOUT_FIELD_OK;
            values[i].number = i == 0 ? 1 : page->by_default;

        } else if (errors[i] == CHECKOUT_FIELD_OK && values[i].number == 0) {
            errors[i] = CHECKOUT_FIELD_TOO_SMALL;
        }
    }

    if (errors[0] == CHECKOUT_FIELD_OK && page->pages
        && values[0].number > page->pages)
    {
        errors[0] = CHECKOUT_FIELD_TOO_LARGE;
    }

    if (errors[1] == CHECKOUT_FIELD_OK && values[1].number > page->max) {
        errors[1] = CHECKOUT_FIELD_TOO_LARGE;
    }

    query->pages_most = page->pages;
    query->total_most = (uint64_t) page->pages * page->max;
    query->page = values[0].number;
    query->per_page = values[1].number;

    return NGX_OK;
}


/*
 * Where checkout_user names the buyer, values of a buyer may be left out.
 * NGX_DECLINED: one is of another buyer, and the answer is "not found".
 */
static ngx_int_t
ngx_http_checkout_query_check_buyer(ngx_http_checkout_query_t *query,
    uint64_t user_id, struct prepared_value *to, ngx_int_t *errors)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    rc = NGX_OK;

    for (i = 0; i < query->nvalues; i++) {
        if (query->values[i].type != NGX_HTTP_CHECKOUT_PARAMETER_BUYER) {
            continue;
        }

        if (errors[i] == CHECKOUT_FIELD_MISSING) {
            errors[i] = CHECKOUT_FIELD_OK;
            to[i].number = user_id;

        } else if (errors[i] == CHECKOUT_FIELD_OK && to[i].number != user_id) {
            rc = NGX_DECLINED;
        }
    }

    return rc;
}


/* 422. errors: of the values, then of page and number of rows. */
static ngx_int_t
ngx_http_checkout_query_invalid(ngx_http_request_t *r,
    ngx_http_checkout_query_t *query, ngx_int_t *errors)
{
    size_t       size;
    u_char      *p, *end, *first;
    uint64_t     min, max;
    ngx_str_t    members;
    ngx_uint_t   i, n, english;

    ngx_http_checkout_parameter_t  *value;

    n = query->nvalues + (query->page ? 2 : 0);
    size = sizeof(",\"errors\":{}");

    for (i = 0; i < n; i++) {
        value = i < query->nvalues ? &query->values[i]
                                   : &query->page->values[i - query->nvalues];
        size += ngx_strlen(value->name) + NGX_HTTP_CHECKOUT_QUERY_ERROR;
    }

    members.data = ngx_pnalloc(r->pool, size);

    if (members.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    english = ngx_http_checkout_english(r);
    end = members.data + size;
    first = ngx_slprintf(members.data, end, ",\"errors\":{");
    p = first;

    for (i = 0; i < n; i++) {
        value = i < query->nvalues ? &query->values[i]
                                   : &query->page->values[i - query->nvalues];
        ngx_http_checkout_query_bounds(value, errors[i], &min, &max);

        if (i >= query->nvalues) {
            min = 1;
            max = i > query->nvalues   ? query->page->max
                  : query->page->pages ? query->page->pages
                                       : UINT64_MAX;
        }

        p = ngx_http_checkout_body_field(p, end, first, value->name, errors[i],
                                         min, max, english);
    }

    p = ngx_slprintf(p, end, "}");
    members.len = p - members.data;

    return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_INVALID_REQUEST,
                                    &members, 0);
}


/* The bounds that an error speaks of. */
static void
ngx_http_checkout_query_bounds(ngx_http_checkout_parameter_t *value,
    ngx_int_t error, uint64_t *min, uint64_t *max)
{
    *min = 0;
    *max = error == CHECKOUT_FIELD_TOO_LONG ? NGX_HTTP_CHECKOUT_PARAMETER_MAX
           : value->type == NGX_HTTP_CHECKOUT_PARAMETER_INT
               ? INT64_MAX
               : UINT64_MAX;
}


static void
ngx_http_checkout_query_done(ngx_http_checkout_job_t *job,
    ngx_http_request_t *r, ngx_http_checkout_sql_outcome_e outcome,
    struct sql_result *result)
{
    ngx_http_checkout_ctx_t  *ctx;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "checkout query: MySQL answered, outcome %d", outcome);

    ctx = ngx_http_get_module_ctx(r, ngx_http_checkout_module);
    ngx_http_checkout_waiting_finish(
        &ctx->waiting, outcome == NGX_HTTP_CHECKOUT_SQL_DONE
                           ? ngx_http_checkout_query_answer(r, result)
                           : ngx_http_checkout_sql_refuse(r, outcome));
}


static ngx_int_t
ngx_http_checkout_query_answer(ngx_http_request_t *r,
    struct sql_result *result)
{
    ngx_buf_t                     *b;
    ngx_http_checkout_loc_conf_t  *clcf;

    clcf = ngx_http_checkout_location(r);

    switch (result->kind) {

    case PREPARED_ANSWER:
        b = ngx_http_checkout_query_body(r, result);

        if (b == NULL || ngx_http_checkout_query_etag(r, result) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_checkout_read_found(r, b, (u_char *) "found", 5);

    case PREPARED_NO_ROW:
        return ngx_http_checkout_refuse(r, clcf->query->not_found, NULL, 0);

    default: /* PREPARED_UNUSABLE */
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "checkout: the statement in %V:%ui cannot be used: %s",
                      &clcf->request.handler.file, clcf->request.handler.line,
                      result->body.failed ? "no memory" : result->body.data);
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_BAD_GATEWAY, NULL,
                                        0);
    }
}


/* The result's text becomes the request's, without a copy. */
static ngx_buf_t *
ngx_http_checkout_query_body(ngx_http_request_t *r, struct sql_result *result)
{
    ngx_buf_t           *b;
    struct buffer       *text;
    ngx_pool_cleanup_t  *cleanup;

    b = ngx_calloc_buf(r->pool);
    cleanup = ngx_pool_cleanup_add(r->pool, sizeof(struct buffer));

    if (b == NULL || cleanup == NULL) {
        return NULL;
    }

    text = cleanup->data;
    *text = result->body;
    ngx_memzero(&result->body, sizeof(struct buffer));
    cleanup->handler = ngx_http_checkout_query_free;

    b->pos = (u_char *) text->data;
    b->last = b->pos + text->len;
    b->start = b->pos;
    b->end = b->last;
    b->memory = 1;

    return b;
}


static void
ngx_http_checkout_query_free(void *data)
{
    buffer_free(data);
}


/*
 * A strong validator (RFC 9110, section 8.8.3): 128 bits of a digest of the
 * body.
 */
static ngx_int_t
ngx_http_checkout_query_etag(ngx_http_request_t *r, struct sql_result *result)
{
    u_char           *p;
    ngx_table_elt_t  *etag;

    etag = ngx_list_push(&r->headers_out.headers);
    p = ngx_pnalloc(r->pool, 2 * 2 * sizeof(uint64_t) + 2);

    if (etag == NULL || p == NULL) {
        return NGX_ERROR;
    }

    etag->hash = 1;
#if (nginx_version >= 1023000)
    etag->next = NULL;
#endif
    ngx_str_set(&etag->key, "ETag");
    etag->value.data = p;
    *p++ = '"';
    p = ngx_hex_dump(p, (u_char *) result->numbers, 2 * sizeof(uint64_t));
    *p++ = '"';
    etag->value.len = p - etag->value.data;

    r->headers_out.etag = etag;

    return NGX_OK;
}
