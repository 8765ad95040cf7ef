/*
 * POST init-stock: a product and its stock are set in MySQL, then at the gate.
 *
 *     INSPECT   the gate's version, and what is in flight: 409, unless the
 *               request forces it
 *     COMMIT    one transaction on the primary: the row, with a version over
 *               its own and over the gate's
 *     PUSH      the gate takes the committed row, if it is newer than what it
 *               has, and subtracts what is in flight
 *     SHOW      what the gate may sell now, for the answer
 *
 * No lock is held while Redis is asked, and nothing depends on the order in
 * which this and others reach the gate: the newer version wins. That needs a
 * register. Where the gate has none, PUSH creates nothing. Were it made from
 * the row that was committed before, a worker could commit and settle an order
 * in between: the settle would find no register to bring its newer version to,
 * the order would be in flight no more, and the gate would offer its units
 * again. So
 *
 *     CREATE    an empty register is made, of version 0: it counts what is in
 *               flight, and sells nothing
 *     REREAD    the row is read again; it has now every order that was settled
 *               without a register
 *     PUSH      as above; a settle that comes in between finds the register
 *
 * Killed after COMMIT, the gate is behind until the reconciler pushes the
 * newer version, or, without a register, until the product is loaded. Each
 * step may be sent again; the transaction knows its own request.
 *
 * The state lives in the request's pool. checkout_timeout is for all steps; a
 * step that is under way when it has run out fails.
 */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "conf/conf.h"
#include "gate/marks.h"
#include "handlers/handlers.h"
#include "handlers/steps.h"
#include "redis/reads.h"
#include "redis/script.h"
#include "request/admin.h"
#include "request/body.h"
#include "request/context.h"
#include "request/count.h"
#include "request/outcome.h"
#include "request/random.h"
#include "request/response.h"
#include "request/sticky.h"
#include "stats/counters.h"
#include "checkout_scripts.h"
#include "mysql/stock_init.h"
#include "order/order.h"
#include "text/json_fields.h"
#include "text/number.h"
#include <hiredis/hiredis.h>


#define NGX_HTTP_CHECKOUT_INIT_CHINESE  "商品及 Redis 庫存初始化成功!"
#define NGX_HTTP_CHECKOUT_INIT_ENGLISH \
    "The product and its stock in Redis are set."


typedef enum {
    NGX_HTTP_CHECKOUT_INIT_INSPECT,
    NGX_HTTP_CHECKOUT_INIT_COMMIT,
    NGX_HTTP_CHECKOUT_INIT_PUSH,
    NGX_HTTP_CHECKOUT_INIT_CREATE,
    NGX_HTTP_CHECKOUT_INIT_REREAD,
    NGX_HTTP_CHECKOUT_INIT_SHOW
} ngx_http_checkout_init_state_e;

typedef struct {
    ngx_http_request_t              *request;
    ngx_http_checkout_ctx_t         *ctx;
    ngx_http_checkout_init_state_e   state;

    struct stock_init                init;
    /* committed: enum stock_init_number */
    uint64_t                         row[STOCK_INIT_OPEN + 1];
    /* what is in flight is summed over the queue */
    unsigned                         sum:1;
    /* the register's own count is not a number */
    unsigned                         recount:1;
    unsigned                         created:1;
} ngx_http_checkout_init_t;


static void ngx_http_checkout_init_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_checkout_init_start(ngx_http_request_t *r,
    const struct stock_request *request);

static void ngx_http_checkout_init_inspect(ngx_http_checkout_init_t *init);
static void ngx_http_checkout_init_inspected(ngx_http_checkout_init_t *init,
    redisReply *reply);
static void ngx_http_checkout_init_commit(ngx_http_checkout_init_t *init);
static void ngx_http_checkout_init_committed(ngx_http_checkout_job_t *job,
    ngx_http_request_t *r, ngx_http_checkout_sql_outcome_e outcome,
    struct sql_result *result);
static void ngx_http_checkout_init_push(ngx_http_checkout_init_t *init);
static void ngx_http_checkout_init_pushed(ngx_http_checkout_init_t *init,
    redisReply *reply);
static void ngx_http_checkout_init_create(ngx_http_checkout_init_t *init);
static void ngx_http_checkout_init_created(ngx_http_checkout_init_t *init,
    redisReply *reply);
static void ngx_http_checkout_init_reread(ngx_http_checkout_init_t *init);
static void ngx_http_checkout_init_show(ngx_http_checkout_init_t *init);
static void ngx_http_checkout_init_shown(ngx_http_checkout_init_t *init,
    redisReply *reply);

