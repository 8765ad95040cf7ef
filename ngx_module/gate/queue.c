/*
 * The gate: orders that arrive in one cycle of the event loop leave as one
 * call of place_order.lua.
 *
 * An order belongs to the gate from submit() on and outlives its request: a
 * client that leaves takes its request away, the order stands.  An order is on
 * the gate's list `pending`, or in one batch.  A batch belongs to the gate
 * from its making until its reply or its loss.  Both are kept on free lists of
 * the process.
 *
 * When an order's time runs out it is taken out of `pending`, or out of a
 * batch of which no byte was written: certainly nothing was deducted.  Else
 * its outcome is unknown, and the order stays in its batch without a request,
 * so that the late reply finds its place.
 *
 * A batch whose connection was lost goes back to `pending`, with its orders
 * marked as sent: place_order.lua then looks for each identifier first, so an
 * order that was placed already is found and not placed twice.
 */
#include "gate/queue.h"

#include "gate/batch.h"
#include "gate/marks.h"
#include "order/identifier.h"
#include "redis/script.h"
#include "request/clock.h"
#include "request/random.h"
#include "stats/assert.h"
#include "stats/histograms.h"


#if (NGX_HTTP_CHECKOUT_SCRIPT_WORDS \
     < NGX_HTTP_CHECKOUT_SCRIPT_HEAD + NGX_HTTP_CHECKOUT_BATCH_WORDS)
#error "a full batch has more words than a script call may have"
#endif


typedef struct ngx_http_checkout_call_s  ngx_http_checkout_call_t;

typedef struct {
    ngx_http_checkout_batch_order_t   part;   /* of its batch */
    ngx_queue_t                       queue;  /* pending, or the free list */
    ngx_http_checkout_gate_t         *gate;
    ngx_http_checkout_call_t         *call;  /* NULL while pending */
    /* its request; NULL once that is answered or gone */
    ngx_http_checkout_waiting_t      *waiting;
    ngx_http_checkout_verdict_pt      handler;
    ngx_http_checkout_alarm_t         alarm;  /* once its request is gone */
    /* its time ran out when it could not be taken back */
    unsigned                          expired:1;
} ngx_http_checkout_order_t;

/* A batch on its way. */
struct ngx_http_checkout_call_s {
    ngx_http_checkout_command_t   command;
    ngx_queue_t                   queue;  /* the free list */
    ngx_http_checkout_gate_t     *gate;
    ngx_msec_t                    sent;  /* ngx_current_msec */
    uint64_t                      sent_us;
    unsigned                      source:1;  /* it carries the script itself */
    ngx_http_checkout_batch_t     batch;
};


static void ngx_http_checkout_gate_flush(ngx_event_t *ev);
static void ngx_http_checkout_gate_ready(ngx_http_checkout_waiter_t *waiter);
static void ngx_http_checkout_gate_reply(ngx_http_checkout_command_t *command,
    redisReply *reply);
static void ngx_http_checkout_order_late(void *data);
static void ngx_http_checkout_order_gone(void *data);
static void ngx_http_checkout_order_expire(ngx_http_checkout_alarm_t *alarm);


static const ngx_http_checkout_step_t  ngx_http_checkout_order_step = {
    ngx_http_checkout_order_late, ngx_http_checkout_order_gone
};

static const ngx_http_checkout_batch_writer_t  ngx_http_checkout_writer = {
    ngx_http_checkout_script_key, ngx_http_checkout_script_text,
    ngx_http_checkout_script_number, ngx_http_checkout_script_space,
    ngx_http_checkout_script_take
};

static const struct checkout_verdict  ngx_http_checkout_unavailable = {
    .kind = NGX_HTTP_CHECKOUT_VERDICT_UNAVAILABLE
};

static const struct checkout_verdict  ngx_http_checkout_unknown = {
    .kind = NGX_HTTP_CHECKOUT_VERDICT_UNKNOWN
};

static ngx_queue_t  ngx_http_checkout_free_orders;
static ngx_queue_t  ngx_http_checkout_free_calls;
static ngx_uint_t   ngx_http_checkout_norders;  /* that are not free */


