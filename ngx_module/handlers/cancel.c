/*
 * POST orders/<identifier>/cancel: the buyer gives up an order that is not
 * paid; it may still wait in the queue.
 *
 *     FIND      the gate's record: whose order it is, and what it asked for
 *     READ      where there is no record: the row, for its product
 *     REGISTER  the version that the gate knows of its product, and whether it
 *               is being recovered
 *     COMMIT    one transaction on the primary, which decides
 *               (lifecycle/single_change.h)
 *     PUSH      the gate takes the new status, the stock and the buyer's units
 *               (transition.lua)
 *
 * An order of which the gate knows more than MySQL, which then has lost
 * commits, is not cancelled: 503, as where Redis cannot be asked.
 *
 * Only COMMIT counts. Where PUSH fails, the answer is the same: a worker tells
 * the gate, by the notice that COMMIT wrote (lifecycle/gate_notice.h), and the
 * reconciler brings the stock. COMMIT has the whole of checkout_timeout, the
 * others half of it each. Every step can be made again: the transaction finds
 * its own work.
 *
 * The state lives in the request's pool. When the request goes away, a
 * transaction that runs is carried through.
 */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "conf/conf.h"
#include "handlers/handlers.h"
#include "handlers/steps.h"
#include "redis/reads.h"
#include "redis/script.h"
#include "request/context.h"
#include "request/count.h"
#include "request/outcome.h"
#include "request/response.h"
#include "request/sticky.h"
#include "request/user.h"
#include "checkout_scripts.h"
#include "lifecycle/single_change.h"
#include "mysql/order_read.h"
#include "order/identifier.h"
#include "order/order.h"
#include "order/order_json.h"
#include "text/number.h"
#include <hiredis/hiredis.h>


typedef enum {
    NGX_HTTP_CHECKOUT_CANCEL_FIND,
    NGX_HTTP_CHECKOUT_CANCEL_READ,
    NGX_HTTP_CHECKOUT_CANCEL_REGISTER,
    NGX_HTTP_CHECKOUT_CANCEL_COMMIT,
    NGX_HTTP_CHECKOUT_CANCEL_PUSH
} ngx_http_checkout_cancel_state_e;

typedef struct {
    ngx_http_request_t                *request;
    ngx_http_checkout_ctx_t           *ctx;
    ngx_http_checkout_cancel_state_e   state;

    struct single_change               change;
    struct single_change_result        result;
    /* as it is now, JSON; empty: not read */
    ngx_str_t                          order;
    /* Redis knows, or knows that there is no record */
    unsigned                           found:1;
} ngx_http_checkout_cancel_t;


static ngx_int_t ngx_http_checkout_cancel_begin(ngx_http_request_t *r,
    ngx_str_t *identifier);
static ngx_http_checkout_cancel_t *ngx_http_checkout_cancel_create(
    ngx_http_request_t *r, ngx_str_t *identifier, uint64_t user_id);

static ngx_int_t ngx_http_checkout_cancel_find(
    ngx_http_checkout_cancel_t *cancel);
static ngx_int_t ngx_http_checkout_cancel_write_find(
    ngx_http_checkout_script_call_t *call);
static void ngx_http_checkout_cancel_found(
    ngx_http_checkout_script_call_t *call, ngx_http_request_t *r,
    redisReply *reply);
static void ngx_http_checkout_cancel_stepped(
    ngx_http_checkout_cancel_t *cancel, ngx_int_t rc);
static void ngx_http_checkout_cancel_read_record(
    ngx_http_checkout_cancel_t *cancel, redisReply *reply);

static ngx_int_t ngx_http_checkout_cancel_read(
    ngx_http_checkout_cancel_t *cancel);
static void ngx_http_checkout_cancel_was_read(ngx_http_checkout_job_t *job,
    ngx_http_request_t *r, ngx_http_checkout_sql_outcome_e outcome,
    struct sql_result *result);

static ngx_int_t ngx_http_checkout_cancel_register(
    ngx_http_checkout_cancel_t *cancel);
static ngx_int_t ngx_http_checkout_cancel_write_register(
    ngx_http_checkout_script_call_t *call);
static void ngx_http_checkout_cancel_registered(
    ngx_http_checkout_script_call_t *call, ngx_http_request_t *r,
    redisReply *reply);
static ngx_int_t ngx_http_checkout_cancel_read_register(
    ngx_http_checkout_cancel_t *cancel, redisReply *reply);

