/*
 * POST orders/<identifier>/cancel: the buyer gives an order up that is not paid, also one that still waits in the
 * queue.
 *
 *     FIND      the gate's record: whose order it is, and what it asked for
 *     COMMIT    one transaction on the primary (lifecycle/single_change.h), which decides
 *     TELL      the gate takes the new status, the stock and the buyer's units (transition.lua)
 *
 * Only COMMIT counts. Where the gate cannot be told, the answer is the same, and the reconciler brings the stock; a
 * repeat tells it again. COMMIT has the whole of checkout_timeout, the others half of it each; every step can be made
 * again: the transaction finds its own work.
 *
 * The state lives in the request's pool. Lookup and job that are under way are told by their own rooms when the request
 * goes away; a transaction that runs then is carried through.
 */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "conf/conf.h"
#include "handlers/handlers.h"
#include "redis/script_call.h"
#include "redis/script.h"
#include "request/outcome.h"
#include "request/read.h"
#include "request/response.h"
#include "request/user.h"
#include "request/sticky.h"
#include "request/context.h"
#include "sql/job.h"
#include "stats/counters.h"
#include "checkout_scripts.h"
#include "mysql/sql_job.h"
#include "order/identifier.h"
#include "order/order.h"
#include <hiredis/hiredis.h>

#include "lifecycle/single_change.h"
#include "order/order_json.h"
#include "text/number.h"


typedef struct {
    ngx_http_checkout_ctx_t  *ctx;
    struct single_change          change;
    struct single_change_result        answer;
    ngx_str_t                 text;         /* the order as it is now, JSON; empty: not read */
    unsigned                  asked:1;      /* Redis gave an answer */
    unsigned                  source:1;     /* the script itself was sent */
    ngx_uint_t                told;         /* times that the script was sent and may have run */
} ngx_http_checkout_cancel_t;


static void ngx_http_checkout_cancel_told(ngx_http_checkout_script_call_t *call, ngx_http_request_t *r,
    redisReply *reply);


static ngx_int_t
ngx_http_checkout_cancel_write_find(ngx_http_checkout_script_call_t *call)
{
    ngx_http_checkout_script_begin(&checkout_script_find_order, call->source, 3);
    ngx_http_checkout_script_days();
    ngx_http_checkout_script_text(call->identifier, CHECKOUT_IDENTIFIER_LEN);

    return ngx_http_checkout_script_end(&call->command);
}


static void
ngx_http_checkout_cancel_product(const struct product_row *p)
{
    ngx_http_checkout_script_number(p->version);
    ngx_http_checkout_script_number(p->stock);
    ngx_http_checkout_script_number(p->terms.opens_at);
    ngx_http_checkout_script_number(p->terms.closes_at);
    ngx_http_checkout_script_number(p->terms.per_user_limit);
    ngx_http_checkout_script_number(p->terms.max_quantity);
    ngx_http_checkout_script_text(p->terms.state, ngx_strlen(p->terms.state));
}


/* The words of transition.lua for one order. */
static ngx_int_t
ngx_http_checkout_cancel_write_tell(ngx_http_checkout_script_call_t *call)
{
    char                         id[20], units[NGX_INT64_LEN + 1];
    size_t                       len;
    const char                  *status;
    struct changed_order           *order;
    struct product_row          *product;
    ngx_http_checkout_cancel_t  *cancel;

    cancel = call->data;
    order = &cancel->answer.order;
    product = &cancel->answer.product;
    status = order_status_name(order->status);

    ngx_http_checkout_script_begin(&checkout_script_transition, call->source, product->found ? 6 : 3);
    ngx_http_checkout_script_days();

    if (product->found) {
        len = number_write(id, product->id) - id;
        ngx_http_checkout_script_key("product:", id, len, ":stock");
        ngx_http_checkout_script_key("product:", id, len, ":register");
        ngx_http_checkout_script_key("product:", id, len, ":buyers");
    }

    if (call->source && !cancel->source) {
        cancel->source = 1;
        cancel->told--;     /* Redis did not know it */
    }

    ngx_http_checkout_script_number(cancel->told > 0 || cancel->answer.outcome == OUTCOME_REPEAT);
    ngx_http_checkout_script_number(product->found ? 1 : 0);

    if (product->found) {
        ngx_http_checkout_cancel_product(product);
    }

    cancel->told++;
    len = ngx_sprintf((u_char *) units, "%L", (int64_t) order->taken) - (u_char *) units;

    ngx_http_checkout_script_text(order->identifier, CHECKOUT_IDENTIFIER_LEN);
    ngx_http_checkout_script_text(status, ngx_strlen(status));
    ngx_http_checkout_script_text(order->code[0] ? order->code : "-", order->code[0] ? ngx_strlen(order->code) : 1);
    ngx_http_checkout_script_number(product->found ? 1 : 0);
    ngx_http_checkout_script_number(order->user);
    ngx_http_checkout_script_text(units, len);

    return ngx_http_checkout_script_end(&call->command);
}


