/*
 * The gate: orders that arrive in one turn of the event loop leave as one call of place_order.lua.
 *
 * An order belongs to the gate from ngx_http_checkout_gate_submit() on and outlives its request: a client
 * that leaves takes its request away (its context tells), the order stands. An order is on the gate's list
 * `pending`, or in one batch. A batch belongs to the gate from its making until its reply or its loss.
 * Both are kept on free lists of the process.
 *
 * When an order's clock runs out it is taken out of `pending`, or out of a batch of which no byte was
 * written: certainly nothing was deducted, 503. Else its outcome is unknown, 500, and the order stays in
 * its batch without a request, so that the late reply finds its place.
 *
 * A batch whose connection was lost goes back to `pending`, with `check` set: place_order.lua then looks
 * for each identifier first, so an order that was placed already is found and not placed twice.
 */
#include "gate/queue.h"

#include "redis/connection.h"
#include "redis/script.h"
#include "request/clock.h"
#include "request/outcome.h"
#include "request/random.h"
#include "request/context.h"
#include "stats/counters.h"
#include "stats/histograms.h"
#include "checkout_scripts.h"
#include "order/identifier.h"
#include "order/order.h"
#include "order/verdict.h"
#include "text/number.h"
#include <hiredis/hiredis.h>


typedef struct ngx_http_checkout_batch_s  ngx_http_checkout_batch_t;

typedef struct {
    ngx_queue_t                  queue;      /* pending, or the free list */
    ngx_http_checkout_alarm_t    alarm;      /* once its request is gone */
    ngx_http_checkout_gate_t    *gate;
    ngx_http_checkout_batch_t   *batch;      /* NULL while pending */
    ngx_http_checkout_ctx_t     *ctx;        /* of its request, which waits; NULL once that is answered or gone */
    struct checkout_order        order;
    uint64_t                     accepted_ms;
    unsigned                     check:1;    /* may have been placed by an earlier attempt */
    unsigned                     keyed:1;    /* may have been placed by an earlier request */
    unsigned                     expired:1;
    char                         identifier[CHECKOUT_IDENTIFIER_LEN];
} ngx_http_checkout_order_t;

typedef struct {
    uint64_t                     product_id;
    uint64_t                     units;
    uint32_t                     largest;
    uint32_t                     orders;
    uint32_t                     first;      /* where its orders begin in the batch */
    unsigned                     check:1;
} ngx_http_checkout_group_t;

struct ngx_http_checkout_batch_s {
    ngx_http_checkout_call_t     call;
    ngx_queue_t                  queue;      /* the free list */
    ngx_http_checkout_gate_t    *gate;
    ngx_uint_t                   norders;
    ngx_uint_t                   ngroups;
    ngx_msec_t                   sent;
    uint64_t                     sent_us;
    unsigned                     source:1;   /* the call carries the script itself */
    ngx_http_checkout_group_t    groups[NGX_HTTP_CHECKOUT_BATCH_GROUPS];
    ngx_http_checkout_order_t   *orders[NGX_HTTP_CHECKOUT_BATCH_ORDERS];   /* group by group */
};


static void ngx_http_checkout_gate_flush(ngx_event_t *ev);
static void ngx_http_checkout_gate_ready(ngx_http_checkout_waiter_t *waiter);
static void ngx_http_checkout_gate_reply(ngx_http_checkout_call_t *call, redisReply *reply);
static void ngx_http_checkout_order_late(void *data);
static void ngx_http_checkout_order_gone(void *data);
static void ngx_http_checkout_order_expire(ngx_http_checkout_alarm_t *alarm);


static const ngx_http_checkout_step_t  ngx_http_checkout_order_step = {
    ngx_http_checkout_order_late,
    ngx_http_checkout_order_gone
};

static ngx_queue_t  ngx_http_checkout_free_orders;
static ngx_queue_t  ngx_http_checkout_free_batches;
static ngx_uint_t   ngx_http_checkout_norders;      /* that are not free */

static const ngx_http_checkout_verdict_t  ngx_http_checkout_unavailable = {
    NGX_HTTP_CHECKOUT_REFUSED, NGX_HTTP_CHECKOUT_UNAVAILABLE, 0, ngx_null_string
};

