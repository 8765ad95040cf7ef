/*
 * GET get-redis-stock: the live stock of a product, as the gate has it.
 */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "conf/conf.h"
#include "handlers/handlers.h"
#include "redis/script_call.h"
#include "redis/reads.h"
#include "request/context.h"
#include "request/outcome.h"
#include "request/read.h"
#include "request/response.h"
#include "order/order.h"
#include "text/number.h"
#include <hiredis/hiredis.h>


static ngx_int_t
ngx_http_checkout_stock_write(ngx_http_checkout_script_call_t *call)
{
    return ngx_http_checkout_reads_stock(&call->command, call->source,
                                         call->product_id);
}


/*
 * A count as Redis holds it, "null" where it holds none. NGX_ERROR when it is
 * no count.
 */
static ngx_int_t
ngx_http_checkout_stock_count(redisReply *reply, ngx_str_t *text)
{
    uint64_t  value;

    if (reply->type == REDIS_REPLY_NIL) {
        ngx_str_set(text, "null");
        return NGX_OK;
    }

    if (reply->type != REDIS_REPLY_STRING
        || number_parse(&value, reply->str, reply->len, INT64_MAX) != 0)
    {
        return NGX_ERROR;
    }

    text->data = (u_char *) reply->str;
    text->len = reply->len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_checkout_stock_answer(ngx_http_checkout_script_call_t *call,
    ngx_http_request_t *r, redisReply *reply)
{
    ngx_buf_t   *b;
    ngx_str_t    stock, units, in_flight;
    ngx_uint_t   loaded;

    if (reply == NULL) {
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_UNAVAILABLE, NULL,
                                        0);
    }

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 5
        || ngx_http_checkout_stock_count(reply->element[0], &stock) != NGX_OK
        || ngx_http_checkout_stock_count(reply->element[1], &units) != NGX_OK
        || ngx_http_checkout_stock_count(reply->element[2], &in_flight)
               != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "checkout: the stock of product %uL is no number",
                      call->product_id);
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_UNAVAILABLE, NULL,
                                        0);
    }

    if (reply->element[0]->type == REDIS_REPLY_NIL
        && reply->element[1]->type == REDIS_REPLY_NIL)
    {
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_STOCK_NOT_FOUND,
                                        NULL, 0);
    }

    b = ngx_create_temp_buf(r->pool, 256);

    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    loaded = reply->element[0]->type != REDIS_REPLY_NIL
             && reply->element[1]->type != REDIS_REPLY_NIL;

    b->last = ngx_slprintf(
        b->last, b->end,
        "{\"product_id\":%uL,\"redis_stock\":%V,\"in_"
        "flight\":%V,\"loaded\":%s}",
        call->product_id, &stock, &in_flight, loaded ? "true" : "false");

    return ngx_http_checkout_read_found(r, b, (u_char *) "found", 5);
}


static void
ngx_http_checkout_stock_done(ngx_http_checkout_script_call_t *call,
    ngx_http_request_t *r, redisReply *reply)
{
    ngx_http_checkout_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_checkout_module);
    ngx_http_checkout_waiting_finish(
        &ctx->waiting, ngx_http_checkout_stock_answer(call, r, reply));
}


ngx_int_t
ngx_http_checkout_stock_handler(ngx_http_request_t *r)
{
    uint64_t                          product_id;
    ngx_int_t                         rc;
    ngx_str_t                         value;
    ngx_http_checkout_ctx_t          *ctx;
    ngx_http_checkout_script_call_t  *call;
    ngx_http_checkout_loc_conf_t     *clcf;

    rc = ngx_http_checkout_read_begin(r, &value);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (number_parse(&product_id, (char *) value.data, value.len, INT64_MAX)
        != 0)
    {
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_STOCK_NOT_FOUND,
                                        NULL, 0);
    }

    clcf = ngx_http_checkout_location(r);
    call = ngx_http_checkout_script_call_create(clcf->redis,
                                                r->connection->log);

    if (call == NULL) {
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_UNAVAILABLE, NULL,
                                        0);
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_checkout_module);
    ctx->product_id = product_id;

    call->write = ngx_http_checkout_stock_write;
    call->done = ngx_http_checkout_stock_done;
    call->product_id = product_id;

    if (ngx_http_checkout_script_call_start(call, &ctx->waiting, NULL)
        != NGX_DONE)
    {
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_UNAVAILABLE, NULL,
                                        0);
    }

    return ngx_http_checkout_waiting_begin(&ctx->waiting, clcf->clock);
}