static ngx_int_t ngx_http_checkout_cancel_commit(
    ngx_http_checkout_cancel_t *cancel);
static void ngx_http_checkout_cancel_committed(ngx_http_checkout_job_t *job,
    ngx_http_request_t *r, ngx_http_checkout_sql_outcome_e outcome,
    struct sql_result *result);
static ngx_int_t ngx_http_checkout_cancel_read_result(
    ngx_http_checkout_cancel_t *cancel, struct sql_result *result);
static ngx_int_t ngx_http_checkout_cancel_decided(
    ngx_http_checkout_cancel_t *cancel);

static ngx_int_t ngx_http_checkout_cancel_push(
    ngx_http_checkout_cancel_t *cancel);
static ngx_int_t ngx_http_checkout_cancel_write_push(
    ngx_http_checkout_script_call_t *call);
static void ngx_http_checkout_cancel_pushed(
    ngx_http_checkout_script_call_t *call, ngx_http_request_t *r,
    redisReply *reply);

static ngx_int_t ngx_http_checkout_cancel_answer(
    ngx_http_checkout_cancel_t *cancel);
static ngx_int_t ngx_http_checkout_cancel_refuse(
    ngx_http_checkout_cancel_t *cancel);


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

    rc = ngx_http_checkout_cancel_find(cancel);

    if (rc == NGX_DECLINED) {
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_UNAVAILABLE, NULL,
                                        0);
    }

    if (rc != NGX_DONE) {
        return rc;
    }

    clcf = ngx_http_checkout_location(r);
    rc = ngx_http_checkout_waiting_begin(&cancel->ctx->waiting, clcf->clock);

    if (cancel->state == NGX_HTTP_CHECKOUT_CANCEL_COMMIT) {
        ngx_http_checkout_waiting_watch_client(&cancel->ctx->waiting);
    }

    return rc;
}


/* NGX_DECLINED, and the identifier; else the request is answered. */
static ngx_int_t
ngx_http_checkout_cancel_begin(ngx_http_request_t *r, ngx_str_t *identifier)
{
    ngx_int_t                  rc;
    ngx_http_checkout_ctx_t   *ctx;
    ngx_http_complex_value_t  *value;

    ctx = ngx_http_checkout_ctx_create_main(
        r, NGX_HTTP_CHECKOUT_REQUEST_CANCEL, "checkout_cancel_order");

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

    value = ngx_http_checkout_location(r)->request.argument;

    return ngx_http_complex_value(r, value, identifier) == NGX_OK
               ? NGX_DECLINED
               : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static ngx_http_checkout_cancel_t *
ngx_http_checkout_cancel_create(ngx_http_request_t *r, ngx_str_t *identifier,
    uint64_t user_id)
{
    ngx_http_checkout_cancel_t  *cancel;

    cancel = ngx_pcalloc(r->pool, sizeof(ngx_http_checkout_cancel_t));

    if (cancel == NULL) {
        return NULL;
    }

    cancel->request = r;
    cancel->ctx = ngx_http_get_module_ctx(r, ngx_http_checkout_module);
    cancel->ctx->user_id = user_id;
    cancel->change.event = EVENT_CANCEL;
    cancel->change.user = user_id;
    cancel->change.code = "cancelled_by_buyer";
    cancel->change.reason = "cancelled by the buyer";
    ngx_memcpy(cancel->change.identifier, identifier->data,
               CHECKOUT_IDENTIFIER_LEN);

    return cancel;
}


static void
ngx_http_checkout_cancel_enter(ngx_http_checkout_cancel_t *cancel,
    ngx_http_checkout_cancel_state_e state)
{
    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, cancel->request->connection->log, 0,
                   "checkout cancel: state %d -> %d", cancel->state, state);

    cancel->state = state;
}


/* NGX_DONE: the request waits. NGX_DECLINED: Redis cannot be asked. */
static ngx_int_t
ngx_http_checkout_cancel_find(ngx_http_checkout_cancel_t *cancel)
{
    ngx_http_checkout_cancel_enter(cancel, NGX_HTTP_CHECKOUT_CANCEL_FIND);

    return ngx_http_checkout_ask_redis(
        cancel->request, ngx_http_checkout_cancel_write_find,
        ngx_http_checkout_cancel_found, cancel);
}


