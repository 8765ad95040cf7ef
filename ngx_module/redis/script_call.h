/*
 * A read from Redis for one request.
 */
#ifndef NGX_HTTP_CHECKOUT_REDIS_SCRIPT_CALL_H
#define NGX_HTTP_CHECKOUT_REDIS_SCRIPT_CALL_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "redis/connection.h"
#include "request/clock.h"
#include "request/context.h"
#include "request/waiting.h"


#define NGX_HTTP_CHECKOUT_LOOKUPS_MAX    16384    /* reads on their way at once */


typedef struct ngx_http_checkout_lookup_s  ngx_http_checkout_lookup_t;

/*
 * Called once in the event loop, unless the request went away; it goes on with the request, or ends it with
 * ngx_http_checkout_finish(). reply: NULL when Redis gave no answer in time, or an error. Both belong to others
 * and end with the call.
 */
typedef void (*ngx_http_checkout_lookup_pt)(ngx_http_checkout_lookup_t *lookup, ngx_http_request_t *r,
    redisReply *reply);

struct ngx_http_checkout_lookup_s {
    ngx_http_checkout_call_t      call;
    ngx_http_checkout_waiting_t  *waiting;     /* the request; NULL once it is answered or gone */
    ngx_http_checkout_redis_t    *redis;

    /* of the maker; write() puts the call together, and is asked again when it has to be sent again */
    ngx_int_t                   (*write)(ngx_http_checkout_lookup_t *lookup);
    ngx_http_checkout_lookup_pt   done;
    void                         *data;        /* may be of the request's pool */
    uint64_t                      product_id;
    char                          identifier[CHECKOUT_IDENTIFIER_LEN];

    unsigned                      source:1;    /* send the script itself */
};

/* NULL: no memory, or too many. Set write and done, then start it. */
ngx_http_checkout_lookup_t *ngx_http_checkout_lookup_create(ngx_http_checkout_redis_t *redis, ngx_log_t *log);

/*
 * NGX_DONE: a step of the request has begun. clock: the time of it, NULL where it is the request's. NGX_ERROR: it
 * could not be sent, done() is not called, and the lookup is gone.
 */
ngx_int_t ngx_http_checkout_lookup_start(ngx_http_checkout_lookup_t *lookup, ngx_http_checkout_waiting_t *waiting,
    ngx_http_checkout_clock_t *clock);


#endif