/* NGX_DONE: the request waits for Redis. NGX_DECLINED: Redis cannot be asked. */
static ngx_int_t
ngx_http_checkout_cancel_ask(ngx_http_request_t *r, ngx_http_checkout_cancel_t *cancel,
    ngx_int_t (*write)(ngx_http_checkout_script_call_t *call), ngx_http_checkout_script_done_pt done)
{
    ngx_http_checkout_script_call_t    *call;
    ngx_http_checkout_loc_conf_t  *clcf;

    clcf = ngx_http_checkout_location(r);
    call = ngx_http_checkout_script_call_create(clcf->redis, r->connection->log);

    if (call == NULL) {
        return NGX_DECLINED;
    }

    call->write = write;
    call->done = done;
    call->data = cancel;
    ngx_memcpy(call->identifier, cancel->change.identifier, CHECKOUT_IDENTIFIER_LEN);

    return ngx_http_checkout_script_call_start(call, &cancel->ctx->waiting, clcf->redis_clock) == NGX_DONE
           ? NGX_DONE : NGX_DECLINED;
}


/* 200: the order as a read would show it, or else what is known of it. */
static ngx_int_t
ngx_http_checkout_cancel_answer(ngx_http_request_t *r, ngx_http_checkout_cancel_t *cancel)
{
    ngx_buf_t               *b;
    struct buffer            text = { 0 };
    struct changed_order       *order;
    struct checkout_record   record;

    order = &cancel->answer.order;

    if (cancel->text.len == 0) {
        ngx_memzero(&record, sizeof(record));
        record.status = order_status_name(order->status);
        record.status_len = ngx_strlen(record.status);
        record.reason = order->code;
        record.reason_len = ngx_strlen(order->code);
        record.order.product_id = order->product;
        record.order.quantity = order->quantity;
        record.order.user_id = order->user;
        order_json_record(&text, order->identifier, &record);

        if (!text.failed) {
            cancel->text.data = ngx_pnalloc(r->pool, text.len);
            cancel->text.len = text.len;
        }

        if (cancel->text.data != NULL) {
            ngx_memcpy(cancel->text.data, text.data, text.len);
        }

        buffer_free(&text);
    }

    b = cancel->text.data != NULL ? ngx_calloc_buf(r->pool) : NULL;

    if (b == NULL || ngx_http_checkout_sticky_set(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->pos = cancel->text.data;
    b->last = b->pos + cancel->text.len;
    b->memory = 1;

    ngx_memcpy(cancel->ctx->identifier, order->identifier, CHECKOUT_IDENTIFIER_LEN);
    cancel->ctx->product_id = order->product;
    ngx_str_set(&cancel->ctx->status, "cancelled");
    ngx_http_checkout_count_outcome(cancel->ctx, NGX_HTTP_CHECKOUT_CANCELLED);

    return ngx_http_checkout_send(r, NGX_HTTP_OK, b);
}


static ngx_int_t
ngx_http_checkout_cancel_refused(ngx_http_request_t *r, ngx_http_checkout_cancel_t *cancel)
{
    u_char     *p;
    ngx_str_t   members;
    u_char      text[64];

    p = ngx_slprintf(text, text + sizeof(text), ",\"status\":\"%s\"", order_status_name(cancel->answer.order.status));

    members.data = text;
    members.len = p - text;

    return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_NOT_CANCELLABLE, &members, 0);
}


/* MySQL decided. NGX_DONE: the gate is being told. */
static ngx_int_t
ngx_http_checkout_cancel_decided(ngx_http_request_t *r, ngx_http_checkout_cancel_t *cancel)
{
    ngx_int_t                      rc;
    ngx_http_checkout_loc_conf_t  *clcf;

    switch (cancel->answer.outcome) {

    case OUTCOME_CANCELLED:
    case OUTCOME_REPEAT:
        clcf = ngx_http_checkout_location(r);
        ngx_http_checkout_waiting_restart(&cancel->ctx->waiting, clcf->clock);
        rc = ngx_http_checkout_cancel_ask(r, cancel, ngx_http_checkout_cancel_write_tell,
                                          ngx_http_checkout_cancel_told);

        return rc == NGX_DONE ? NGX_DONE : ngx_http_checkout_cancel_answer(r, cancel);

    case OUTCOME_REFUSED:
        return ngx_http_checkout_cancel_refused(r, cancel);

    default: /* without Redis's word it may be queued, and what has a record had a row */
        return ngx_http_checkout_refuse(r, cancel->asked && !cancel->change.has_record
                                           ? NGX_HTTP_CHECKOUT_ORDER_NOT_FOUND : NGX_HTTP_CHECKOUT_UNAVAILABLE,
                                        NULL, 0);
    }
}


static void
ngx_http_checkout_cancel_told(ngx_http_checkout_script_call_t *call, ngx_http_request_t *r, redisReply *reply)
{
    ngx_http_checkout_cancel_t  *cancel = call->data;

    ngx_http_checkout_finish(r, ngx_http_checkout_cancel_answer(r, cancel));
}


static void
ngx_http_checkout_cancel_committed(ngx_http_checkout_job_t *job, ngx_http_request_t *r,
    ngx_http_checkout_sql_outcome_e outcome, struct sql_result *result)
{
    ngx_int_t                    rc;
    ngx_http_checkout_cancel_t  *cancel = job->data;

    if (outcome != NGX_HTTP_CHECKOUT_SQL_DONE) {
        ngx_http_checkout_finish(r, ngx_http_checkout_sql_refuse(r, outcome));
        return;
    }

    ngx_memcpy(&cancel->answer, result->body.data, sizeof(struct single_change_result));
    cancel->text.len = result->body.len - sizeof(struct single_change_result);

    if (cancel->text.len) {
        cancel->text.data = ngx_pnalloc(r->pool, cancel->text.len);

        if (cancel->text.data == NULL) {
            ngx_http_checkout_finish(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
            return;
        }

        ngx_memcpy(cancel->text.data, result->body.data + sizeof(struct single_change_result), cancel->text.len);
    }

    rc = ngx_http_checkout_cancel_decided(r, cancel);

    if (rc != NGX_DONE) {
        ngx_http_checkout_finish(r, rc);
    }
}


/* NGX_DONE: the request waits for MySQL; else it is answered. */
static ngx_int_t
ngx_http_checkout_cancel_commit(ngx_http_request_t *r, ngx_http_checkout_cancel_t *cancel)
{
    ngx_http_checkout_job_t  *job;

    job = ngx_http_checkout_job_create(r, &ngx_http_checkout_location(r)->sql);

    if (job == NULL) {
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_UNAVAILABLE, NULL, 0);
    }

    job->input = ngx_palloc(job->pool, sizeof(struct single_change));

    if (job->input == NULL) {
        ngx_http_checkout_job_destroy(job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    *(struct single_change *) job->input = cancel->change;
    job->run = single_change_job;
    job->done = ngx_http_checkout_cancel_committed;
    job->data = cancel;
    job->primary = 1;
    cancel->ctx->started = ngx_current_msec;    /* of this step: the answer that a lock is kept must come in time */

    return ngx_http_checkout_job_start(r, job, 1);
}


/* The gate's record, or the want of it. */
static void
ngx_http_checkout_cancel_take_record(ngx_http_checkout_cancel_t *cancel, redisReply *reply)
{
    struct checkout_record  record;

    if (reply == NULL) {
        return;
    }

    if (reply->type == REDIS_REPLY_NIL) {
        cancel->asked = 1;
        return;
    }

    if (reply->type == REDIS_REPLY_STRING && checkout_record_parse(&record, reply->str, reply->len) == 0) {
        cancel->asked = 1;
        cancel->change.has_record = 1;
        cancel->change.is_queued = record.status_len == 6 && ngx_strncmp(record.status, "queued", 6) == 0;
        cancel->change.asked = record.order;
    }
}


static void
ngx_http_checkout_cancel_found(ngx_http_checkout_script_call_t *call, ngx_http_request_t *r, redisReply *reply)
{
    ngx_int_t                      rc;
    struct single_change          *change;
    ngx_http_checkout_cancel_t    *cancel = call->data;
    ngx_http_checkout_loc_conf_t  *clcf;

    ngx_http_checkout_cancel_take_record(cancel, reply);
    change = &cancel->change;

    /* The orders of others are nobody's business. */
    if (change->has_record && change->user && change->user != change->asked.user_id) {
        ngx_http_checkout_finish(r, ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_ORDER_NOT_FOUND, NULL, 0));
        return;
    }

    /* the transaction has the whole time: the answer that a lock is kept must come within it */
    clcf = ngx_http_checkout_location(r);
    ngx_http_checkout_waiting_restart(&cancel->ctx->waiting, clcf->clock);
    rc = ngx_http_checkout_cancel_commit(r, cancel);

    if (rc != NGX_DONE) {
        ngx_http_checkout_finish(r, rc);
    }
}


static ngx_http_checkout_cancel_t *
ngx_http_checkout_cancel_create(ngx_http_request_t *r, ngx_str_t *identifier, uint64_t user_id)
{
    ngx_http_checkout_cancel_t  *cancel;

    cancel = ngx_pcalloc(r->pool, sizeof(ngx_http_checkout_cancel_t));

    if (cancel == NULL) {
        return NULL;
    }

    cancel->ctx = ngx_http_get_module_ctx(r, ngx_http_checkout_module);
    cancel->ctx->user_id = user_id;
    cancel->change.event = EVENT_CANCEL;
    cancel->change.user = user_id;
    cancel->change.code = "cancelled_by_buyer";
    cancel->change.reason = "cancelled by the buyer";
    ngx_memcpy(cancel->change.identifier, identifier->data, CHECKOUT_IDENTIFIER_LEN);

    return cancel;
}


/* NGX_DECLINED, and the identifier; else the answer is given. */
static ngx_int_t
ngx_http_checkout_cancel_begin(ngx_http_request_t *r, ngx_str_t *identifier)
{
    ngx_int_t                      rc;
    ngx_http_checkout_ctx_t       *ctx;
    ngx_http_checkout_loc_conf_t  *clcf;

    ctx = ngx_http_checkout_ctx_create_main(r,
                                            NGX_HTTP_CHECKOUT_REQUEST_CANCEL,
                                            "checkout_cancel_order");

    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->method != NGX_HTTP_POST) {
        return ngx_http_checkout_refuse_method(r, "POST");
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    clcf = ngx_http_checkout_location(r);

    return ngx_http_complex_value(r, clcf->request.argument, identifier) == NGX_OK ? NGX_DECLINED
                                                                        : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


ngx_int_t
ngx_http_checkout_cancel_handler(ngx_http_request_t *r)
{
    uint64_t                       user_id;
    ngx_int_t                      rc;
    ngx_str_t                      identifier;
    ngx_http_checkout_cancel_t    *cancel;
    ngx_http_checkout_loc_conf_t  *clcf;

    rc = ngx_http_checkout_cancel_begin(r, &identifier);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    rc = ngx_http_checkout_require_order(r, &identifier, &user_id);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    cancel = ngx_http_checkout_cancel_create(r, &identifier, user_id);

    if (cancel == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_checkout_cancel_ask(r, cancel, ngx_http_checkout_cancel_write_find,
                                      ngx_http_checkout_cancel_found);

    if (rc == NGX_DECLINED) {
        rc = ngx_http_checkout_cancel_commit(r, cancel);
    }

    if (rc != NGX_DONE) {
        return rc;
    }

    clcf = ngx_http_checkout_location(r);

    return ngx_http_checkout_waiting_begin(&cancel->ctx->waiting, clcf->clock);
}