static const ngx_http_checkout_verdict_t  ngx_http_checkout_unknown = {
    NGX_HTTP_CHECKOUT_REFUSED, NGX_HTTP_CHECKOUT_OUTCOME_UNKNOWN, 0, ngx_null_string
};


void
ngx_http_checkout_gate_init(ngx_http_checkout_gate_t *gate)
{
    if (ngx_http_checkout_free_orders.next == NULL) {
        ngx_queue_init(&ngx_http_checkout_free_orders);
        ngx_queue_init(&ngx_http_checkout_free_batches);
    }

    ngx_queue_init(&gate->pending);

    gate->flush.handler = ngx_http_checkout_gate_flush;
    gate->flush.data = gate;
    gate->flush.log = ngx_cycle->log;

    gate->waiter.handler = ngx_http_checkout_gate_ready;
}


/* The process ends: orders that still wait are not answered, their connections are gone. */
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

    while (!ngx_queue_empty(&ngx_http_checkout_free_batches)) {
        q = ngx_queue_head(&ngx_http_checkout_free_batches);
        ngx_queue_remove(q);
        ngx_free(ngx_queue_data(q, ngx_http_checkout_batch_t, queue));
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


/* Answers the order's request, if it is still there. */
static void
ngx_http_checkout_order_decide(ngx_http_checkout_order_t *o, const ngx_http_checkout_verdict_t *verdict)
{
    ngx_http_checkout_ctx_t  *ctx;

    ctx = o->ctx;

    if (ctx == NULL) {
        return;
    }

    o->ctx = NULL;
    ngx_http_checkout_waiting_answered(&ctx->waiting);
    ctx->batch = o->batch ? o->batch->norders : 0;

    if (verdict->kind == NGX_HTTP_CHECKOUT_ACCEPTED || verdict->code == NGX_HTTP_CHECKOUT_OUTCOME_UNKNOWN) {
        ngx_memcpy(ctx->identifier, o->identifier, CHECKOUT_IDENTIFIER_LEN);
    }

    ngx_http_checkout_order_answer(ctx, verdict);
}


/* The request goes away. The order stands, and has as much time as before. */
static void
ngx_http_checkout_order_gone(void *data)
{
    ngx_http_checkout_order_t  *o = data;

    ngx_http_checkout_waiting_leave_time(&o->ctx->waiting, &o->alarm);
    o->ctx = NULL;
}


static uint64_t
ngx_http_checkout_now_ms(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (uint64_t) tp->sec * 1000 + tp->msec;
}


/* A keyed order has the identifier that user and key stand for, another one that nobody had before. */
static ngx_int_t
ngx_http_checkout_order_identify(ngx_http_checkout_order_t *o, const ngx_str_t *key)
{
    u_char    random[CHECKOUT_IDENTIFIER_RANDOM];
    unsigned  lane;

    lane = checkout_lane(o->order.product_id, 1);

    if (key->len) {
        o->keyed = 1;
        return checkout_identifier_v8(o->identifier, lane, o->order.user_id, (char *) key->data, key->len) == 0
               ? NGX_OK : NGX_ERROR;
    }

    if (ngx_http_checkout_random(random, CHECKOUT_IDENTIFIER_RANDOM) != NGX_OK) {
        return NGX_ERROR;
    }

    checkout_identifier_v7(o->identifier, o->accepted_ms, lane, random);

    return NGX_OK;
}


/* NGX_OK: the order is answered later, through ngx_http_checkout_order_answer(). */
ngx_int_t
ngx_http_checkout_gate_submit(ngx_http_checkout_gate_t *gate, ngx_http_checkout_ctx_t *ctx,
    const struct checkout_order *order)
{
    ngx_http_checkout_order_t  *o;

    o = ngx_http_checkout_order_alloc();

    if (o == NULL) {
        return NGX_ERROR;
    }

    o->gate = gate;
    o->batch = NULL;
    o->ctx = ctx;
    o->order = *order;
    o->accepted_ms = ngx_http_checkout_now_ms();
    o->check = 0;
    o->keyed = 0;
    o->expired = 0;
    o->alarm.clock = NULL;
    o->alarm.handler = ngx_http_checkout_order_expire;

    if (ngx_http_checkout_order_identify(o, &ctx->key) != NGX_OK) {
        ngx_http_checkout_order_free(o);
        return NGX_ERROR;
    }

    ngx_http_checkout_waiting_ask(&ctx->waiting, &ngx_http_checkout_order_step, o, NULL);
    ngx_queue_insert_tail(&gate->pending, &o->queue);

    if (!gate->waiter.waiting) {
        ngx_post_event(&gate->flush, &ngx_posted_events);
    }

    return NGX_OK;
}


static ngx_http_checkout_batch_t *
ngx_http_checkout_batch_alloc(ngx_http_checkout_gate_t *gate)
{
    ngx_queue_t                *q;
    ngx_http_checkout_batch_t  *batch;

    if (ngx_queue_empty(&ngx_http_checkout_free_batches)) {
        batch = ngx_alloc(sizeof(ngx_http_checkout_batch_t), ngx_cycle->log);

        if (batch == NULL) {
            return NULL;
        }

    } else {
        q = ngx_queue_head(&ngx_http_checkout_free_batches);
        ngx_queue_remove(q);
        batch = ngx_queue_data(q, ngx_http_checkout_batch_t, queue);
    }

    batch->call.command = NULL;
    batch->call.handler = ngx_http_checkout_gate_reply;
    batch->gate = gate;
    batch->norders = 0;
    batch->ngroups = 0;

    return batch;
}


static void
ngx_http_checkout_batch_free(ngx_http_checkout_batch_t *batch)
{
    ngx_queue_insert_head(&ngx_http_checkout_free_batches, &batch->queue);
}


/* The group of a product, a new one if need be; NGX_HTTP_CHECKOUT_BATCH_GROUPS when there is no room. */
static ngx_uint_t
ngx_http_checkout_batch_group(ngx_http_checkout_batch_t *batch, uint64_t product_id)
{
    ngx_uint_t                  i;
    ngx_http_checkout_group_t  *group;

    for (i = 0; i < batch->ngroups; i++) {
        if (batch->groups[i].product_id == product_id) {
            return i;
        }
    }

    if (i < NGX_HTTP_CHECKOUT_BATCH_GROUPS) {
        batch->ngroups++;
        group = &batch->groups[i];
        ngx_memzero(group, sizeof(ngx_http_checkout_group_t));
        group->product_id = product_id;
    }

    return i;
}


/* Takes the oldest pending orders into the batch, group by group, each group in order of arrival. */
static void
ngx_http_checkout_batch_fill(ngx_http_checkout_batch_t *batch, ngx_queue_t *pending)
{
    uint32_t                    first;
    ngx_uint_t                  i, n;
    ngx_queue_t                *q;
    ngx_http_checkout_group_t  *group;
    ngx_http_checkout_order_t  *o, *taken[NGX_HTTP_CHECKOUT_BATCH_ORDERS];
    uint8_t                     group_of[NGX_HTTP_CHECKOUT_BATCH_ORDERS];

    for (n = 0; n < NGX_HTTP_CHECKOUT_BATCH_ORDERS && !ngx_queue_empty(pending); n++) {
        q = ngx_queue_head(pending);
        o = ngx_queue_data(q, ngx_http_checkout_order_t, queue);
        i = ngx_http_checkout_batch_group(batch, o->order.product_id);

        if (i == NGX_HTTP_CHECKOUT_BATCH_GROUPS) {
            break;
        }

        ngx_queue_remove(q);
        o->batch = batch;
        taken[n] = o;
        group_of[n] = i;

        group = &batch->groups[i];
        group->orders++;
        group->units += o->order.quantity;
        group->largest = ngx_max(group->largest, o->order.quantity);
        group->check |= o->check | o->keyed;
    }

    batch->norders = n;

    for (first = 0, i = 0; i < batch->ngroups; i++) {
        batch->groups[i].first = first;
        first += batch->groups[i].orders;
        batch->groups[i].orders = 0;
    }

    for (i = 0; i < n; i++) {
        group = &batch->groups[group_of[i]];
        batch->orders[group->first + group->orders++] = taken[i];
    }
}


/* Back to the head of `pending`, in order; orders whose clock ran out are through. */
static void
ngx_http_checkout_batch_put_back(ngx_http_checkout_batch_t *batch, ngx_uint_t check)
{
    ngx_uint_t                  i;
    ngx_http_checkout_gate_t   *gate;
    ngx_http_checkout_order_t  *o;

    gate = batch->gate;

    for (i = batch->norders; i > 0; i--) {
        o = batch->orders[i - 1];

        if (o->expired) {
            ngx_http_checkout_order_free(o);
            continue;
        }

        o->batch = NULL;
        o->check |= check;
        ngx_queue_insert_head(&gate->pending, &o->queue);
    }

    ngx_http_checkout_batch_free(batch);

    if (!ngx_queue_empty(&gate->pending) && !gate->waiter.waiting) {
        ngx_post_event(&gate->flush, &ngx_posted_events);
    }
}


static void
ngx_http_checkout_gate_write_keys(ngx_http_checkout_batch_t *batch, const char *today, const char *yesterday,
    const char *tomorrow)
{
    char        id[20];
    size_t      len;
    ngx_uint_t  i;

    ngx_http_checkout_script_key("", "order-processing-queue", sizeof("order-processing-queue") - 1, "");
    ngx_http_checkout_script_key("", "gate", sizeof("gate") - 1, "");
    ngx_http_checkout_script_key("orders:", today, CHECKOUT_DAY_LEN, "");
    ngx_http_checkout_script_key("orders:", yesterday, CHECKOUT_DAY_LEN, "");

    for (i = 0; i < batch->ngroups; i++) {
        len = number_write(id, batch->groups[i].product_id) - id;

        ngx_http_checkout_script_key("product:", id, len, ":stock");
        ngx_http_checkout_script_key("product:", id, len, ":register");
        ngx_http_checkout_script_key("product:", id, len, ":buyers");
    }

    if (tomorrow != NULL) {
        ngx_http_checkout_script_key("orders:", tomorrow, CHECKOUT_DAY_LEN, "");
    }
}


/* May orders of the batch be known already? */
static ngx_uint_t
ngx_http_checkout_gate_checks(ngx_http_checkout_batch_t *batch)
{
    ngx_uint_t  i;

    for (i = 0; i < batch->ngroups; i++) {
        if (batch->groups[i].check) {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_checkout_gate_write_group(ngx_http_checkout_batch_t *batch, ngx_http_checkout_group_t *group)
{
    char                       *room;
    u_char                      nonce[8];
    ngx_uint_t                  i;
    ngx_http_checkout_order_t  *o;

    if (ngx_http_checkout_random(nonce, sizeof(nonce)) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_checkout_script_number(group->product_id);

    room = ngx_http_checkout_script_room(2 * sizeof(nonce));
    ngx_hex_dump((u_char *) room, nonce, sizeof(nonce));
    ngx_http_checkout_script_take(2 * sizeof(nonce));

    ngx_http_checkout_script_number(group->orders);
    ngx_http_checkout_script_number(group->units);
    ngx_http_checkout_script_number(group->largest);
    ngx_http_checkout_script_text(group->check ? "1" : "0", 1);

    for (i = group->first; i < group->first + group->orders; i++) {
        o = batch->orders[i];

        ngx_http_checkout_script_text(o->identifier, CHECKOUT_IDENTIFIER_LEN);

        room = ngx_http_checkout_script_room(CHECKOUT_RECORD_MAX);
        ngx_http_checkout_script_take(checkout_record_write(room, "queued", "", &o->order, o->accepted_ms));
    }

    return NGX_OK;
}


/* The call as place_order.lua wants it. */
static ngx_int_t
ngx_http_checkout_gate_write(ngx_http_checkout_batch_t *batch)
{
    char                        today[CHECKOUT_DAY_LEN], yesterday[CHECKOUT_DAY_LEN], tomorrow[CHECKOUT_DAY_LEN];
    uint64_t                    now;
    ngx_uint_t                  i, check;
    ngx_http_checkout_gate_t   *gate;

    gate = batch->gate;
    now = ngx_http_checkout_now_ms();
    check = ngx_http_checkout_gate_checks(batch);

    checkout_day(today, now);
    checkout_day(yesterday, now - 86400000);

    if (check) {
        checkout_day(tomorrow, now + 86400000);
    }

    ngx_http_checkout_script_begin(&checkout_script_place_order, gate->source, 4 + 3 * batch->ngroups + check);
    ngx_http_checkout_gate_write_keys(batch, today, yesterday, check ? tomorrow : NULL);
    ngx_http_checkout_script_number(gate->queue_limit);
    ngx_http_checkout_script_text(today, CHECKOUT_DAY_LEN);

    for (i = 0; i < batch->ngroups; i++) {
        if (ngx_http_checkout_gate_write_group(batch, &batch->groups[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return ngx_http_checkout_script_end(&batch->call);
}


/*
 * The batch failed as a whole. What was not deducted now may have been deducted by an earlier attempt,
 * whose reply was lost.
 */
static void
ngx_http_checkout_batch_fail(ngx_http_checkout_batch_t *batch, const ngx_http_checkout_verdict_t *verdict)
{
    ngx_uint_t                  i;
    ngx_http_checkout_order_t  *o;

    for (i = 0; i < batch->norders; i++) {
        o = batch->orders[i];
        ngx_http_checkout_order_decide(o, o->check ? &ngx_http_checkout_unknown : verdict);
        ngx_http_checkout_order_free(o);
    }

    ngx_http_checkout_batch_free(batch);
}


/* One call with what is pending, up to the bounds of a batch. NGX_ERROR: it stays pending. */
static ngx_int_t
ngx_http_checkout_gate_send(ngx_http_checkout_gate_t *gate)
{
    ngx_http_checkout_batch_t  *batch;

    batch = ngx_http_checkout_batch_alloc(gate);

    if (batch == NULL) {
        return NGX_ERROR;
    }

    ngx_http_checkout_batch_fill(batch, &gate->pending);

    if (ngx_http_checkout_gate_write(batch) != NGX_OK) {
        ngx_http_checkout_batch_fail(batch, &ngx_http_checkout_unavailable);
        return NGX_OK;
    }

    if (gate->zone != NULL) {
        batch->sent = ngx_current_msec;
        batch->sent_us = ngx_http_checkout_now_us();
    }

    batch->source = gate->source;
    gate->source = 0;
    gate->redis->batches++;
    ngx_http_checkout_redis_call(gate->redis, &batch->call);

    return NGX_OK;
}


static void
ngx_http_checkout_gate_flush(ngx_event_t *ev)
{
    ngx_http_checkout_gate_t  *gate;

    gate = ev->data;

    while (!ngx_queue_empty(&gate->pending)) {
        if (gate->redis->batches >= NGX_HTTP_CHECKOUT_CALLS_MAX
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

    gate = (ngx_http_checkout_gate_t *) ((u_char *) waiter - offsetof(ngx_http_checkout_gate_t, waiter));

    ngx_http_checkout_gate_flush(&gate->flush);
}


/* Its time has run out. */
static void
ngx_http_checkout_order_late(void *data)
{
    ngx_http_checkout_order_t  *o = data;

    ngx_http_checkout_batch_t  *batch;

    batch = o->batch;

    if (batch != NULL) {
        if (ngx_http_checkout_redis_withdraw(&batch->call) != NGX_OK) {
            o->expired = 1;
            ngx_http_checkout_order_decide(o, &ngx_http_checkout_unknown);
            return;
        }

        batch->gate->redis->batches--;
        ngx_http_checkout_batch_put_back(batch, 0);
    }

    ngx_queue_remove(&o->queue);

    /* An order that may have been placed before the connection was lost stays unknown. */
    ngx_http_checkout_order_decide(o, o->check ? &ngx_http_checkout_unknown : &ngx_http_checkout_unavailable);
    ngx_http_checkout_order_free(o);
}


/* The same, of an order without a request. */
static void
ngx_http_checkout_order_expire(ngx_http_checkout_alarm_t *alarm)
{
    ngx_http_checkout_count(timeouts, 1);
    ngx_http_checkout_order_late(ngx_queue_data(alarm, ngx_http_checkout_order_t, alarm));
}


/* What the verdicts of place_order.lua come to. */
static const struct {
    ngx_http_checkout_verdict_e  kind;
    ngx_http_checkout_outcome_e     code;
} ngx_http_checkout_meanings[CHECKOUT_VERDICTS] = {
    [CHECKOUT_VERDICT_NONE] = { NGX_HTTP_CHECKOUT_REFUSED, NGX_HTTP_CHECKOUT_OUTCOME_UNKNOWN },
    [CHECKOUT_VERDICT_QUEUED] = { NGX_HTTP_CHECKOUT_ACCEPTED, NGX_HTTP_CHECKOUT_QUEUED },
    [CHECKOUT_VERDICT_KNOWN] = { NGX_HTTP_CHECKOUT_ACCEPTED, NGX_HTTP_CHECKOUT_KNOWN },
    [CHECKOUT_VERDICT_CONFLICT] = { NGX_HTTP_CHECKOUT_REFUSED, NGX_HTTP_CHECKOUT_IDEMPOTENCY_CONFLICT },
    [CHECKOUT_VERDICT_REBUILDING] = { NGX_HTTP_CHECKOUT_REFUSED, NGX_HTTP_CHECKOUT_UNAVAILABLE },
    [CHECKOUT_VERDICT_STOCK_NOT_LOADED] = { NGX_HTTP_CHECKOUT_REFUSED, NGX_HTTP_CHECKOUT_STOCK_NOT_LOADED },
    [CHECKOUT_VERDICT_UNKNOWN_PRODUCT] = { NGX_HTTP_CHECKOUT_REFUSED, NGX_HTTP_CHECKOUT_UNKNOWN_PRODUCT },
    [CHECKOUT_VERDICT_SALE_NOT_STARTED] = { NGX_HTTP_CHECKOUT_REFUSED, NGX_HTTP_CHECKOUT_SALE_NOT_STARTED },
    [CHECKOUT_VERDICT_SALE_ENDED] = { NGX_HTTP_CHECKOUT_REFUSED, NGX_HTTP_CHECKOUT_SALE_ENDED },
    [CHECKOUT_VERDICT_OVER_QUANTITY] = { NGX_HTTP_CHECKOUT_OVER_QUANTITY, NGX_HTTP_CHECKOUT_INVALID_REQUEST },
    [CHECKOUT_VERDICT_PURCHASE_LIMIT] = { NGX_HTTP_CHECKOUT_REFUSED, NGX_HTTP_CHECKOUT_PURCHASE_LIMIT },
    [CHECKOUT_VERDICT_QUEUE_FULL] = { NGX_HTTP_CHECKOUT_REFUSED, NGX_HTTP_CHECKOUT_QUEUE_FULL },
    [CHECKOUT_VERDICT_OUT_OF_STOCK] = { NGX_HTTP_CHECKOUT_REFUSED, NGX_HTTP_CHECKOUT_OUT_OF_STOCK },
    [CHECKOUT_VERDICT_BROKEN] = { NGX_HTTP_CHECKOUT_REFUSED, NGX_HTTP_CHECKOUT_UNAVAILABLE },
};


/* The verdict points into the reply. */
static void
ngx_http_checkout_gate_translate(ngx_http_checkout_verdict_t *verdict, const struct checkout_verdict *said)
{
    verdict->kind = ngx_http_checkout_meanings[said->kind].kind;
    verdict->code = ngx_http_checkout_meanings[said->kind].code;
    verdict->number = said->number;

    if (said->kind == CHECKOUT_VERDICT_KNOWN) {
        verdict->status.data = (u_char *) said->status;
        verdict->status.len = said->status_len;

    } else {
        ngx_str_set(&verdict->status, "queued");
    }
}


/* Is the reply one verdict, or one for each order, for every group? */
static ngx_uint_t
ngx_http_checkout_gate_check_reply(ngx_http_checkout_batch_t *batch, redisReply *reply)
{
    ngx_uint_t  i;

    if (!checkout_verdict_is_reply(reply, batch->ngroups)) {
        return 0;
    }

    for (i = 0; i < batch->ngroups; i++) {
        if (!checkout_verdict_is_group(checkout_verdict_group(reply, i), batch->groups[i].orders)) {
            return 0;
        }
    }

    return 1;
}


static void
ngx_http_checkout_gate_decide_group(ngx_http_checkout_batch_t *batch, ngx_http_checkout_group_t *group,
    const redisReply *reply)
{
    ngx_uint_t                    i, marked;
    struct checkout_verdict       said;
    ngx_http_checkout_gate_t     *gate;
    ngx_http_checkout_order_t    *o;
    ngx_http_checkout_verdict_t   verdict;

    gate = batch->gate;
    marked = 0;

    for (i = 0; i < group->orders; i++) {
        if (i == 0 || reply->elements > 2) {
            checkout_verdict_read(&said, reply, group->orders, i);
            ngx_http_checkout_gate_translate(&verdict, &said);
        }

        if (said.kind == CHECKOUT_VERDICT_OUT_OF_STOCK && gate->zone != NULL && !marked) {
            marked = 1;
            ngx_http_checkout_zone_mark(gate->zone->shared, gate->redis->key, group->product_id, said.number,
                                        batch->sent);
        }

        o = batch->orders[group->first + i];
        ngx_http_checkout_order_decide(o, &verdict);
        ngx_http_checkout_order_free(o);
    }
}


/* A log line a second is enough for what happens to every call. */
static void
ngx_http_checkout_gate_log(ngx_http_checkout_gate_t *gate, const char *what, const char *text)
{
    if (gate->logged != ngx_time()) {
        gate->logged = ngx_time();
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "checkout: Redis %V %s: %s",
                      &gate->redis->settings.server->name, what, text);
    }
}


/*
 * Redis refused the call as a whole, before the script's first write: nothing was deducted. Only an error
 * that the script itself raised half way leaves the outcome open; Redis names such errors "user_script".
 */
static void
ngx_http_checkout_gate_refused(ngx_http_checkout_batch_t *batch, redisReply *reply)
{
    ngx_http_checkout_gate_t  *gate;

    gate = batch->gate;

    if (ngx_http_checkout_redis_error_is(reply, "NOSCRIPT") && !batch->source) {
        gate->source = 1;
        ngx_http_checkout_batch_put_back(batch, 0);
        return;
    }

    ngx_http_checkout_count(errors, 1);
    ngx_http_checkout_gate_log(gate, "refused orders", reply->str);

    /* Another server may be the primary now; a new connection asks for its address and says the password again. */
    if (ngx_http_checkout_redis_error_is(reply, "READONLY") || ngx_http_checkout_redis_error_is(reply, "NOAUTH")) {
        ngx_http_checkout_redis_drop(gate->redis);
    }

    if (ngx_strstr(reply->str, "user_script") != NULL) {
        ngx_http_checkout_batch_fail(batch, &ngx_http_checkout_unknown);
        return;
    }

    ngx_http_checkout_batch_fail(batch, &ngx_http_checkout_unavailable);
}


static void
ngx_http_checkout_gate_answer(ngx_http_checkout_batch_t *batch, redisReply *reply)
{
    ngx_uint_t  i;

    if (reply->type == REDIS_REPLY_ERROR) {
        ngx_http_checkout_gate_refused(batch, reply);
        return;
    }

    if (!ngx_http_checkout_gate_check_reply(batch, reply)) {
        ngx_http_checkout_gate_log(batch->gate, "answered orders", "not as the script does");
        ngx_http_checkout_redis_drop(batch->gate->redis);
        ngx_http_checkout_batch_fail(batch, &ngx_http_checkout_unknown);
        return;
    }

    if (batch->gate->zone != NULL) {
        batch->gate->redis->gauge->queued = checkout_verdict_queued(reply);
        ngx_http_checkout_observe_call(batch->norders, ngx_http_checkout_now_us() - batch->sent_us);
    }

    for (i = 0; i < batch->ngroups; i++) {
        ngx_http_checkout_gate_decide_group(batch, &batch->groups[i], checkout_verdict_group(reply, i));
    }

    ngx_http_checkout_batch_free(batch);
}


static void
ngx_http_checkout_gate_reply(ngx_http_checkout_call_t *call, redisReply *reply)
{
    ngx_http_checkout_batch_t  *batch;
    ngx_http_checkout_redis_t  *redis;

    batch = (ngx_http_checkout_batch_t *) ((u_char *) call - offsetof(ngx_http_checkout_batch_t, call));
    redis = batch->gate->redis;

    redis->batches--;

    if (reply == NULL) {
        ngx_http_checkout_count(resent, batch->norders);
        ngx_http_checkout_batch_put_back(batch, 1);
        return;
    }

    ngx_http_checkout_gate_answer(batch, reply);

    if (ngx_http_checkout_redis_ready(redis) == NGX_OK) {
        ngx_http_checkout_redis_wake(redis);
    }
}
