/*
 * Reads from the gate: the record of an order, the live stock of a product; and health, which asks nobody.
 *
 * A lookup is a call with its clock. It outlives its request and is freed here: with its reply, or when it
 * could be withdrawn. It writes nothing, so after a lost connection it is sent again while its clock runs.
 */
#include "ngx_http_checkout.h"


typedef struct ngx_http_checkout_lookup_s  ngx_http_checkout_lookup_t;

struct ngx_http_checkout_lookup_s {
    ngx_http_checkout_call_t       call;
    ngx_http_checkout_alarm_t      alarm;
    ngx_http_request_t            *request;     /* NULL once it is answered or gone */
    ngx_http_checkout_ctx_t       *ctx;         /* of the request */
    ngx_http_checkout_redis_t     *redis;
    ngx_http_checkout_clock_t     *clock;

    ngx_int_t                    (*write)(ngx_http_checkout_lookup_t *lookup);
    ngx_int_t                    (*answer)(ngx_http_checkout_lookup_t *lookup, ngx_http_request_t *r,
                                           redisReply *reply);

    uint64_t                       product_id;
    char                           identifier[CHECKOUT_IDENTIFIER_LEN];
    unsigned                       source:1;    /* send the script itself */
};


static ngx_uint_t  ngx_http_checkout_nlookups;


static void ngx_http_checkout_lookup_reply(ngx_http_checkout_call_t *call, redisReply *reply);


static void
ngx_http_checkout_lookup_free(ngx_http_checkout_lookup_t *lookup)
{
    ngx_http_checkout_clock_stop(lookup->clock, &lookup->alarm);
    ngx_free(lookup);
    ngx_http_checkout_nlookups--;
}


/* The request is answered by the caller from now on; NULL when it has gone. */
static ngx_http_request_t *
ngx_http_checkout_lookup_take_request(ngx_http_checkout_lookup_t *lookup)
{
    ngx_http_request_t  *r;

    r = lookup->request;

    if (r != NULL) {
        lookup->request = NULL;
        lookup->ctx->detach = NULL;
    }

    return r;
}


static void
ngx_http_checkout_lookup_detach(void *data)
{
    ngx_http_checkout_lookup_t  *lookup = data;

    lookup->request = NULL;
}


static void
ngx_http_checkout_lookup_unavailable(ngx_http_request_t *r)
{
    if (r != NULL) {
        ngx_http_checkout_finish(r, ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_UNAVAILABLE, NULL, 0));
    }
}


static void
ngx_http_checkout_lookup_expire(ngx_http_checkout_alarm_t *alarm)
{
    ngx_http_request_t          *r;
    ngx_http_checkout_lookup_t  *lookup;

    ngx_http_checkout_count(timeouts, 1);

    lookup = (ngx_http_checkout_lookup_t *) ((u_char *) alarm - offsetof(ngx_http_checkout_lookup_t, alarm));
    r = ngx_http_checkout_lookup_take_request(lookup);

    if (ngx_http_checkout_redis_withdraw(&lookup->call) == NGX_OK) {
        ngx_http_checkout_lookup_free(lookup);
    }

    ngx_http_checkout_lookup_unavailable(r);
}


/* Sends the lookup, or sends it again. */
static ngx_int_t
ngx_http_checkout_lookup_send(ngx_http_checkout_lookup_t *lookup)
{
    if (lookup->write(lookup) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_checkout_redis_call(lookup->redis, &lookup->call);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_checkout_lookup_again(ngx_http_checkout_lookup_t *lookup, redisReply *reply)
{
    if (lookup->request == NULL) {
        return 0;
    }

    if (reply == NULL) {
        return 1;
    }

    if (!lookup->source && ngx_http_checkout_redis_error_is(reply, "NOSCRIPT")) {
        lookup->source = 1;
        return 1;
    }

    return 0;
}


static void
ngx_http_checkout_lookup_reply(ngx_http_checkout_call_t *call, redisReply *reply)
{
    ngx_http_request_t          *r;
    ngx_http_checkout_lookup_t  *lookup;

    lookup = (ngx_http_checkout_lookup_t *) call;

    if (ngx_http_checkout_lookup_again(lookup, reply) && ngx_http_checkout_lookup_send(lookup) == NGX_OK) {
        return;
    }

    r = ngx_http_checkout_lookup_take_request(lookup);

    if (r == NULL) {
        ngx_http_checkout_lookup_free(lookup);
        return;
    }

    if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "checkout: Redis %V did not answer a read: %s",
                      &lookup->redis->server->name, reply ? reply->str : "connection lost");
        ngx_http_checkout_lookup_unavailable(r);

    } else {
        ngx_http_checkout_finish(r, lookup->answer(lookup, r, reply));
    }

    ngx_http_checkout_lookup_free(lookup);
}


