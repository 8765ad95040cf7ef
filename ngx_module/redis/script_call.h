/*
 * One run of a script in Redis, as a step of a request that waits.
 *
 * The script writes nothing, or does no harm when it runs twice: after a lost
 * connection it is sent again while there is time.
 *
 * Who frees: script_call.c frees the call, once done() has returned and Redis
 * has answered, or its connection was lost, or the command could be withdrawn;
 * the request may be long gone then.  The connection frees reply and text
 * (redis/command.h).
 */
#ifndef NGX_HTTP_CHECKOUT_REDIS_SCRIPT_CALL_H
#define NGX_HTTP_CHECKOUT_REDIS_SCRIPT_CALL_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "order/identifier.h"
#include "redis/connection.h"
#include "request/clock.h"
#include "request/waiting.h"


#define NGX_HTTP_CHECKOUT_SCRIPT_CALLS_MAX  16384 /* on their way at once */


typedef struct ngx_http_checkout_script_call_s  ngx_http_checkout_script_call_t;

/*
 * Puts the call together, from script_begin() to script_end(&call->command).
 * It is asked again when the call is sent again.  NGX_OK, or NGX_ERROR.
 */
typedef ngx_int_t (*ngx_http_checkout_script_write_pt)(
   ngx_http_checkout_script_call_t *call);

/*
 * The step is over.  Called once in the event loop, unless the request went
 * away; it begins the next step, or ends with
 * ngx_http_checkout_waiting_finish(). reply: NULL when Redis gave no answer in
 * time, or an error.  Call and reply are not to be used once this has
 * returned, and are freed elsewhere.
 */
typedef void (*ngx_http_checkout_script_done_pt)(
   ngx_http_checkout_script_call_t *call, ngx_http_request_t *r,
   redisReply *reply);

struct ngx_http_checkout_script_call_s {
    /* of the caller */
    ngx_http_checkout_script_write_pt   write;
    ngx_http_checkout_script_done_pt    done;
    /* may be of the request's pool */
    void                               *data;
    uint64_t                            product_id;
    char                                identifier[CHECKOUT_IDENTIFIER_LEN];

    /* for write() */
    ngx_http_checkout_command_t         command;
    unsigned                            source:1;  /* send the script itself */

    /* of script_call.c */
    ngx_http_checkout_redis_t          *redis;
    ngx_http_checkout_waiting_t        *waiting;  /* NULL: answered, or gone */
};


/*
 * A zeroed call.  NULL: no memory, or too many are on their way.  Set write
 * and done; then start it, it cannot be given back otherwise.
 */
ngx_http_checkout_script_call_t *ngx_http_checkout_script_call_create(
    ngx_http_checkout_redis_t *redis, ngx_log_t *log);

/*
 * NGX_DONE: a step of the request has begun, and done() is called later, never
 * from within.  NGX_ERROR: it could not be put together, and is freed.  clock:
 * the time of the step; NULL: as much as the request has.
 */
ngx_int_t ngx_http_checkout_script_call_start(
    ngx_http_checkout_script_call_t *call,
    ngx_http_checkout_waiting_t *waiting, ngx_http_checkout_clock_t *clock);


#endif