static ngx_int_t
ngx_http_checkout_cancel_write_find(ngx_http_checkout_script_call_t *call)
{
    ngx_http_checkout_cancel_t  *cancel = call->data;

    return ngx_http_checkout_reads_order(&call->command, call->source,
                                         cancel->change.identifier);
}


static void
ngx_http_checkout_cancel_found(ngx_http_checkout_script_call_t *call,
    ngx_http_request_t *r, redisReply *reply)
{
    ngx_int_t                    rc;
    struct single_change        *change;
    ngx_http_checkout_cancel_t  *cancel = call->data;

    ngx_http_checkout_cancel_read_record(cancel, reply);
    change = &cancel->change;

    /* a buyer must not learn of the orders of others */
    if (change->has_record && change->user
        && change->user != change->asked.user_id)
    {
        rc = ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_ORDER_NOT_FOUND,
                                      NULL, 0);
        ngx_http_checkout_waiting_finish(&cancel->ctx->waiting, rc);
        return;
    }

    rc = !cancel->found       ? NGX_DECLINED
         : change->has_record ? ngx_http_checkout_cancel_register(cancel)
                              : ngx_http_checkout_cancel_read(cancel);

    ngx_http_checkout_cancel_stepped(cancel, rc);
}


/* Ends the request, unless the step that was begun waits (NGX_DONE). */
static void
ngx_http_checkout_cancel_stepped(ngx_http_checkout_cancel_t *cancel,
    ngx_int_t rc)
{
    if (rc == NGX_DECLINED) {
        rc = ngx_http_checkout_refuse(cancel->request,
                                      NGX_HTTP_CHECKOUT_UNAVAILABLE, NULL, 0);
    }

    if (rc != NGX_DONE) {
        ngx_http_checkout_waiting_finish(&cancel->ctx->waiting, rc);
    }
}


/* reply: NULL when Redis gave no answer. */
static void
ngx_http_checkout_cancel_read_record(ngx_http_checkout_cancel_t *cancel,
    redisReply *reply)
{
    struct checkout_record  record;

    if (reply == NULL) {
        return;
    }

    if (reply->type == REDIS_REPLY_NIL) {
        cancel->found = 1;
        return;
    }

    if (reply->type != REDIS_REPLY_STRING
        || checkout_record_parse(&record, reply->str, reply->len) != 0)
    {
        return;
    }

    cancel->found = 1;
    cancel->change.has_record = 1;
    cancel->change.is_queued = record.status_len == 6
                               && ngx_strncmp(record.status, "queued", 6) == 0;
    cancel->change.asked = record.order;
    cancel->change.recorded = order_status_parse(record.status,
                                                 record.status_len);
}


/*
 * An order without a record is days old, or Redis lost it: its row says of
 * which product it is. NGX_DONE: the request waits. NGX_DECLINED: MySQL cannot
 * be asked. NGX_HTTP_INTERNAL_SERVER_ERROR: no memory.
 */
static ngx_int_t
ngx_http_checkout_cancel_read(ngx_http_checkout_cancel_t *cancel)
{
    struct order_read    input;
    ngx_http_request_t  *r;

    ngx_http_checkout_cancel_enter(cancel, NGX_HTTP_CHECKOUT_CANCEL_READ);

    r = cancel->request;
    ngx_memcpy(input.identifier, cancel->change.identifier,
               CHECKOUT_IDENTIFIER_LEN);
    ngx_http_checkout_waiting_restart(&cancel->ctx->waiting,
                                      ngx_http_checkout_location(r)->clock);

    return ngx_http_checkout_ask_primary(
        r, order_read, &input, sizeof(struct order_read),
        ngx_http_checkout_cancel_was_read, cancel);
}


static void
ngx_http_checkout_cancel_was_read(ngx_http_checkout_job_t *job,
    ngx_http_request_t *r, ngx_http_checkout_sql_outcome_e outcome,
    struct sql_result *result)
{
    ngx_int_t                    rc;
    ngx_http_checkout_cancel_t  *cancel = job->data;

    if (outcome != NGX_HTTP_CHECKOUT_SQL_DONE) {
        rc = ngx_http_checkout_sql_refuse(r, outcome);

    } else if (result->rows == 0) {
        rc = ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_ORDER_NOT_FOUND,
                                      NULL, 0);

    } else if (result->numbers[ORDER_READ_PRODUCT] == 0) {
        rc = ngx_http_checkout_cancel_commit(cancel);

    } else {
        cancel->change.asked.product_id = result->numbers[ORDER_READ_PRODUCT];
        ngx_http_checkout_waiting_restart(
            &cancel->ctx->waiting, ngx_http_checkout_location(r)->clock);
        rc = ngx_http_checkout_cancel_register(cancel);
    }

    ngx_http_checkout_cancel_stepped(cancel, rc);
}