static ngx_int_t ngx_http_checkout_init_answer(ngx_http_checkout_init_t *init,
    uint64_t redis_stock);


static ngx_int_t
ngx_http_checkout_init_unauthorized(ngx_http_request_t *r)
{
    if (ngx_http_checkout_header(r, "WWW-Authenticate", (u_char *) "Bearer",
                                 sizeof("Bearer") - 1)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_checkout_refuse_unread(
        r, NGX_HTTP_CHECKOUT_ADMIN_UNAUTHORIZED);
}


ngx_int_t
ngx_http_checkout_init_stock_handler(ngx_http_request_t *r)
{
    ngx_http_checkout_ctx_t  *ctx;

    ctx = ngx_http_checkout_ctx_create_main(
        r, NGX_HTTP_CHECKOUT_REQUEST_INIT_STOCK, "checkout_init_stock");

    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->method != NGX_HTTP_POST) {
        return ngx_http_checkout_refuse_method(r, "POST");
    }

    if (!ngx_http_checkout_is_admin(r)) {
        return ngx_http_checkout_init_unauthorized(r);
    }

    return ngx_http_checkout_body_read_json(r, ngx_http_checkout_init_body);
}


/* 422 with what is wrong with each field, or with the body as a whole. */
static ngx_int_t
ngx_http_checkout_init_invalid(ngx_http_request_t *r,
    struct checkout_field *fields, struct checkout_json_fault *fault)
{
    u_char      *p, *end, *first;
    ngx_str_t    members;
    ngx_uint_t   i, english;
    u_char       text[1024];

    english = ngx_http_checkout_english(r);
    end = text + sizeof(text);
    first = ngx_slprintf(text, end, ",\"errors\":{");
    p = first;

    if (fault->syntax != NULL) {
        p = ngx_http_checkout_body_syntax(p, end, first, fault->syntax,
                                          fault->offset, english);

    } else {
        for (i = 0; i < STOCK_REQUEST_FIELDS; i++) {
            /* the bounds of a price are digits in the table */
            p = ngx_http_checkout_body_field(
                p, end, first, fields[i].name, fields[i].error, fields[i].min,
                i == STOCK_REQUEST_PRICE ? 9999999999 : fields[i].max,
                english);
        }
    }

    p = ngx_slprintf(p, end, "}");

    members.data = text;
    members.len = p - text;

    return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_INVALID_REQUEST,
                                    &members, 0);
}


/* The body has arrived. */
static void
ngx_http_checkout_init_body(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_str_t                   text;
    struct stock_request        request;
    struct checkout_field       fields[STOCK_REQUEST_FIELDS];
    struct checkout_json_fault  fault;

    rc = ngx_http_checkout_body_text(r, NGX_HTTP_CHECKOUT_BODY_MAX, &text);

    if (rc == NGX_DECLINED) {
        rc = ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_BODY_TOO_LARGE,
                                      NULL, 0);

    } else if (rc != NGX_OK) {
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    } else if (stock_request_parse(&request,
                                   text.len ? (char *) text.data : "",
                                   text.len, fields, &fault)
               != 0)
    {
        rc = ngx_http_checkout_init_invalid(r, fields, &fault);

    } else {
        rc = ngx_http_checkout_init_start(r, &request);
    }

    if (rc != NGX_DONE) {
        ngx_http_finalize_request(r, rc);
    }
}