static ngx_http_checkout_lookup_t *
ngx_http_checkout_lookup_create(ngx_http_request_t *r)
{
    ngx_http_checkout_ctx_t       *ctx;
    ngx_http_checkout_lookup_t    *lookup;
    ngx_http_checkout_loc_conf_t  *clcf;

    if (ngx_http_checkout_nlookups == NGX_HTTP_CHECKOUT_LOOKUPS_MAX) {
        return NULL;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_checkout_module);

    lookup = ngx_calloc(sizeof(ngx_http_checkout_lookup_t), r->connection->log);

    if (lookup == NULL) {
        return NULL;
    }

    ngx_http_checkout_nlookups++;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_checkout_module);

    ctx->detach = ngx_http_checkout_lookup_detach;
    ctx->worker = lookup;

    lookup->call.handler = ngx_http_checkout_lookup_reply;
    lookup->alarm.handler = ngx_http_checkout_lookup_expire;
    lookup->request = r;
    lookup->ctx = ctx;
    lookup->redis = clcf->redis;
    lookup->clock = clcf->clock;

    return lookup;
}


/* Makes the request wait for the lookup; NULL stands for no memory or no room. */
static ngx_int_t
ngx_http_checkout_lookup_start(ngx_http_request_t *r, ngx_http_checkout_lookup_t *lookup)
{
    if (lookup == NULL) {
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_UNAVAILABLE, NULL, 0);
    }

    if (ngx_http_checkout_lookup_send(lookup) != NGX_OK) {
        (void) ngx_http_checkout_lookup_take_request(lookup);
        ngx_http_checkout_lookup_free(lookup);
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_UNAVAILABLE, NULL, 0);
    }

    ngx_http_checkout_clock_start(lookup->clock, &lookup->alarm);
    r->main->count++;

    return NGX_DONE;
}


/* NGX_DECLINED: the method is one that reads, and the body, if there is one, is passed over. Else the answer is given. */
static ngx_int_t
ngx_http_checkout_status_method(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_checkout_refuse_method(r, "GET, HEAD");
    }

    rc = ngx_http_discard_request_body(r);

    return rc == NGX_OK ? NGX_DECLINED : rc;
}


