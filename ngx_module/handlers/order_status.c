/*
 * GET orders/<identifier>: the gate's record of an order while it is queued,
 * then MySQL.
 *
 * An order that got a 202 is never 404.  Its record stands from the moment of
 * the 202 on; while it says that the order is queued, that is the answer.
 * Else a replica is asked (the primary, for a sticky client).  The primary is
 * asked for what the replica does not have, and for what it has in an earlier
 * status than the record, so that an order once shown as paid stays paid;
 * where the primary gives no answer then, the replica's row is the answer.
 *
 * 404 takes two who know: a Redis that has no record, and a MySQL, asked last
 * on the primary, that has no row.  Where MySQL cannot be asked, the record is
 * the answer.
 *
 * The state stands in the request's pool.
 */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "conf/conf.h"
#include "handlers/handlers.h"
#include "handlers/steps.h"
#include "redis/script_call.h"
#include "redis/reads.h"
#include "request/outcome.h"
#include "request/read.h"
#include "request/response.h"
#include "request/user.h"
#include "request/context.h"
#include "sql/job.h"
#include "stats/counters.h"
#include "mysql/sql_job.h"
#include "order/identifier.h"
#include <hiredis/hiredis.h>

#include "lifecycle/rules.h"
#include "mysql/order_read.h"
#include "order/order_json.h"


typedef enum {
    /* Redis gave no answer that could be read */
    NGX_HTTP_CHECKOUT_RECORD_UNKNOWN,
    NGX_HTTP_CHECKOUT_RECORD_NONE,
    NGX_HTTP_CHECKOUT_RECORD_FOUND
} ngx_http_checkout_record_e;

typedef struct {
    ngx_http_checkout_ctx_t     *ctx;
    ngx_http_checkout_record_e   record;
    /* of the record, or of a replica that is behind */
    ngx_buf_t                   *answer;
    uint64_t                     product_id;
    /* of the record's status; see lifecycle/rules.h */
    int                          rank;
    unsigned                     primary:1;  /* was asked */
    /* because a replica had no row, or an earlier status */
    unsigned                     lagged:1;
    char                         identifier[CHECKOUT_IDENTIFIER_LEN];
} ngx_http_checkout_status_t;


static ngx_int_t ngx_http_checkout_status_ask_mysql(ngx_http_request_t *r,
    ngx_http_checkout_status_t *st);


/* 200: text is JSON of order/order_json.h, in a buffer of the request. */
static ngx_int_t
ngx_http_checkout_status_found(ngx_http_request_t *r,
    ngx_http_checkout_status_t *st, ngx_buf_t *b, uint64_t product_id)
{
    u_char  *status, *end;

    ngx_memcpy(st->ctx->identifier, st->identifier, CHECKOUT_IDENTIFIER_LEN);
    st->ctx->product_id = product_id;

    status = b->pos + ORDER_JSON_STATUS_AT;
    end = ngx_strlchr(status, b->last, '"');

    return ngx_http_checkout_read_found(r, b, status, end ? end - status : 0);
}


static ngx_buf_t *
ngx_http_checkout_status_text(ngx_http_request_t *r, struct buffer *text)
{
    ngx_buf_t  *b;

    b = text->failed ? NULL : ngx_create_temp_buf(r->pool, text->len);

    if (b != NULL) {
        b->last = ngx_cpymem(b->pos, text->data, text->len);
    }

    return b;
}


/*
 * MySQL knows no more: the answer is the record, or that there is none.
 */
static ngx_int_t
ngx_http_checkout_status_by_record(ngx_http_request_t *r,
    ngx_http_checkout_status_t *st)
{
    switch (st->record) {

    case NGX_HTTP_CHECKOUT_RECORD_FOUND:
        return ngx_http_checkout_status_found(r, st, st->answer,
                                              st->product_id);

    case NGX_HTTP_CHECKOUT_RECORD_NONE:
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_ORDER_NOT_FOUND,
                                        NULL, 0);

    default: /* NGX_HTTP_CHECKOUT_RECORD_UNKNOWN: it may be queued */
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_UNAVAILABLE, NULL,
                                        0);
    }
}


/* The order as MySQL has it. */
static ngx_int_t
ngx_http_checkout_status_by_row(ngx_http_request_t *r,
    ngx_http_checkout_status_t *st, struct sql_result *result)
{
    ngx_buf_t  *b;

    if (st->lagged) {
        ngx_http_checkout_count(sql_fallbacks, 1);
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "checkout: order %*s was read from the primary, for a"
                      " replica is behind",
                      (size_t) CHECKOUT_IDENTIFIER_LEN, st->identifier);
    }

    /* Nobody learns of an order of another buyer. */
    if (st->ctx->user_id
        && st->ctx->user_id != result->numbers[ORDER_READ_USER])
    {
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_ORDER_NOT_FOUND,
                                        NULL, 0);
    }

    b = ngx_http_checkout_status_text(r, &result->body);

    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_checkout_status_found(r, st, b,
                                          result->numbers[ORDER_READ_PRODUCT]);
}