/* NGX_DONE: the request waits. NGX_DECLINED: Redis cannot be asked. */
static ngx_int_t
ngx_http_checkout_cancel_register(ngx_http_checkout_cancel_t *cancel)
{
    ngx_http_checkout_cancel_enter(cancel, NGX_HTTP_CHECKOUT_CANCEL_REGISTER);

    return ngx_http_checkout_ask_redis(
        cancel->request, ngx_http_checkout_cancel_write_register,
        ngx_http_checkout_cancel_registered, cancel);
}


static ngx_int_t
ngx_http_checkout_cancel_write_register(ngx_http_checkout_script_call_t *call)
{
    ngx_http_checkout_cancel_t  *cancel = call->data;

    return ngx_http_checkout_reads_stock(&call->command, call->source,
                                         cancel->change.asked.product_id);
}


static void
ngx_http_checkout_cancel_registered(ngx_http_checkout_script_call_t *call,
    ngx_http_request_t *r, redisReply *reply)
{
    ngx_int_t                    rc;
    ngx_http_checkout_cancel_t  *cancel = call->data;

    rc = ngx_http_checkout_cancel_read_register(cancel, reply);

    rc = rc == NGX_OK
             ? ngx_http_checkout_cancel_commit(cancel)
             : ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_UNAVAILABLE, NULL,
                                        0);

    if (rc != NGX_DONE) {
        ngx_http_checkout_waiting_finish(&cancel->ctx->waiting, rc);
    }
}


/* NGX_ERROR: Redis gave no answer. A version that is none counts as none. */
static ngx_int_t
ngx_http_checkout_cancel_read_register(ngx_http_checkout_cancel_t *cancel,
    redisReply *reply)
{
    redisReply  *version;

    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY
        || reply->elements != 5)
    {
        return NGX_ERROR;
    }

    version = reply->element[3];

    if (version->type == REDIS_REPLY_STRING) {
        (void) number_parse(&cancel->change.gate_version, version->str,
                            version->len, INT64_MAX);
    }

    cancel->change.is_recovering = reply->element[4]->type
                                   == REDIS_REPLY_STRING;

    return NGX_OK;
}


/* NGX_DONE: the request waits; else it is answered. */
static ngx_int_t
ngx_http_checkout_cancel_commit(ngx_http_checkout_cancel_t *cancel)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    ngx_http_checkout_cancel_enter(cancel, NGX_HTTP_CHECKOUT_CANCEL_COMMIT);

    r = cancel->request;

    /*
     * The transaction has the whole time: it may have to wait for a lock, and
     * a lock that is kept must be reported in time: see conf/mysql.c.
     */
    ngx_http_checkout_waiting_restart(&cancel->ctx->waiting,
                                      ngx_http_checkout_location(r)->clock);

    rc = ngx_http_checkout_ask_primary(
        r, single_change_job, &cancel->change, sizeof(struct single_change),
        ngx_http_checkout_cancel_committed, cancel);

    return rc == NGX_DECLINED
               ? ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_UNAVAILABLE,
                                          NULL, 0)
               : rc;
}


static void
ngx_http_checkout_cancel_committed(ngx_http_checkout_job_t *job,
    ngx_http_request_t *r, ngx_http_checkout_sql_outcome_e outcome,
    struct sql_result *result)
{
    ngx_int_t                    rc;
    ngx_http_checkout_cancel_t  *cancel = job->data;

    if (outcome != NGX_HTTP_CHECKOUT_SQL_DONE) {
        rc = ngx_http_checkout_sql_refuse(r, outcome);

    } else if (ngx_http_checkout_cancel_read_result(cancel, result) != NGX_OK)
    {
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    } else {
        rc = ngx_http_checkout_cancel_decided(cancel);
    }

    if (rc != NGX_DONE) {
        ngx_http_checkout_waiting_finish(&cancel->ctx->waiting, rc);
    }
}


/* NGX_ERROR: no memory. */
static ngx_int_t
ngx_http_checkout_cancel_read_result(ngx_http_checkout_cancel_t *cancel,
    struct sql_result *result)
{
    size_t  size;