void
ngx_http_checkout_gate_init(ngx_http_checkout_gate_t *gate)
{
    if (ngx_http_checkout_free_orders.next == NULL) {
        ngx_queue_init(&ngx_http_checkout_free_orders);
        ngx_queue_init(&ngx_http_checkout_free_calls);
    }

    ngx_queue_init(&gate->pending);

    gate->flush.handler = ngx_http_checkout_gate_flush;
    gate->flush.data = gate;
    gate->flush.log = ngx_cycle->log;

    gate->waiter.handler = ngx_http_checkout_gate_ready;
}


void
ngx_http_checkout_gate_exit(ngx_http_checkout_gate_t *gate)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&gate->pending)) {
        q = ngx_queue_head(&gate->pending);
        ngx_queue_remove(q);
        ngx_free(ngx_queue_data(q, ngx_http_checkout_order_t, queue));
    }

    while (!ngx_queue_empty(&ngx_http_checkout_free_orders)) {
        q = ngx_queue_head(&ngx_http_checkout_free_orders);
        ngx_queue_remove(q);
        ngx_free(ngx_queue_data(q, ngx_http_checkout_order_t, queue));
    }

    while (!ngx_queue_empty(&ngx_http_checkout_free_calls)) {
        q = ngx_queue_head(&ngx_http_checkout_free_calls);
        ngx_queue_remove(q);
        ngx_free(ngx_queue_data(q, ngx_http_checkout_call_t, queue));
    }
}


static ngx_http_checkout_order_t *
ngx_http_checkout_order_alloc(void)
{
    ngx_queue_t                *q;
    ngx_http_checkout_order_t  *o;

    if (ngx_http_checkout_norders == NGX_HTTP_CHECKOUT_ORDERS_MAX) {
        return NULL;
    }

    if (ngx_queue_empty(&ngx_http_checkout_free_orders)) {
        o = ngx_alloc(sizeof(ngx_http_checkout_order_t), ngx_cycle->log);

        if (o == NULL) {
            return NULL;
        }

    } else {
        q = ngx_queue_head(&ngx_http_checkout_free_orders);
        ngx_queue_remove(q);
        o = ngx_queue_data(q, ngx_http_checkout_order_t, queue);
    }

    ngx_http_checkout_norders++;

    return o;
}


/* The order is on no list and has no request any more. */
static void
ngx_http_checkout_order_free(ngx_http_checkout_order_t *o)
{
    ngx_http_checkout_alarm_stop(&o->alarm);
    ngx_queue_insert_head(&ngx_http_checkout_free_orders, &o->queue);
    ngx_http_checkout_norders--;
}


/* Reports the verdict, if the request is still there. */
static void
ngx_http_checkout_order_decide(ngx_http_checkout_order_t *o,
    const struct checkout_verdict *verdict)
{
    ngx_http_checkout_waiting_t  *waiting;
    ngx_http_checkout_verdict_t   report;

    waiting = o->waiting;

    if (waiting == NULL) {
        return;
    }

    o->waiting = NULL;
    ngx_http_checkout_waiting_answered(waiting);

    report.kind = verdict->kind;
    report.number = verdict->number;
    report.status.data = (u_char *) verdict->status;
    report.status.len = verdict->status_len;
    report.identifier = o->part.identifier;
    report.batch = o->call != NULL ? o->call->batch.norders : 0;

    o->handler(waiting->request, &report);
}


/*
 * The verdict of an order that failed now: an earlier call, whose reply was
 * lost, may have placed it.
 */
static const struct checkout_verdict *
ngx_http_checkout_order_failed(ngx_http_checkout_order_t *o,
    const struct checkout_verdict *verdict)
{
    return o->part.sent ? &ngx_http_checkout_unknown : verdict;
}


/* The request goes away.  The order stands, and has the time that was left. */
static void
ngx_http_checkout_order_gone(void *data)
{
    ngx_http_checkout_order_t  *o = data;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "checkout order %*s: its request goes away",
                   (size_t) CHECKOUT_IDENTIFIER_LEN, o->part.identifier);

    ngx_http_checkout_waiting_leave_time(o->waiting, &o->alarm);
    o->waiting = NULL;
}