/* NGX_DECLINED, and the value of the directive's argument; else the answer is given. */
static ngx_int_t
ngx_http_checkout_status_begin(ngx_http_request_t *r, ngx_str_t *value)
{
    ngx_int_t                      rc;
    ngx_http_checkout_ctx_t       *ctx;
    ngx_http_checkout_loc_conf_t  *clcf;

    ctx = ngx_http_checkout_ctx_create(r);

    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->read = 1;

    rc = ngx_http_checkout_status_method(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_checkout_module);

    if (ngx_http_complex_value(r, clcf->value, value) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_checkout_status_found(ngx_http_request_t *r, ngx_buf_t *b, u_char *status, size_t len)
{
    ngx_http_checkout_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_checkout_module);

    if (ctx != NULL) {
        ctx->status.data = status;
        ctx->status.len = len;
        ngx_http_checkout_count(reads[NGX_HTTP_CHECKOUT_FOUND], 1);
    }

    return ngx_http_checkout_send(r, NGX_HTTP_OK, b);
}


static ngx_int_t
ngx_http_checkout_status_write(ngx_http_checkout_lookup_t *lookup)
{
    char         today[CHECKOUT_DAY_LEN], yesterday[CHECKOUT_DAY_LEN];
    uint64_t     now;
    ngx_time_t  *tp;

    tp = ngx_timeofday();
    now = (uint64_t) tp->sec * 1000;

    checkout_day(today, now);
    checkout_day(yesterday, now - 86400000);

    ngx_http_checkout_script_begin(&checkout_script_find_order, lookup->source, 2);
    ngx_http_checkout_script_key("orders:", today, CHECKOUT_DAY_LEN, "");
    ngx_http_checkout_script_key("orders:", yesterday, CHECKOUT_DAY_LEN, "");
    ngx_http_checkout_script_text(lookup->identifier, CHECKOUT_IDENTIFIER_LEN);

    return ngx_http_checkout_script_end(&lookup->call);
}


static ngx_int_t
ngx_http_checkout_status_answer(ngx_http_checkout_lookup_t *lookup, ngx_http_request_t *r, redisReply *reply)
{
    u_char                  *status;
    ngx_buf_t               *b;
    const char              *quote;
    struct checkout_record   record;

    if (reply->type == REDIS_REPLY_NIL) {
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_ORDER_NOT_FOUND, NULL, 0);
    }

    if (reply->type != REDIS_REPLY_STRING || checkout_record_parse(&record, reply->str, reply->len) != 0) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "checkout: order %*s has a record that is none",
                      (size_t) CHECKOUT_IDENTIFIER_LEN, lookup->identifier);
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_UNAVAILABLE, NULL, 0);
    }

    /* The orders of others are nobody's business. */
    if (lookup->ctx->user_id && lookup->ctx->user_id != record.order.user_id) {
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_ORDER_NOT_FOUND, NULL, 0);
    }

    b = ngx_create_temp_buf(r->pool, 512);

    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memcpy(lookup->ctx->identifier, lookup->identifier, CHECKOUT_IDENTIFIER_LEN);
    lookup->ctx->product_id = record.order.product_id;

    quote = record.reason_len ? "\"" : "";

    b->last = ngx_slprintf(b->last, b->end,
                           "{\"data\":{\"order_identifier\":\"%*s\",\"status\":\"%*s\",\"user_id\":%uL,"
                           "\"items\":[{\"product_id\":%uL,\"quantity\":%uD}],\"failure_code\":%s%*s%s,"
                           "\"total_price\":null,\"pay_by\":null}}",
                           (size_t) CHECKOUT_IDENTIFIER_LEN, lookup->identifier, record.status_len, record.status,
                           record.order.user_id, record.order.product_id, record.order.quantity,
                           quote, record.reason_len ? record.reason_len : 4,
                           record.reason_len ? record.reason : "null", quote);

    status = b->pos + sizeof("{\"data\":{\"order_identifier\":\"\",\"status\":\"") - 1 + CHECKOUT_IDENTIFIER_LEN;

    return ngx_http_checkout_status_found(r, b, status, record.status_len);
}


ngx_int_t
ngx_http_checkout_status_handler(ngx_http_request_t *r)
{
    uint64_t                     user_id;
    ngx_int_t                    rc;
    ngx_str_t                    value;
    ngx_http_checkout_lookup_t  *lookup;

    rc = ngx_http_checkout_status_begin(r, &value);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    rc = ngx_http_checkout_user(r, &user_id);

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_UNAUTHORIZED, NULL, 0)
                                  : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (checkout_identifier_check((char *) value.data, value.len) != 0) {
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_ORDER_NOT_FOUND, NULL, 0);
    }

    lookup = ngx_http_checkout_lookup_create(r);

    if (lookup != NULL) {
        lookup->write = ngx_http_checkout_status_write;
        lookup->answer = ngx_http_checkout_status_answer;
        lookup->ctx->user_id = user_id;
        ngx_memcpy(lookup->identifier, value.data, CHECKOUT_IDENTIFIER_LEN);
    }

    return ngx_http_checkout_lookup_start(r, lookup);
}


