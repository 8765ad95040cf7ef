/*
 * The gate: orders that arrive in one cycle of the event loop leave as one
 * call of place_order.lua.
 *
 * Nothing here blocks.  All of it belongs to the event loop.
 *
 * A client that leaves while its order waits here changes nothing for the
 * order: it is sent and, where units are left, sold; nobody gets the verdict.
 * The order keeps the time that its request had left.  When that time runs out
 * before Redis got a byte of the order, the order is taken back, with or
 * without a request; after that byte it stands.
 *
 * The gate copies an order and owns the copy, also after the request has gone.
 * The copy ends with the verdict, or when the order is taken back.  Where the
 * time ran out too late for that, it ends with the reply to its batch, or when
 * the connection is lost.  It goes to a free list; gate_exit() frees the list.
 */
#ifndef NGX_HTTP_CHECKOUT_GATE_QUEUE_H
#define NGX_HTTP_CHECKOUT_GATE_QUEUE_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "order/order.h"
#include "order/verdict.h"
#include "redis/connection.h"
#include "request/waiting.h"
#include "stats/counters.h"


#define NGX_HTTP_CHECKOUT_ORDERS_MAX  65536 /* in one worker process */

/*
 * Batches of a connection on their way at once.  Others gather meanwhile: a
 * call costs Redis more than an order in it.
 */
#define NGX_HTTP_CHECKOUT_BATCHES_MAX  2


/* What there is beside enum checkout_verdict_kind. */
#define NGX_HTTP_CHECKOUT_VERDICT_UNKNOWN \
    CHECKOUT_VERDICT_NONE /* it may have been placed */
#define NGX_HTTP_CHECKOUT_VERDICT_UNAVAILABLE \
    CHECKOUT_VERDICTS /* it was not placed */
#define NGX_HTTP_CHECKOUT_VERDICTS  (CHECKOUT_VERDICTS + 1)

/*
 * What became of an order.  It ends when the handler returns.  Which outcome
 * (request/outcome.h) the client gets for each kind is the table
 * ngx_http_checkout_order_outcomes in handlers/place_order.c.
 */
typedef struct {
    ngx_uint_t   kind;        /* see above */
    uint64_t     number;      /* as in struct checkout_verdict */
    ngx_str_t    status;      /* of KNOWN; else empty */
    const char  *identifier;  /* CHECKOUT_IDENTIFIER_LEN */
    /* orders in the call that decided it; 0: it was in none */
    ngx_uint_t   batch;
} ngx_http_checkout_verdict_t;

/* Called once, unless the request went away.  It may free the request. */
typedef void (*ngx_http_checkout_verdict_pt)(
   ngx_http_request_t *r, const ngx_http_checkout_verdict_t *verdict);

typedef struct {
    /* of the configuration */
    ngx_http_checkout_redis_t   *redis;
    ngx_http_checkout_zone_t    *zone;         /* for marks; NULL: none */
    ngx_uint_t                   queue_limit;  /* orders */

    /* of queue.c */
    /* orders that are in no batch, oldest first */
    ngx_queue_t                  pending;
    ngx_event_t                  flush;  /* posted by the first of them */
    ngx_http_checkout_waiter_t   waiter;
    /* second of the last error that was logged */
    time_t                       logged;
    /* the next call carries the script itself */
    unsigned                     source:1;
} ngx_http_checkout_gate_t;


/* At the start of a worker process, once its connection is initialized. */
void ngx_http_checkout_gate_init(ngx_http_checkout_gate_t *gate);

/*
 * At its end: frees the orders that are pending, which get no verdict, and the
 * free lists.  What is in a batch on its way is left to the process's end.
 */
void ngx_http_checkout_gate_exit(ngx_http_checkout_gate_t *gate);

/*
 * NGX_OK: a step of the request has begun.  handler() is called later, never
 * from within, and not at all where the request goes away before.  When the
 * request's time runs out, the verdict is UNAVAILABLE where the order could be
 * taken back and no earlier call may have placed it, else UNKNOWN.
 *
 * NGX_ERROR: it was not taken: too many wait, no memory, no random bytes.
 *
 * key: the Idempotency-Key, empty: none.
 */
ngx_int_t ngx_http_checkout_gate_submit(ngx_http_checkout_gate_t *gate,
    ngx_http_checkout_waiting_t *waiting, const struct checkout_order *order,
    const ngx_str_t *key, ngx_http_checkout_verdict_pt handler);


#endif