static uint64_t
ngx_http_checkout_now_ms(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (uint64_t) tp->sec * 1000 + tp->msec;
}


/*
 * A keyed order has the identifier that user and key stand for, another one
 * that nobody had before.
 */
static ngx_int_t
ngx_http_checkout_order_identify(ngx_http_checkout_batch_order_t *o,
    const ngx_str_t *key)
{
    u_char    random[CHECKOUT_IDENTIFIER_RANDOM];
    unsigned  lane;

    lane = checkout_lane(o->order.product_id, 1);
    o->keyed = key->len != 0;

    if (o->keyed) {
        return checkout_identifier_v8(o->identifier, lane, o->order.user_id,
                                      (char *) key->data, key->len)
                       == 0
                   ? NGX_OK
                   : NGX_ERROR;
    }

    if (ngx_http_checkout_random(random, CHECKOUT_IDENTIFIER_RANDOM) != NGX_OK)
    {
        return NGX_ERROR;
    }

    checkout_identifier_v7(o->identifier, o->accepted_ms, lane, random);

    return NGX_OK;
}


static void
ngx_http_checkout_gate_post(ngx_http_checkout_gate_t *gate)
{
    if (!gate->waiter.waiting) {
        ngx_post_event(&gate->flush, &ngx_posted_events);
    }
}


ngx_int_t
ngx_http_checkout_gate_submit(ngx_http_checkout_gate_t *gate,
    ngx_http_checkout_waiting_t *waiting, const struct checkout_order *order,
    const ngx_str_t *key, ngx_http_checkout_verdict_pt handler)
{
    ngx_http_checkout_order_t  *o;

    o = ngx_http_checkout_order_alloc();

    if (o == NULL) {
        return NGX_ERROR;
    }

    o->part.order = *order;
    o->part.accepted_ms = ngx_http_checkout_now_ms();
    o->part.sent = 0;
    o->gate = gate;
    o->call = NULL;
    o->waiting = waiting;
    o->handler = handler;
    o->alarm.clock = NULL;
    o->alarm.handler = ngx_http_checkout_order_expire;
    o->expired = 0;

    if (ngx_http_checkout_order_identify(&o->part, key) != NGX_OK) {
        ngx_http_checkout_order_free(o);
        return NGX_ERROR;
    }

    ngx_http_checkout_waiting_ask(waiting, &ngx_http_checkout_order_step, o,
                                  NULL);
    ngx_queue_insert_tail(&gate->pending, &o->queue);
    ngx_http_checkout_gate_post(gate);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, waiting->request->connection->log, 0,
                   "checkout order %*s: submitted",
                   (size_t) CHECKOUT_IDENTIFIER_LEN, o->part.identifier);

    return NGX_OK;
}


static ngx_http_checkout_call_t *
ngx_http_checkout_call_alloc(ngx_http_checkout_gate_t *gate)
{
    ngx_queue_t               *q;
    ngx_http_checkout_call_t  *call;

    if (ngx_queue_empty(&ngx_http_checkout_free_calls)) {
        call = ngx_alloc(sizeof(ngx_http_checkout_call_t), ngx_cycle->log);

        if (call == NULL) {
            return NULL;
        }

    } else {
        q = ngx_queue_head(&ngx_http_checkout_free_calls);
        ngx_queue_remove(q);
        call = ngx_queue_data(q, ngx_http_checkout_call_t, queue);
    }

    call->command.text = NULL;
    call->command.handler = ngx_http_checkout_gate_reply;
    call->gate = gate;
    call->source = gate->source;
    ngx_http_checkout_batch_init(&call->batch);

    return call;
}


static void
ngx_http_checkout_call_free(ngx_http_checkout_call_t *call)
{
    ngx_queue_insert_head(&ngx_http_checkout_free_calls, &call->queue);
}


static ngx_http_checkout_order_t *
ngx_http_checkout_call_order(ngx_http_checkout_call_t *call, ngx_uint_t i)
{
    return ngx_queue_data(call->batch.orders[i], ngx_http_checkout_order_t,
                          part);
}