/* NGX_DONE: the request waits. Else there is no memory, or no random bytes. */
static ngx_int_t
ngx_http_checkout_init_start(ngx_http_request_t *r,
    const struct stock_request *request)
{
    u_char                     mark[STOCK_INIT_MARK_LEN / 2];
    ngx_http_checkout_init_t  *init;

    init = ngx_pcalloc(r->pool, sizeof(ngx_http_checkout_init_t));

    if (init == NULL || ngx_http_checkout_random(mark, sizeof(mark)) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    init->request = r;
    init->ctx = ngx_http_get_module_ctx(r, ngx_http_checkout_module);
    init->ctx->product_id = request->product_id;
    init->init.request = *request;
    ngx_hex_dump((u_char *) init->init.mark, mark, sizeof(mark));

    ngx_http_checkout_waiting_begin_with_body(
        &init->ctx->waiting, ngx_http_checkout_location(r)->clock);
    ngx_http_checkout_init_inspect(init);

    return NGX_DONE;
}


/* The end. The request may be freed when this returns. */
static void
ngx_http_checkout_init_refuse(ngx_http_checkout_init_t *init,
    ngx_http_checkout_outcome_e outcome)
{
    ngx_http_checkout_waiting_finish(
        &init->ctx->waiting,
        ngx_http_checkout_refuse(init->request, outcome, NULL, 0));
}


/* The step has failed: what is known then. */
static void
ngx_http_checkout_init_failed(ngx_http_checkout_init_t *init)
{
    switch (init->state) {

    case NGX_HTTP_CHECKOUT_INIT_INSPECT:
        ngx_http_checkout_init_refuse(init, NGX_HTTP_CHECKOUT_UNAVAILABLE);
        return;

    case NGX_HTTP_CHECKOUT_INIT_COMMIT:
        ngx_http_checkout_init_refuse(init, NGX_HTTP_CHECKOUT_STOCK_UNKNOWN);
        return;

    default:
        ngx_http_checkout_init_refuse(init,
                                      NGX_HTTP_CHECKOUT_STOCK_NOT_PUSHED);
    }
}


static void
ngx_http_checkout_init_enter(ngx_http_checkout_init_t *init,
    ngx_http_checkout_init_state_e state)
{
    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, init->request->connection->log, 0,
                   "checkout init-stock: state %d -> %d", init->state, state);

    init->state = state;
}


/* Redis has answered a step; reply: NULL when it has not. */
static void
ngx_http_checkout_init_redis_answered(ngx_http_checkout_script_call_t *call,
    ngx_http_request_t *r, redisReply *reply)
{
    ngx_http_checkout_init_t  *init = call->data;

    if (reply == NULL) {
        ngx_http_checkout_init_failed(init);
        return;
    }

    switch (init->state) {

    case NGX_HTTP_CHECKOUT_INIT_INSPECT:
        ngx_http_checkout_init_inspected(init, reply);
        return;

    case NGX_HTTP_CHECKOUT_INIT_PUSH:
        ngx_http_checkout_init_pushed(init, reply);
        return;

    case NGX_HTTP_CHECKOUT_INIT_CREATE:
        ngx_http_checkout_init_created(init, reply);
        return;

    default: /* NGX_HTTP_CHECKOUT_INIT_SHOW */
        ngx_http_checkout_init_shown(init, reply);
    }
}


static void
ngx_http_checkout_init_ask_redis(ngx_http_checkout_init_t *init,
    ngx_http_checkout_init_state_e state,
    ngx_http_checkout_script_write_pt write)
{
    ngx_http_checkout_init_enter(init, state);

    if (ngx_http_checkout_ask_redis(
            init->request, write, ngx_http_checkout_init_redis_answered, init)
        != NGX_DONE)
    {
        ngx_http_checkout_init_failed(init);
    }
}


static void
ngx_http_checkout_init_ask_primary(ngx_http_checkout_init_t *init,
    ngx_http_checkout_init_state_e state, sql_job_pt run)
{
    ngx_int_t  rc;

    ngx_http_checkout_init_enter(init, state);

    rc = ngx_http_checkout_ask_primary(
        init->request, run, &init->init, sizeof(struct stock_init),
        ngx_http_checkout_init_committed, init);

    if (rc == NGX_DECLINED) {
        ngx_http_checkout_init_refuse(
            init, state == NGX_HTTP_CHECKOUT_INIT_COMMIT
                      ? NGX_HTTP_CHECKOUT_UNAVAILABLE
                      : NGX_HTTP_CHECKOUT_STOCK_NOT_PUSHED);

    } else if (rc != NGX_DONE) {
        ngx_http_checkout_waiting_finish(&init->ctx->waiting, rc);
    }
}


/* buyers: 1 where the script pushes terms. */
static void
ngx_http_checkout_init_product_keys(ngx_http_checkout_init_t *init,
    ngx_uint_t buyers)
{
    char    id[20];
    size_t  len;

    len = number_write(id, init->init.request.product_id) - id;

    ngx_http_checkout_script_key("product:", id, len, ":stock");
    ngx_http_checkout_script_key("product:", id, len, ":register");

    if (buyers) {
        ngx_http_checkout_script_key("product:", id, len, ":buyers");
    }
}