    size = sizeof(struct single_change_result);
    ngx_memcpy(&cancel->result, result->body.data, size);
    cancel->order.len = result->body.len - size;

    if (cancel->order.len == 0) {
        return NGX_OK;
    }

    cancel->order.data = ngx_pnalloc(cancel->request->pool, cancel->order.len);

    if (cancel->order.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(cancel->order.data, result->body.data + size,
               cancel->order.len);

    return NGX_OK;
}


/* NGX_DONE: the request waits for PUSH; else it is answered. */
static ngx_int_t
ngx_http_checkout_cancel_decided(ngx_http_checkout_cancel_t *cancel)
{
    ngx_int_t                    rc;
    ngx_http_checkout_outcome_e  outcome;

    switch (cancel->result.outcome) {

    case OUTCOME_CANCELLED:
    case OUTCOME_REPEAT:
        rc = ngx_http_checkout_cancel_push(cancel);

        return rc == NGX_DONE ? NGX_DONE
                              : ngx_http_checkout_cancel_answer(cancel);

    case OUTCOME_REFUSED:
        return ngx_http_checkout_cancel_refuse(cancel);

    case OUTCOME_ARCHIVED:
        return ngx_http_checkout_refuse(
            cancel->request, NGX_HTTP_CHECKOUT_ORDER_NOT_FOUND, NULL, 0);

    case OUTCOME_LOCKED:
        return ngx_http_checkout_refuse(
            cancel->request, NGX_HTTP_CHECKOUT_UNAVAILABLE, NULL, 0);

    default:
        /*
         * There is no row. Where Redis gave no answer, the order may be
         * queued; where it has a record, there was a row, or will be.
         */
        outcome = cancel->found && !cancel->change.has_record
                      ? NGX_HTTP_CHECKOUT_ORDER_NOT_FOUND
                      : NGX_HTTP_CHECKOUT_UNAVAILABLE;

        return ngx_http_checkout_refuse(cancel->request, outcome, NULL, 0);
    }
}


/* NGX_DONE: the request waits. NGX_DECLINED: Redis cannot be asked. */
static ngx_int_t
ngx_http_checkout_cancel_push(ngx_http_checkout_cancel_t *cancel)
{
    ngx_http_request_t  *r;

    ngx_http_checkout_cancel_enter(cancel, NGX_HTTP_CHECKOUT_CANCEL_PUSH);

    r = cancel->request;
    ngx_http_checkout_waiting_restart(&cancel->ctx->waiting,
                                      ngx_http_checkout_location(r)->clock);

    return ngx_http_checkout_ask_redis(
        r, ngx_http_checkout_cancel_write_push,
        ngx_http_checkout_cancel_pushed, cancel);
}


static void
ngx_http_checkout_cancel_write_product(const struct product_row *product)
{
    ngx_http_checkout_script_number(product->version);
    ngx_http_checkout_script_number(product->stock);
    ngx_http_checkout_script_number(product->terms.opens_at);
    ngx_http_checkout_script_number(product->terms.closes_at);
    ngx_http_checkout_script_number(product->terms.per_user_limit);
    ngx_http_checkout_script_number(product->terms.max_quantity);
    ngx_http_checkout_script_text(product->terms.state,
                                  ngx_strlen(product->terms.state));
}


/* units: memory that lives until the call is put together. */
static void
ngx_http_checkout_cancel_write_order(const struct changed_order *order,
    int has_product, u_char *units)
{
    size_t       len;
    const char  *status, *code;

    status = order_status_name(order->status);
    code = order->code[0] ? order->code : "-";
    len = ngx_sprintf(units, "%L", (int64_t) order->taken) - units;

    ngx_http_checkout_script_text(order->identifier, CHECKOUT_IDENTIFIER_LEN);
    ngx_http_checkout_script_text(status, ngx_strlen(status));
    ngx_http_checkout_script_text(code, ngx_strlen(code));
    ngx_http_checkout_script_number(has_product);
    ngx_http_checkout_script_number(order->user);
    ngx_http_checkout_script_number(order->quantity);
    ngx_http_checkout_script_text((char *) units, len);
}


/* transition.lua, for one order and at most one product */
static ngx_int_t
ngx_http_checkout_cancel_write_push(ngx_http_checkout_script_call_t *call)
{
    int                          has_product;
    char                         id[20];
    size_t                       len;
    struct product_row          *product;
    ngx_http_checkout_cancel_t  *cancel;
    u_char                       units[NGX_INT64_LEN + 1];

    cancel = call->data;
    product = &cancel->result.product;
    has_product = product->found != 0;

    ngx_http_checkout_script_begin(&checkout_script_transition, call->source,
                                   has_product ? 6 : 3);
    ngx_http_checkout_script_days();

    if (has_product) {
        len = number_write(id, product->id) - id;
        ngx_http_checkout_script_key("product:", id, len, ":stock");
        ngx_http_checkout_script_key("product:", id, len, ":register");
        ngx_http_checkout_script_key("product:", id, len, ":buyers");
    }

    /* what has no record is told by the sweep of the notices alone */
    ngx_http_checkout_script_number(0);
    ngx_http_checkout_script_number(has_product);

    if (has_product) {
        ngx_http_checkout_cancel_write_product(product);
    }

    ngx_http_checkout_cancel_write_order(&cancel->result.order, has_product,
                                         units);

    return ngx_http_checkout_script_end(&call->command);
}


/* Whatever Redis's reply is, the order is cancelled. */
static void
ngx_http_checkout_cancel_pushed(ngx_http_checkout_script_call_t *call,
    ngx_http_request_t *r, redisReply *reply)
{
    ngx_http_checkout_cancel_t  *cancel = call->data;

    ngx_http_checkout_waiting_finish(&cancel->ctx->waiting,
                                     ngx_http_checkout_cancel_answer(cancel));
}


/* The order as far as it is known without its row. NGX_ERROR: no memory. */
static ngx_int_t
ngx_http_checkout_cancel_describe(ngx_http_checkout_cancel_t *cancel)
{
    ngx_int_t                rc;
    struct buffer            text = { 0 };
    struct changed_order    *order;
    struct checkout_record   record;

    order = &cancel->result.order;

    ngx_memzero(&record, sizeof(record));
    record.status = order_status_name(order->status);
    record.status_len = ngx_strlen(record.status);
    record.reason = order->code;
    record.reason_len = ngx_strlen(order->code);
    record.order.product_id = order->product;
    record.order.quantity = order->quantity;
    record.order.user_id = order->user;
    order_json_record(&text, order->identifier, &record);

    rc = NGX_ERROR;

    if (!text.failed) {
        cancel->order.data = ngx_pnalloc(cancel->request->pool, text.len);

        if (cancel->order.data != NULL) {
            ngx_memcpy(cancel->order.data, text.data, text.len);
            cancel->order.len = text.len;
            rc = NGX_OK;
        }
    }

    buffer_free(&text);

    return rc;
}


/* 200: the order as a read would show it, or else what is known of it. */
static ngx_int_t
ngx_http_checkout_cancel_answer(ngx_http_checkout_cancel_t *cancel)
{
    ngx_buf_t                *b;
    ngx_http_request_t       *r;
    struct changed_order     *order;
    ngx_http_checkout_ctx_t  *ctx;

    r = cancel->request;
    ctx = cancel->ctx;
    order = &cancel->result.order;

    if (cancel->order.len == 0
        && ngx_http_checkout_cancel_describe(cancel) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b = ngx_calloc_buf(r->pool);

    if (b == NULL || ngx_http_checkout_sticky_set(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->pos = cancel->order.data;
    b->last = b->pos + cancel->order.len;
    b->memory = 1;

    ngx_memcpy(ctx->identifier, order->identifier, CHECKOUT_IDENTIFIER_LEN);
    ctx->product_id = order->product;
    ngx_str_set(&ctx->status, "cancelled");
    ngx_http_checkout_count_outcome(ctx, NGX_HTTP_CHECKOUT_CANCELLED);

    return ngx_http_checkout_send(r, NGX_HTTP_OK, b);
}


/* 409, with the status that the order has. */
static ngx_int_t
ngx_http_checkout_cancel_refuse(ngx_http_checkout_cancel_t *cancel)
{
    u_char     *p;
    ngx_str_t   members;
    u_char      text[64];

    p = ngx_slprintf(text, text + sizeof(text), ",\"status\":\"%s\"",
                     order_status_name(cancel->result.order.status));

    members.data = text;
    members.len = p - text;

    return ngx_http_checkout_refuse(
        cancel->request, NGX_HTTP_CHECKOUT_NOT_CANCELLABLE, &members, 0);
}