/* Takes the oldest pending orders, up to the bounds of a batch. */
static void
ngx_http_checkout_call_fill(ngx_http_checkout_call_t *call,
    ngx_queue_t *pending)
{
    ngx_queue_t                *q;
    ngx_http_checkout_order_t  *o;

    while (!ngx_queue_empty(pending)) {
        q = ngx_queue_head(pending);
        o = ngx_queue_data(q, ngx_http_checkout_order_t, queue);

        if (ngx_http_checkout_batch_add(&call->batch, &o->part) != 0) {
            break;
        }

        ngx_queue_remove(q);
        o->call = call;
    }

    ngx_http_checkout_batch_close(&call->batch);
}


/* 1: each order is in one group, as the words and the reply are read. */
static ngx_uint_t
ngx_http_checkout_call_is_whole(ngx_http_checkout_call_t *call)
{
    ngx_uint_t  i, orders;

    for (i = 0, orders = 0; i < call->batch.ngroups; i++) {
        orders += call->batch.groups[i].orders;
    }

    return orders == call->batch.norders;
}


static ngx_int_t
ngx_http_checkout_call_write(ngx_http_checkout_call_t *call)
{
    u_char
        nonces[NGX_HTTP_CHECKOUT_BATCH_GROUPS * NGX_HTTP_CHECKOUT_BATCH_NONCE];

    if (ngx_http_checkout_random(nonces, call->batch.ngroups
                                             * NGX_HTTP_CHECKOUT_BATCH_NONCE)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_checkout_script_begin(&checkout_script_place_order, call->source,
                                   ngx_http_checkout_batch_keys(&call->batch));
    ngx_http_checkout_batch_encode(&call->batch, &ngx_http_checkout_writer,
                                   call->gate->queue_limit,
                                   ngx_http_checkout_now_ms(), nonces);

    return ngx_http_checkout_script_end(&call->command);
}


/*
 * Back to the head of `pending`, in order.  sent: Redis may have got them.
 * Orders whose time ran out are through.
 */
static void
ngx_http_checkout_call_put_back(ngx_http_checkout_call_t *call,
    ngx_uint_t sent)
{
    ngx_uint_t                  i;
    ngx_http_checkout_gate_t   *gate;
    ngx_http_checkout_order_t  *o;

    gate = call->gate;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "checkout batch: %uD orders go back, %s",
                   call->batch.norders, sent ? "sent" : "not sent");

    for (i = call->batch.norders; i > 0; i--) {
        o = ngx_http_checkout_call_order(call, i - 1);

        if (o->expired) {
            ngx_http_checkout_order_free(o);
            continue;
        }

        o->call = NULL;
        o->part.sent |= sent;
        ngx_queue_insert_head(&gate->pending, &o->queue);
    }

    ngx_http_checkout_call_free(call);

    if (!ngx_queue_empty(&gate->pending)) {
        ngx_http_checkout_gate_post(gate);
    }
}


/* The batch failed as a whole. */
static void
ngx_http_checkout_call_fail(ngx_http_checkout_call_t *call,
    const struct checkout_verdict *verdict)
{
    ngx_uint_t                  i;
    ngx_http_checkout_order_t  *o;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "checkout batch: %uD orders failed", call->batch.norders);

    for (i = 0; i < call->batch.norders; i++) {
        o = ngx_http_checkout_call_order(call, i);
        ngx_http_checkout_order_decide(
            o, ngx_http_checkout_order_failed(o, verdict));
        ngx_http_checkout_order_free(o);
    }

    ngx_http_checkout_call_free(call);
}


/*
 * One call with what is pending, up to the bounds of a batch.  NGX_ERROR: no
 * memory, and it stays pending.
 */
