/*
 * The gate: orders that arrive in one turn of the event loop leave as one script call.
 */
#ifndef NGX_HTTP_CHECKOUT_GATE_QUEUE_H
#define NGX_HTTP_CHECKOUT_GATE_QUEUE_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "order/order.h"
#include "order/verdict.h"
#include "redis/connection.h"
#include "request/clock.h"
#include "request/context.h"
#include "request/waiting.h"
#include "request/outcome.h"


#define NGX_HTTP_CHECKOUT_BATCH_ORDERS   256      /* orders in one script call */
#define NGX_HTTP_CHECKOUT_BATCH_GROUPS   64       /* products in one script call */
#define NGX_HTTP_CHECKOUT_ORDERS_MAX     65536    /* orders that one worker process holds */
#define NGX_HTTP_CHECKOUT_CALLS_MAX      2        /* batches on their way at once: orders gather meanwhile, and a call costs more than an order */


typedef enum {
    NGX_HTTP_CHECKOUT_ACCEPTED,      /* code: QUEUED, or KNOWN, and status as in the record */
    NGX_HTTP_CHECKOUT_OVER_QUANTITY, /* number: the most that one order may have */
    NGX_HTTP_CHECKOUT_REFUSED        /* code, and number: units left, or ms to wait */
} ngx_http_checkout_verdict_e;

typedef struct {
    ngx_http_checkout_verdict_e  kind;
    ngx_http_checkout_outcome_e     code;
    uint64_t                     number;
    ngx_str_t                    status;
} ngx_http_checkout_verdict_t;

typedef struct {
    ngx_http_checkout_redis_t   *redis;
    ngx_http_checkout_zone_t    *zone;       /* NULL: none */
    ngx_uint_t                   queue_limit;

    ngx_queue_t                  pending;    /* orders not in a batch, oldest first */
    ngx_event_t                  flush;      /* posted by the first order of a turn */
    ngx_http_checkout_waiter_t   waiter;
    time_t                       logged;     /* second of the last error that was logged */

    unsigned                     source:1;   /* the next call carries the script itself */
} ngx_http_checkout_gate_t;

void ngx_http_checkout_order_answer(ngx_http_checkout_ctx_t *ctx, const ngx_http_checkout_verdict_t *verdict);

void ngx_http_checkout_gate_init(ngx_http_checkout_gate_t *gate);
void ngx_http_checkout_gate_exit(ngx_http_checkout_gate_t *gate);
ngx_int_t ngx_http_checkout_gate_submit(ngx_http_checkout_gate_t *gate, ngx_http_checkout_ctx_t *ctx,
    const struct checkout_order *order);


#endif