static ngx_int_t
ngx_http_checkout_stock_write(ngx_http_checkout_lookup_t *lookup)
{
    char    id[20];
    size_t  len;

    len = checkout_uint_write(id, lookup->product_id) - id;

    ngx_http_checkout_script_begin(&checkout_script_get_stock, lookup->source, 2);
    ngx_http_checkout_script_key("product:", id, len, ":stock");
    ngx_http_checkout_script_key("product:", id, len, ":register");

    return ngx_http_checkout_script_end(&lookup->call);
}


/* A count as Redis holds it, "null" where it holds none. NGX_ERROR when it is no count. */
static ngx_int_t
ngx_http_checkout_stock_count(redisReply *reply, ngx_str_t *text)
{
    uint64_t  value;

    if (reply->type == REDIS_REPLY_NIL) {
        ngx_str_set(text, "null");
        return NGX_OK;
    }

    if (reply->type != REDIS_REPLY_STRING || checkout_uint_parse(&value, reply->str, reply->len, INT64_MAX) != 0) {
        return NGX_ERROR;
    }

    text->data = (u_char *) reply->str;
    text->len = reply->len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_checkout_stock_answer(ngx_http_checkout_lookup_t *lookup, ngx_http_request_t *r, redisReply *reply)
{
    ngx_buf_t   *b;
    ngx_str_t    stock, units, in_flight;
    ngx_uint_t   loaded;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3
        || ngx_http_checkout_stock_count(reply->element[0], &stock) != NGX_OK
        || ngx_http_checkout_stock_count(reply->element[1], &units) != NGX_OK
        || ngx_http_checkout_stock_count(reply->element[2], &in_flight) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "checkout: the stock of product %uL is no number",
                      lookup->product_id);
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_UNAVAILABLE, NULL, 0);
    }

    if (reply->element[0]->type == REDIS_REPLY_NIL && reply->element[1]->type == REDIS_REPLY_NIL) {
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_UNKNOWN_STOCK, NULL, 0);
    }

    b = ngx_create_temp_buf(r->pool, 256);

    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    loaded = reply->element[0]->type != REDIS_REPLY_NIL && reply->element[1]->type != REDIS_REPLY_NIL;

    b->last = ngx_slprintf(b->last, b->end,
                           "{\"product_id\":%uL,\"redis_stock\":%V,\"in_flight\":%V,\"loaded\":%s}",
                           lookup->product_id, &stock, &in_flight, loaded ? "true" : "false");

    return ngx_http_checkout_status_found(r, b, (u_char *) "found", 5);
}


ngx_int_t
ngx_http_checkout_stock_handler(ngx_http_request_t *r)
{
    uint64_t                     product_id;
    ngx_int_t                    rc;
    ngx_str_t                    value;
    ngx_http_checkout_lookup_t  *lookup;

    rc = ngx_http_checkout_status_begin(r, &value);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (checkout_uint_parse(&product_id, (char *) value.data, value.len, INT64_MAX) != 0) {
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_UNKNOWN_STOCK, NULL, 0);
    }

    lookup = ngx_http_checkout_lookup_create(r);

    if (lookup != NULL) {
        lookup->write = ngx_http_checkout_stock_write;
        lookup->answer = ngx_http_checkout_stock_answer;
        lookup->product_id = product_id;
        lookup->ctx->product_id = product_id;
    }

    return ngx_http_checkout_lookup_start(r, lookup);
}


/* The process runs and answers; what else is up is asked elsewhere. */
ngx_int_t
ngx_http_checkout_health_handler(ngx_http_request_t *r)
{
    ngx_int_t          rc;
    ngx_buf_t         *b;
    static const char  text[] = "{\"status\":\"ok\"}";

    rc = ngx_http_checkout_status_method(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    b = ngx_calloc_buf(r->pool);

    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->pos = (u_char *) text;
    b->last = b->pos + sizeof(text) - 1;
    b->memory = 1;

    return ngx_http_checkout_send(r, NGX_HTTP_OK, b);
}