static ngx_int_t
ngx_http_checkout_gate_send(ngx_http_checkout_gate_t *gate)
{
    ngx_http_checkout_call_t  *call;

    call = ngx_http_checkout_call_alloc(gate);

    if (call == NULL) {
        return NGX_ERROR;
    }

    ngx_http_checkout_call_fill(call, &gate->pending);

    if (!ngx_http_checkout_assert(ngx_http_checkout_call_is_whole(call))
        || ngx_http_checkout_call_write(call) != NGX_OK)
    {
        ngx_http_checkout_call_fail(call, &ngx_http_checkout_unavailable);
        return NGX_OK;
    }

    if (gate->zone != NULL) {
        call->sent = ngx_current_msec;
        call->sent_us = ngx_http_checkout_now_us();
    }

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "checkout batch: %uD orders of %uD products, to redis %V",
                   call->batch.norders, call->batch.ngroups,
                   &gate->redis->settings.server->name);

    gate->source = 0;
    gate->redis->batches++;
    ngx_http_checkout_redis_send(gate->redis, &call->command);

    return NGX_OK;
}


static void
ngx_http_checkout_gate_flush(ngx_event_t *ev)
{
    ngx_http_checkout_gate_t  *gate;

    gate = ev->data;

    while (!ngx_queue_empty(&gate->pending)) {
        if (gate->redis->batches >= NGX_HTTP_CHECKOUT_BATCHES_MAX
            || ngx_http_checkout_redis_ready(gate->redis) != NGX_OK)
        {
            ngx_http_checkout_redis_wait(gate->redis, &gate->waiter);
            return;
        }

        if (ngx_http_checkout_gate_send(gate) != NGX_OK) {
            return;
        }
    }
}


static void
ngx_http_checkout_gate_ready(ngx_http_checkout_waiter_t *waiter)
{
    ngx_http_checkout_gate_t  *gate;

    gate = ngx_queue_data(waiter, ngx_http_checkout_gate_t, waiter);

    ngx_http_checkout_gate_flush(&gate->flush);
}


/* Its time has run out. */
static void
ngx_http_checkout_order_late(void *data)
{
    ngx_http_checkout_order_t  *o = data;

    ngx_http_checkout_call_t  *call;

    call = o->call;

    if (call != NULL) {
        if (ngx_http_checkout_redis_withdraw(&call->command) != NGX_OK) {
            ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                           "checkout order %*s: late, and sent",
                           (size_t) CHECKOUT_IDENTIFIER_LEN,
                           o->part.identifier);

            o->expired = 1;
            ngx_http_checkout_order_decide(o, &ngx_http_checkout_unknown);
            return;
        }

        call->gate->redis->batches--;
        ngx_http_checkout_call_put_back(call, 0);
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "checkout order %*s: late, and taken back",
                   (size_t) CHECKOUT_IDENTIFIER_LEN, o->part.identifier);

    ngx_queue_remove(&o->queue);

    ngx_http_checkout_order_decide(
        o, ngx_http_checkout_order_failed(o, &ngx_http_checkout_unavailable));
    ngx_http_checkout_order_free(o);
}


/* The same, of an order whose request is gone. */
static void
ngx_http_checkout_order_expire(ngx_http_checkout_alarm_t *alarm)
{
    ngx_http_checkout_count(timeouts, 1);
    ngx_http_checkout_order_late(
        ngx_queue_data(alarm, ngx_http_checkout_order_t, alarm));
}


/* Too little is left: until a mark ages, Redis need not be asked. */
static void
ngx_http_checkout_gate_mark(ngx_http_checkout_call_t *call,
    ngx_http_checkout_batch_group_t *group, uint64_t left)
{
    ngx_http_checkout_gate_t  *gate;

    gate = call->gate;

    if (gate->zone != NULL) {
        ngx_http_checkout_marks_set(gate->zone->shared, gate->redis->key,
                                    group->product_id, left, call->sent);
    }
}


static void
ngx_http_checkout_gate_decide_group(ngx_http_checkout_call_t *call,
    ngx_uint_t n, redisReply *reply)
{
    int                               one;
    ngx_uint_t                        i, marked;
    struct checkout_verdict           verdict;
    ngx_http_checkout_order_t        *o;
    ngx_http_checkout_batch_group_t  *group;

    group = &call->batch.groups[n];
    one = 0;
    marked = 0;

    for (i = 0; i < group->orders; i++) {
        if (!one) {
            one = ngx_http_checkout_batch_verdict(&call->batch, n, i, reply,
                                                  &verdict);
        }

        if (verdict.kind == CHECKOUT_VERDICT_OUT_OF_STOCK && !marked) {
            marked = 1;
            ngx_http_checkout_gate_mark(call, group, verdict.number);
        }

        o = ngx_http_checkout_call_order(call, group->first + i);
        ngx_http_checkout_order_decide(o, &verdict);
        ngx_http_checkout_order_free(o);
    }
}


