/*
 * The asking of Redis for one request.
 *
 * A lookup is a call with its clock. It outlives its request and is freed here: with its reply, or when it
 * could be withdrawn. Its script writes nothing, or bears being run again (push, transition), so after a lost connection
 * it is sent again while its clock runs.
 */
#include "redis/script_call.h"

#include "redis/connection.h"
#include "request/clock.h"
#include "request/outcome.h"
#include "request/response.h"
#include "request/context.h"
#include "stats/counters.h"
#include <hiredis/hiredis.h>


static ngx_uint_t  ngx_http_checkout_nlookups;


static void
ngx_http_checkout_lookup_free(ngx_http_checkout_lookup_t *lookup)
{
    ngx_free(lookup);
    ngx_http_checkout_nlookups--;
}


/* The request is answered by the caller from now on; NULL when it has gone. */
static ngx_http_request_t *
ngx_http_checkout_lookup_take_request(ngx_http_checkout_lookup_t *lookup)
{
    ngx_http_checkout_waiting_t  *waiting;

    waiting = lookup->waiting;

    if (waiting == NULL) {
        return NULL;
    }

    lookup->waiting = NULL;
    ngx_http_checkout_waiting_answered(waiting);

    return waiting->request;
}


/* Nobody waits for it any more. */
static void
ngx_http_checkout_lookup_gone(void *data)
{
    ngx_http_checkout_lookup_t  *lookup = data;

    lookup->waiting = NULL;

    if (ngx_http_checkout_redis_withdraw(&lookup->call) == NGX_OK) {
        ngx_http_checkout_lookup_free(lookup);
    }
}


static void
ngx_http_checkout_lookup_late(void *data)
{
    ngx_http_checkout_lookup_t  *lookup = data;

    ngx_int_t            withdrawn;
    ngx_http_request_t  *r;

    r = ngx_http_checkout_lookup_take_request(lookup);
    withdrawn = ngx_http_checkout_redis_withdraw(&lookup->call);

    lookup->done(lookup, r, NULL);

    if (withdrawn == NGX_OK) {
        ngx_http_checkout_lookup_free(lookup);
    }
}


static const ngx_http_checkout_step_t  ngx_http_checkout_lookup_step = {
    ngx_http_checkout_lookup_late,
    ngx_http_checkout_lookup_gone
};


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
    if (lookup->waiting == NULL) {
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
                      &lookup->redis->settings.server->name, reply ? reply->str : "connection lost");
        reply = NULL;
    }

    lookup->done(lookup, r, reply);

    ngx_http_checkout_lookup_free(lookup);
}


ngx_http_checkout_lookup_t *
ngx_http_checkout_lookup_create(ngx_http_checkout_redis_t *redis, ngx_log_t *log)
{
    ngx_http_checkout_lookup_t  *lookup;

    if (ngx_http_checkout_nlookups == NGX_HTTP_CHECKOUT_LOOKUPS_MAX) {
        return NULL;
    }

    lookup = ngx_calloc(sizeof(ngx_http_checkout_lookup_t), log);

    if (lookup == NULL) {
        return NULL;
    }

    ngx_http_checkout_nlookups++;

    lookup->call.handler = ngx_http_checkout_lookup_reply;
    lookup->redis = redis;

    return lookup;
}


ngx_int_t
ngx_http_checkout_lookup_start(ngx_http_checkout_lookup_t *lookup, ngx_http_checkout_waiting_t *waiting,
    ngx_http_checkout_clock_t *clock)
{
    if (ngx_http_checkout_lookup_send(lookup) != NGX_OK) {
        ngx_http_checkout_lookup_free(lookup);
        return NGX_ERROR;
    }

    lookup->waiting = waiting;
    ngx_http_checkout_waiting_ask(waiting, &ngx_http_checkout_lookup_step, lookup, clock);

    return NGX_DONE;
}