/* Keys of inspect.lua and of load.lua. */
static void
ngx_http_checkout_init_begin_script(ngx_http_checkout_script_call_t *call,
    const struct checkout_script *script)
{
    ngx_uint_t  loads;

    loads = script == &checkout_script_load;

    ngx_http_checkout_script_begin(script, call->source, loads ? 7 : 6);
    ngx_http_checkout_script_key("", "order-processing-queue",
                                 sizeof("order-processing-queue") - 1, "");
    ngx_http_checkout_script_key("", "dead-letter-queue",
                                 sizeof("dead-letter-queue") - 1, "");
    ngx_http_checkout_script_key("", "gate", sizeof("gate") - 1, "");
    ngx_http_checkout_script_key("", "products", sizeof("products") - 1, "");
    ngx_http_checkout_init_product_keys(call->data, loads);
}


/*
 * What is in flight is summed only for a product without a count of its own,
 * and only where the queue is short, or the product is new.
 */
static ngx_int_t
ngx_http_checkout_init_write_inspect(ngx_http_checkout_script_call_t *call)
{
    ngx_http_checkout_init_t  *init = call->data;

    ngx_http_checkout_init_begin_script(call, &checkout_script_inspect);
    ngx_http_checkout_script_number(init->sum);
    ngx_http_checkout_script_number(init->init.request.product_id);

    return ngx_http_checkout_script_end(&call->command);
}


static void
ngx_http_checkout_init_inspect(ngx_http_checkout_init_t *init)
{
    ngx_http_checkout_init_ask_redis(init, NGX_HTTP_CHECKOUT_INIT_INSPECT,
                                     ngx_http_checkout_init_write_inspect);
}


/* NGX_OK, and the count; else NGX_ERROR and 0. */
static ngx_int_t
ngx_http_checkout_init_number(redisReply *reply, uint64_t *number)
{
    *number = 0;

    /* 15 digits are what the scripts count exactly */
    return reply->type == REDIS_REPLY_STRING
                   && number_parse(number, reply->str, reply->len,
                                   999999999999999)
                          == 0
               ? NGX_OK
               : NGX_ERROR;
}


/* 409, with what is in flight. */
static void
ngx_http_checkout_init_refuse_in_flight(ngx_http_checkout_init_t *init,
    uint64_t in_flight)
{
    u_char     *p;
    ngx_int_t   rc;
    ngx_str_t   members;
    u_char      text[sizeof(",\"in_flight\":") + NGX_INT64_LEN];

    p = ngx_cpymem(text, ",\"in_flight\":", sizeof(",\"in_flight\":") - 1);
    p = (u_char *) number_write((char *) p, in_flight);

    members.data = text;
    members.len = p - text;

    rc = ngx_http_checkout_refuse(
        init->request, NGX_HTTP_CHECKOUT_ORDERS_IN_FLIGHT, &members, 0);
    ngx_http_checkout_waiting_finish(&init->ctx->waiting, rc);
}


/* Its register went, or is damaged, while the queue is long. */
static void
ngx_http_checkout_init_uncounted(ngx_http_checkout_init_t *init)
{
    ngx_log_error(NGX_LOG_ERR, init->request->connection->log, 0,
                  "checkout: what is in flight of product %uL has to be "
                  "counted first: \"checkoutctl stock load %uL\"",
                  init->init.request.product_id,
                  init->init.request.product_id);
    ngx_http_checkout_init_failed(init);
}


/*
 * inspect.lua: { summed, products, queued,
 *                { stock, version, register stock, in_flight, sum, … } }
 */
static void
ngx_http_checkout_init_inspected(ngx_http_checkout_init_t *init,
    redisReply *reply)
{
    uint64_t      in_flight;
    redisReply  **field;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 4
        || reply->element[3]->type != REDIS_REPLY_ARRAY
        || reply->element[3]->elements != 11
        || reply->element[3]->element[2]->type != REDIS_REPLY_STRING
        || reply->element[3]->element[4]->type != REDIS_REPLY_INTEGER)
    {
        ngx_http_checkout_init_failed(init);
        return;
    }

    field = reply->element[3]->element;

    if (field[2]->len == 0
        || ngx_http_checkout_init_number(field[3], &in_flight) != NGX_OK)
    {

        if (field[4]->integer < 0 && !init->sum) {
            init->sum = 1;
            ngx_http_checkout_init_inspect(init);
            return;
        }

        if (field[4]->integer < 0) {
            ngx_http_checkout_init_uncounted(init);
            return;
        }

        in_flight = field[4]->integer;
        init->recount = field[2]->len != 0;
    }

    if (in_flight && !init->init.request.force) {
        ngx_http_checkout_init_refuse_in_flight(init, in_flight);
        return;
    }

    (void) ngx_http_checkout_init_number(field[1],
                                         &init->init.register_version);
    init->init.is_recovering = field[10]->type == REDIS_REPLY_STRING
                               && field[10]->len != 0;
    ngx_http_checkout_init_commit(init);
}