/*
 * Is the row of an earlier status than the record?  The worker changes the
 * record once MySQL has committed.
 */
static ngx_uint_t
ngx_http_checkout_status_is_behind(ngx_http_checkout_status_t *st,
    struct sql_result *result)
{
    char    *status;
    size_t   len;

    if (result->body.failed || result->body.len <= ORDER_JSON_STATUS_AT) {
        return 0;
    }

    status = result->body.data + ORDER_JSON_STATUS_AT;
    len = ngx_strlchr((u_char *) status,
                      (u_char *) result->body.data + result->body.len, '"')
          - (u_char *) status;

    return order_status_rank(order_status_parse(status, len)) < st->rank;
}


/*
 * The primary may know more.  result: a replica's, or NULL.  NGX_DONE: it is
 * asked; else what the request ends with.
 */
static ngx_int_t
ngx_http_checkout_status_ask_primary(ngx_http_request_t *r,
    ngx_http_checkout_status_t *st, struct sql_result *result)
{
    ngx_buf_t  *b;

    st->primary = 1;
    st->lagged = result != NULL;

    if (result != NULL && result->rows) {
        b = ngx_http_checkout_status_text(r, &result->body);

        if (b == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        st->answer = b;
        st->product_id = result->numbers[ORDER_READ_PRODUCT];
    }

    return ngx_http_checkout_status_ask_mysql(r, st);
}


static void
ngx_http_checkout_status_mysql_answered(ngx_http_checkout_job_t *job,
    ngx_http_request_t *r, ngx_http_checkout_sql_outcome_e outcome,
    struct sql_result *result)
{
    ngx_int_t                      rc;
    ngx_uint_t                     done, may_ask;
    ngx_http_checkout_status_t    *st;
    ngx_http_checkout_loc_conf_t  *clcf;

    st = job->data;
    st->primary |= job->of_primary;
    done = outcome == NGX_HTTP_CHECKOUT_SQL_DONE;
    clcf = ngx_http_checkout_location(r);
    may_ask = !st->primary && clcf->sql.primary != NULL;

    if (done && result->rows
        && !(may_ask && ngx_http_checkout_status_is_behind(st, result)))
    {
        rc = ngx_http_checkout_status_by_row(r, st, result);

    } else if (may_ask && (done || outcome == NGX_HTTP_CHECKOUT_SQL_FAILED)) {
        rc = ngx_http_checkout_status_ask_primary(r, st, result);

        if (rc == NGX_DONE) {
            return;
        }

    } else if (done || st->record == NGX_HTTP_CHECKOUT_RECORD_FOUND) {
        rc = ngx_http_checkout_status_by_record(r, st);

    } else {
        rc = ngx_http_checkout_sql_refuse(r, outcome);
    }

    ngx_http_checkout_waiting_finish(&st->ctx->waiting, rc);
}


/* NGX_DONE: MySQL is asked; else what the request ends with. */
static ngx_int_t
ngx_http_checkout_status_ask_mysql(ngx_http_request_t *r,
    ngx_http_checkout_status_t *st)
{
    struct order_read        *input;
    ngx_http_checkout_job_t  *job;

    job = ngx_http_checkout_job_create(&ngx_http_checkout_location(r)->sql);

    if (job == NULL) {
        return st->record == NGX_HTTP_CHECKOUT_RECORD_FOUND
                   ? ngx_http_checkout_status_by_record(r, st)
                   : ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_UNAVAILABLE,
                                              NULL, 0);
    }

    input = ngx_palloc(job->pool, sizeof(struct order_read));

    if (input == NULL) {
        ngx_http_checkout_job_destroy(job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memcpy(input->identifier, st->identifier, CHECKOUT_IDENTIFIER_LEN);
    job->input = input;
    job->run = order_read;
    job->done = ngx_http_checkout_status_mysql_answered;
    job->data = st;
    job->primary = st->primary;

    ngx_http_checkout_job_start(job, &st->ctx->waiting);

    return NGX_DONE;
}


static ngx_uint_t
ngx_http_checkout_status_is_queued(struct checkout_record *record)
{
    return record->status_len == sizeof("queued") - 1
           && ngx_strncmp(record->status, "queued", record->status_len) == 0;
}


/*
 * The reply of Redis; NULL: it gave none.  NGX_DECLINED: MySQL is to be asked;
 * else what the request ends with.
 */
static ngx_int_t
ngx_http_checkout_status_take_record(ngx_http_request_t *r,
    ngx_http_checkout_status_t *st, redisReply *reply)
{
    struct buffer           text = { 0 };
    struct checkout_record  record;

    if (reply == NULL) {
        return NGX_DECLINED;
    }

    if (reply->type == REDIS_REPLY_NIL) {
        st->record = NGX_HTTP_CHECKOUT_RECORD_NONE;
        return NGX_DECLINED;
    }

    if (reply->type != REDIS_REPLY_STRING
        || checkout_record_parse(&record, reply->str, reply->len) != 0)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "checkout: order %*s has a record that is none",
                      (size_t) CHECKOUT_IDENTIFIER_LEN, st->identifier);
        return NGX_DECLINED;
    }

    if (st->ctx->user_id && st->ctx->user_id != record.order.user_id) {
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_ORDER_NOT_FOUND,
                                        NULL, 0);
    }

    order_json_record(&text, st->identifier, &record);
    st->answer = ngx_http_checkout_status_text(r, &text);
    buffer_free(&text);

    if (st->answer == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    st->record = NGX_HTTP_CHECKOUT_RECORD_FOUND;
    st->product_id = record.order.product_id;
    st->rank = order_status_rank(
        order_status_parse(record.status, record.status_len));

    return ngx_http_checkout_status_is_queued(&record)
               ? ngx_http_checkout_status_by_record(r, st)
               : NGX_DECLINED;
}


