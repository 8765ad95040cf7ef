/*
 * One run of a script in Redis, as a step of a request that waits.
 *
 * A call may outlive its request.  It is freed here: with its reply, or when
 * it could be withdrawn.
 */
#include "redis/script_call.h"


static void ngx_http_checkout_script_call_reply(
    ngx_http_checkout_command_t *command, redisReply *reply);
static void ngx_http_checkout_script_call_late(void *data);
static void ngx_http_checkout_script_call_gone(void *data);


static const ngx_http_checkout_step_t  ngx_http_checkout_script_call_step = {
    ngx_http_checkout_script_call_late, ngx_http_checkout_script_call_gone
};

static ngx_uint_t  ngx_http_checkout_nscript_calls;


static void
ngx_http_checkout_script_call_free(ngx_http_checkout_script_call_t *call)
{
    ngx_free(call);
    ngx_http_checkout_nscript_calls--;
}


/* The caller goes on with the request; NULL when it has gone. */
static ngx_http_request_t *
ngx_http_checkout_script_call_take_request(
    ngx_http_checkout_script_call_t *call)
{
    ngx_http_checkout_waiting_t  *waiting;

    waiting = call->waiting;

    if (waiting == NULL) {
        return NULL;
    }

    call->waiting = NULL;
    ngx_http_checkout_waiting_answered(waiting);

    return waiting->request;
}


/* Nobody waits for it any more. */
static void
ngx_http_checkout_script_call_gone(void *data)
{
    ngx_http_checkout_script_call_t  *call = data;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "checkout script call: its request goes away, to redis %V",
                   &call->redis->settings.server->name);

    call->waiting = NULL;

    if (ngx_http_checkout_redis_withdraw(&call->command) == NGX_OK) {
        ngx_http_checkout_script_call_free(call);
    }
}


static void
ngx_http_checkout_script_call_late(void *data)
{
    ngx_http_checkout_script_call_t  *call = data;

    ngx_int_t            withdrawn;
    ngx_http_request_t  *r;

    r = ngx_http_checkout_script_call_take_request(call);
    withdrawn = ngx_http_checkout_redis_withdraw(&call->command);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "checkout script call: %s, to redis %V",
                   withdrawn == NGX_OK ? "withdrawn" : "given up",
                   &call->redis->settings.server->name);

    call->done(call, r, NULL);

    if (withdrawn == NGX_OK) {
        ngx_http_checkout_script_call_free(call);
    }
}


/* The first time, or again. */
static ngx_int_t
ngx_http_checkout_script_call_send(ngx_http_checkout_script_call_t *call)
{
    if (call->write(call) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "checkout script call: sent%s, to redis %V",
                   call->source ? " with its source" : "",
                   &call->redis->settings.server->name);

    ngx_http_checkout_redis_send(call->redis, &call->command);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_checkout_script_call_is_to_repeat(
    ngx_http_checkout_script_call_t *call, redisReply *reply)
{
    if (call->waiting == NULL) {
        return 0;
    }

    if (reply == NULL) {
        return 1;
    }

    if (!call->source && ngx_http_checkout_reply_is_error(reply, "NOSCRIPT")) {
        call->source = 1;
        return 1;
    }

    return 0;
}


static void
ngx_http_checkout_script_call_reply(ngx_http_checkout_command_t *command,
    redisReply *reply)
{
    ngx_http_request_t               *r;
    ngx_http_checkout_script_call_t  *call;

    call = ngx_queue_data(command, ngx_http_checkout_script_call_t, command);

    if (ngx_http_checkout_script_call_is_to_repeat(call, reply)
        && ngx_http_checkout_script_call_send(call) == NGX_OK)
    {
        return;
    }

    r = ngx_http_checkout_script_call_take_request(call);

    if (r == NULL) {
        ngx_http_checkout_script_call_free(call);
        return;
    }

    if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "checkout: Redis %V did not answer a read: %s",
                      &call->redis->settings.server->name,
                      reply ? reply->str : "connection lost");
        reply = NULL;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "checkout script call: %s, by redis %V",
                   reply ? "answered" : "failed",
                   &call->redis->settings.server->name);

    call->done(call, r, reply);

    ngx_http_checkout_script_call_free(call);
}


ngx_http_checkout_script_call_t *
ngx_http_checkout_script_call_create(ngx_http_checkout_redis_t *redis,
    ngx_log_t *log)
{
    ngx_http_checkout_script_call_t  *call;

    if (ngx_http_checkout_nscript_calls == NGX_HTTP_CHECKOUT_SCRIPT_CALLS_MAX)
    {
        return NULL;
    }

    call = ngx_calloc(sizeof(ngx_http_checkout_script_call_t), log);

    if (call == NULL) {
        return NULL;
    }

    ngx_http_checkout_nscript_calls++;

    call->command.handler = ngx_http_checkout_script_call_reply;
    call->redis = redis;

    return call;
}


ngx_int_t
ngx_http_checkout_script_call_start(ngx_http_checkout_script_call_t *call,
    ngx_http_checkout_waiting_t *waiting, ngx_http_checkout_clock_t *clock)
{
    if (ngx_http_checkout_script_call_send(call) != NGX_OK) {
        ngx_http_checkout_script_call_free(call);
        return NGX_ERROR;
    }

    call->waiting = waiting;
    ngx_http_checkout_waiting_ask(waiting, &ngx_http_checkout_script_call_step,
                                  call, clock);

    return NGX_DONE;
}