static void
ngx_http_checkout_init_commit(ngx_http_checkout_init_t *init)
{
    ngx_http_checkout_init_ask_primary(init, NGX_HTTP_CHECKOUT_INIT_COMMIT,
                                       stock_init_run);
}


/* COMMIT or REREAD is over. */
static void
ngx_http_checkout_init_committed(ngx_http_checkout_job_t *job,
    ngx_http_request_t *r, ngx_http_checkout_sql_outcome_e outcome,
    struct sql_result *result)
{
    ngx_uint_t                 i;
    ngx_http_checkout_init_t  *init = job->data;

    if (init->state == NGX_HTTP_CHECKOUT_INIT_COMMIT
        && (outcome == NGX_HTTP_CHECKOUT_SQL_REFUSED
            || outcome == NGX_HTTP_CHECKOUT_SQL_BUSY))
    {
        /* MySQL was not changed */
        ngx_http_checkout_waiting_finish(
            &init->ctx->waiting, ngx_http_checkout_sql_refuse(r, outcome));
        return;
    }

    if (outcome == NGX_HTTP_CHECKOUT_SQL_DONE
        && result->kind == STOCK_INIT_BEHIND)
    {
        ngx_http_checkout_waiting_finish(
            &init->ctx->waiting,
            ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_UNAVAILABLE, NULL,
                                     0));
        return;
    }

    if (outcome != NGX_HTTP_CHECKOUT_SQL_DONE
        || result->kind == STOCK_INIT_GONE)
    {
        ngx_http_checkout_init_failed(init);
        return;
    }

    for (i = 0; i <= STOCK_INIT_OPEN; i++) {
        init->row[i] = result->numbers[i];
    }

    ngx_http_checkout_init_push(init);
}


/* The first words of load.lua, which counts what is in flight by itself. */
static void
ngx_http_checkout_init_begin_load(ngx_http_checkout_script_call_t *call,
    const char *mode)
{
    ngx_http_checkout_init_t  *init = call->data;

    ngx_http_checkout_init_begin_script(call, &checkout_script_load);
    ngx_http_checkout_script_text(mode, ngx_strlen(mode));
    ngx_http_checkout_script_text("checkout-worker",
                                  sizeof("checkout-worker") - 1);
    ngx_http_checkout_script_number(init->init.request.product_id);
}


static ngx_int_t
ngx_http_checkout_init_write_push(ngx_http_checkout_script_call_t *call)
{
    ngx_uint_t                 i;
    ngx_http_checkout_init_t  *init = call->data;

    if (init->recount) {
        ngx_http_checkout_init_begin_load(call, "recount");

    } else {
        ngx_http_checkout_script_begin(&checkout_script_push, call->source, 3);
        ngx_http_checkout_init_product_keys(init, 1);
    }

    for (i = STOCK_INIT_VERSION; i < STOCK_INIT_OPEN; i++) {
        ngx_http_checkout_script_number(init->row[i]);
    }

    if (init->row[STOCK_INIT_OPEN]) {
        ngx_http_checkout_script_text("open", 4);

    } else {
        ngx_http_checkout_script_text("closed", 6);
    }

    if (init->recount) {
        ngx_http_checkout_script_text("-", 1);
    }

    return ngx_http_checkout_script_end(&call->command);
}


static void
ngx_http_checkout_init_push(ngx_http_checkout_init_t *init)
{
    ngx_http_checkout_init_ask_redis(init, NGX_HTTP_CHECKOUT_INIT_PUSH,
                                     ngx_http_checkout_init_write_push);
}


/*
 * push.lua, load.lua: 1 applied, 0 not newer, -1 not loaded, -2 not a hash,
 * -4 has to be counted
 */
static long long
ngx_http_checkout_init_push_result(redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements > 0
                   && reply->element[0]->type == REDIS_REPLY_INTEGER
               ? reply->element[0]->integer
               : -2;
}


static void
ngx_http_checkout_init_not_pushed(ngx_http_checkout_init_t *init,
    long long result)
{
    if (result == -2) {
        ngx_log_error(NGX_LOG_ERR, init->request->connection->log, 0,
                      "checkout: the register of product %uL is no hash",
                      init->init.request.product_id);

    } else if (result == -4) {
        ngx_http_checkout_init_uncounted(init);
        return;
    }

    ngx_http_checkout_init_failed(init);
}