/* After Redis: MySQL, where it is configured.  Returns as ask_mysql(). */
static ngx_int_t
ngx_http_checkout_status_after_redis(ngx_http_request_t *r,
    ngx_http_checkout_status_t *st)
{
    ngx_http_checkout_loc_conf_t  *clcf;

    clcf = ngx_http_checkout_location(r);

    if (clcf->sql.access == NULL) {
        return ngx_http_checkout_status_by_record(r, st);
    }

    return ngx_http_checkout_status_ask_mysql(r, st);
}


static ngx_int_t
ngx_http_checkout_status_write(ngx_http_checkout_script_call_t *call)
{
    return ngx_http_checkout_reads_order(&call->command, call->source,
                                         call->identifier);
}


static void
ngx_http_checkout_status_redis_answered(ngx_http_checkout_script_call_t *call,
    ngx_http_request_t *r, redisReply *reply)
{
    ngx_int_t                    rc;
    ngx_http_checkout_status_t  *st;

    st = call->data;
    rc = ngx_http_checkout_status_take_record(r, st, reply);

    if (rc == NGX_DECLINED) {
        rc = ngx_http_checkout_status_after_redis(r, st);
    }

    if (rc != NGX_DONE) {
        ngx_http_checkout_waiting_finish(&st->ctx->waiting, rc);
    }
}


/* NGX_DONE: Redis is asked.  NGX_DECLINED: it cannot be. */
static ngx_int_t
ngx_http_checkout_status_ask_redis(ngx_http_request_t *r,
    ngx_http_checkout_status_t *st)
{
    ngx_http_checkout_script_call_t  *call;
    ngx_http_checkout_loc_conf_t     *clcf;

    clcf = ngx_http_checkout_location(r);
    call = ngx_http_checkout_script_call_create(clcf->redis,
                                                r->connection->log);

    if (call == NULL) {
        return NGX_DECLINED;
    }

    call->write = ngx_http_checkout_status_write;
    call->done = ngx_http_checkout_status_redis_answered;
    call->data = st;
    ngx_memcpy(call->identifier, st->identifier, CHECKOUT_IDENTIFIER_LEN);

    return ngx_http_checkout_script_call_start(call, &st->ctx->waiting,
                                               clcf->redis_clock)
                   == NGX_DONE
               ? NGX_DONE
               : NGX_DECLINED;
}


ngx_int_t
ngx_http_checkout_status_handler(ngx_http_request_t *r)
{
    uint64_t                       user_id;
    ngx_int_t                      rc, asked;
    ngx_str_t                      value;
    ngx_http_checkout_status_t    *st;
    ngx_http_checkout_loc_conf_t  *clcf;

    rc = ngx_http_checkout_read_begin(r, &value);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    rc = ngx_http_checkout_require_order(r, &value, &user_id);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    st = ngx_pcalloc(r->pool, sizeof(ngx_http_checkout_status_t));

    if (st == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    st->ctx = ngx_http_get_module_ctx(r, ngx_http_checkout_module);
    st->ctx->user_id = user_id;
    ngx_memcpy(st->identifier, value.data, CHECKOUT_IDENTIFIER_LEN);

    asked = ngx_http_checkout_status_ask_redis(r, st);
    rc = asked;

    if (asked == NGX_DECLINED) {
        rc = ngx_http_checkout_status_after_redis(r, st);
    }

    if (rc != NGX_DONE) {
        return rc;
    }

    clcf = ngx_http_checkout_location(r);
    rc = ngx_http_checkout_waiting_begin(&st->ctx->waiting, clcf->clock);

    if (asked == NGX_DECLINED) {
        ngx_http_checkout_waiting_watch_client(&st->ctx->waiting);
    }

    return rc;
}