/* A log line a second is enough for what happens to every call. */
static void
ngx_http_checkout_gate_log(ngx_http_checkout_gate_t *gate, const char *what,
    const char *text)
{
    if (gate->logged != ngx_time()) {
        gate->logged = ngx_time();
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "checkout: Redis %V %s: %s",
                      &gate->redis->settings.server->name, what, text);
    }
}


/*
 * Redis refused the call as a whole, before the script's first write: nothing
 * was deducted.  Only an error that the script itself raised half way leaves
 * the outcome open; Redis names such errors "user_script".
 */
static void
ngx_http_checkout_gate_refused(ngx_http_checkout_call_t *call,
    redisReply *reply)
{
    ngx_http_checkout_gate_t  *gate;

    gate = call->gate;

    if (ngx_http_checkout_reply_is_error(reply, "NOSCRIPT") && !call->source) {
        gate->source = 1;
        ngx_http_checkout_call_put_back(call, 0);
        return;
    }

    ngx_http_checkout_count(errors, 1);
    ngx_http_checkout_gate_log(gate, "refused orders", reply->str);

    /*
     * Another server may be the primary now; a new connection asks for its
     * address and says the password again.
     */
    if (ngx_http_checkout_reply_is_error(reply, "READONLY")
        || ngx_http_checkout_reply_is_error(reply, "NOAUTH"))
    {
        ngx_http_checkout_redis_drop(gate->redis);
    }

    if (ngx_strstr(reply->str, "user_script") != NULL) {
        ngx_http_checkout_call_fail(call, &ngx_http_checkout_unknown);
        return;
    }

    ngx_http_checkout_call_fail(call, &ngx_http_checkout_unavailable);
}


static void
ngx_http_checkout_gate_answered(ngx_http_checkout_call_t *call,
    redisReply *reply)
{
    ngx_uint_t                 i;
    ngx_http_checkout_gate_t  *gate;

    gate = call->gate;

    if (reply->type == REDIS_REPLY_ERROR) {
        ngx_http_checkout_gate_refused(call, reply);
        return;
    }

    if (!ngx_http_checkout_batch_is_reply(&call->batch, reply)) {
        ngx_http_checkout_gate_log(gate, "answered orders",
                                   "not as the script does");
        ngx_http_checkout_redis_drop(gate->redis);
        ngx_http_checkout_call_fail(call, &ngx_http_checkout_unknown);
        return;
    }

    if (gate->zone != NULL) {
        gate->redis->gauge->queued = checkout_verdict_queued(reply);
        ngx_http_checkout_observe_call(
            call->batch.norders, ngx_http_checkout_now_us() - call->sent_us);
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "checkout batch: %uD orders answered", call->batch.norders);

    for (i = 0; i < call->batch.ngroups; i++) {
        ngx_http_checkout_gate_decide_group(call, i, reply);
    }

    ngx_http_checkout_call_free(call);
}


static void
ngx_http_checkout_gate_reply(ngx_http_checkout_command_t *command,
    redisReply *reply)
{
    ngx_http_checkout_call_t   *call;
    ngx_http_checkout_redis_t  *redis;

    call = ngx_queue_data(command, ngx_http_checkout_call_t, command);
    redis = call->gate->redis;

    redis->batches--;

    if (reply == NULL) {
        ngx_http_checkout_count(resent, call->batch.norders);
        ngx_http_checkout_call_put_back(call, 1);
        return;
    }

    ngx_http_checkout_gate_answered(call, reply);

    if (ngx_http_checkout_redis_ready(redis) == NGX_OK) {
        ngx_http_checkout_redis_wake(redis);
    }
}