static void
ngx_http_checkout_init_pushed(ngx_http_checkout_init_t *init,
    redisReply *reply)
{
    long long result;

    result = ngx_http_checkout_init_push_result(reply);

    if (result >= 0) {
        ngx_http_checkout_init_show(init);

    } else if (result == -1 && !init->created) {
        ngx_http_checkout_init_create(init);

    } else {
        /* a register that was created and is gone is not created again */
        ngx_http_checkout_init_not_pushed(init, result);
    }
}


/* Version 0, no stock, no terms, closed. */
static ngx_int_t
ngx_http_checkout_init_write_create(ngx_http_checkout_script_call_t *call)
{
    ngx_uint_t  i;

    ngx_http_checkout_init_begin_load(call, "create");

    for (i = STOCK_INIT_VERSION; i < STOCK_INIT_OPEN; i++) {
        ngx_http_checkout_script_text("0", 1);
    }

    ngx_http_checkout_script_text("closed", 6);
    ngx_http_checkout_script_text("-", 1);

    return ngx_http_checkout_script_end(&call->command);
}


static void
ngx_http_checkout_init_create(ngx_http_checkout_init_t *init)
{
    init->created = 1;
    ngx_http_checkout_init_ask_redis(init, NGX_HTTP_CHECKOUT_INIT_CREATE,
                                     ngx_http_checkout_init_write_create);
}


static void
ngx_http_checkout_init_created(ngx_http_checkout_init_t *init,
    redisReply *reply)
{
    long long result;

    result = ngx_http_checkout_init_push_result(reply);

    if (result >= 0) {
        ngx_http_checkout_init_reread(init);

    } else {
        ngx_http_checkout_init_not_pushed(init, result);
    }
}


static void
ngx_http_checkout_init_reread(ngx_http_checkout_init_t *init)
{
    ngx_http_checkout_init_ask_primary(init, NGX_HTTP_CHECKOUT_INIT_REREAD,
                                       stock_init_read);
}


static ngx_int_t
ngx_http_checkout_init_write_show(ngx_http_checkout_script_call_t *call)
{
    ngx_http_checkout_init_t  *init = call->data;

    return ngx_http_checkout_reads_stock(&call->command, call->source,
                                         init->init.request.product_id);
}


static void
ngx_http_checkout_init_show(ngx_http_checkout_init_t *init)
{
    ngx_http_checkout_init_ask_redis(init, NGX_HTTP_CHECKOUT_INIT_SHOW,
                                     ngx_http_checkout_init_write_show);
}


static void
ngx_http_checkout_init_shown(ngx_http_checkout_init_t *init, redisReply *reply)
{
    uint64_t                       redis_stock;
    ngx_http_checkout_loc_conf_t  *clcf;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 5
        || ngx_http_checkout_init_number(reply->element[0], &redis_stock)
               != NGX_OK)
    {
        ngx_http_checkout_init_failed(init);
        return;
    }

    clcf = ngx_http_get_module_loc_conf(init->request,
                                        ngx_http_checkout_module);

    /* a product that was sold out is not refused as such any longer */
    if (clcf->zone != NULL) {
        ngx_http_checkout_marks_set(clcf->zone->shared, clcf->redis->key,
                                    init->init.request.product_id, redis_stock,
                                    ngx_current_msec);
    }

    ngx_http_checkout_waiting_finish(
        &init->ctx->waiting, ngx_http_checkout_init_answer(init, redis_stock));
}


static ngx_int_t
ngx_http_checkout_init_answer(ngx_http_checkout_init_t *init,
    uint64_t redis_stock)
{
    ngx_buf_t           *b;
    ngx_http_request_t  *r;

    r = init->request;
    b = ngx_create_temp_buf(r->pool, 256);

    if (b == NULL || ngx_http_checkout_sticky_set(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_slprintf(
        b->last, b->end,
        "{\"message\":\"%s\",\"product_id\":%uL,\"db_stock\":%uL,\"redis_"
        "stock\":%uL}",
        ngx_http_checkout_english(r) ? NGX_HTTP_CHECKOUT_INIT_ENGLISH
                                     : NGX_HTTP_CHECKOUT_INIT_CHINESE,
        init->init.request.product_id, init->row[STOCK_INIT_STOCK],
        redis_stock);

    ngx_str_set(&init->ctx->status, "set");
    ngx_http_checkout_count_outcome(init->ctx, NGX_HTTP_CHECKOUT_STOCK_SET);

    return ngx_http_checkout_send(r, NGX_HTTP_OK, b);
}
