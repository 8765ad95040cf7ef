/*
 * Orders that leave as one call of place_order.lua.
 */
#include "gate/batch.h"

#include "text/number.h"

#include <string.h>


#define NGX_HTTP_CHECKOUT_BATCH_DAY_MS  86400000


void
ngx_http_checkout_batch_init(ngx_http_checkout_batch_t *batch)
{
    batch->norders = 0;
    batch->ngroups = 0;
}


/* The group of a product, a new one if need be; ngroups when there is none. */
static uint32_t
ngx_http_checkout_batch_group(ngx_http_checkout_batch_t *batch,
    uint64_t product_id)
{
    uint32_t                          i;
    ngx_http_checkout_batch_group_t  *group;

    for (i = 0; i < batch->ngroups; i++) {
        if (batch->groups[i].product_id == product_id) {
            return i;
        }
    }

    if (i < NGX_HTTP_CHECKOUT_BATCH_GROUPS) {
        batch->ngroups++;
        group = &batch->groups[i];
        memset(group, 0, sizeof(ngx_http_checkout_batch_group_t));
        group->product_id = product_id;
    }

    return i;
}


int
ngx_http_checkout_batch_add(ngx_http_checkout_batch_t *batch,
    ngx_http_checkout_batch_order_t *order)
{
    uint32_t                          i;
    ngx_http_checkout_batch_group_t  *group;

    if (batch->norders == NGX_HTTP_CHECKOUT_BATCH_ORDERS) {
        return -1;
    }

    i = ngx_http_checkout_batch_group(batch, order->order.product_id);

    if (i == NGX_HTTP_CHECKOUT_BATCH_GROUPS) {
        return -1;
    }

    group = &batch->groups[i];
    group->orders++;
    group->units += order->order.quantity;
    group->check |= order->sent | order->keyed;

    if (group->largest < order->order.quantity) {
        group->largest = order->order.quantity;
    }

    batch->group[batch->norders] = i;
    batch->orders[batch->norders++] = order;

    return 0;
}


void
ngx_http_checkout_batch_close(ngx_http_checkout_batch_t *batch)
{
    uint32_t                          i, first;
    ngx_http_checkout_batch_group_t  *group;
    ngx_http_checkout_batch_order_t  *arrived[NGX_HTTP_CHECKOUT_BATCH_ORDERS];

    for (first = 0, i = 0; i < batch->ngroups; i++) {
        batch->groups[i].first = first;
        first += batch->groups[i].orders;
        batch->groups[i].orders = 0;
    }

    memcpy(arrived, batch->orders, batch->norders * sizeof(arrived[0]));

    for (i = 0; i < batch->norders; i++) {
        group = &batch->groups[batch->group[i]];
        batch->orders[group->first + group->orders++] = arrived[i];
    }
}


/* May some order be known to Redis? */
static int
ngx_http_checkout_batch_checks(const ngx_http_checkout_batch_t *batch)
{
    uint32_t  i;

    for (i = 0; i < batch->ngroups; i++) {
        if (batch->groups[i].check) {
            return 1;
        }
    }

    return 0;
}


uint32_t
ngx_http_checkout_batch_keys(const ngx_http_checkout_batch_t *batch)
{
    return 4 + 3 * batch->ngroups + ngx_http_checkout_batch_checks(batch);
}


static void
ngx_http_checkout_batch_encode_day(
    const ngx_http_checkout_batch_writer_t *writer, uint64_t ms)
{
    char  day[CHECKOUT_DAY_LEN];

    checkout_day(day, ms);
    writer->key("orders:", day, CHECKOUT_DAY_LEN, "");
}


static void
ngx_http_checkout_batch_encode_keys(const ngx_http_checkout_batch_t *batch,
    const ngx_http_checkout_batch_writer_t *writer, uint64_t now_ms)
{
    char      id[20];
    size_t    len;
    uint32_t  i;

    writer->key("", "order-processing-queue",
                sizeof("order-processing-queue") - 1, "");
    writer->key("", "gate", sizeof("gate") - 1, "");
    ngx_http_checkout_batch_encode_day(writer, now_ms);
    ngx_http_checkout_batch_encode_day(
        writer, now_ms - NGX_HTTP_CHECKOUT_BATCH_DAY_MS);

    for (i = 0; i < batch->ngroups; i++) {
        len = number_write(id, batch->groups[i].product_id) - id;

        writer->key("product:", id, len, ":stock");
        writer->key("product:", id, len, ":register");
        writer->key("product:", id, len, ":buyers");
    }

    if (ngx_http_checkout_batch_checks(batch)) {
        ngx_http_checkout_batch_encode_day(
            writer, now_ms + NGX_HTTP_CHECKOUT_BATCH_DAY_MS);
    }
}


static void
ngx_http_checkout_batch_encode_nonce(
    const ngx_http_checkout_batch_writer_t *writer, const unsigned char *nonce)
{
    char               *p;
    int                 i;
    static const char   hex[] = "0123456789abcdef";

    p = writer->space(2 * NGX_HTTP_CHECKOUT_BATCH_NONCE);

    for (i = 0; i < NGX_HTTP_CHECKOUT_BATCH_NONCE; i++) {
        *p++ = hex[nonce[i] >> 4];
        *p++ = hex[nonce[i] & 0xf];
    }

    writer->take(2 * NGX_HTTP_CHECKOUT_BATCH_NONCE);
}


static void
ngx_http_checkout_batch_encode_group(const ngx_http_checkout_batch_t *batch,
    const ngx_http_checkout_batch_group_t *group,
    const ngx_http_checkout_batch_writer_t *writer, const unsigned char *nonce)
{
    size_t                                  len;
    uint32_t                                i;
    const ngx_http_checkout_batch_order_t  *o;

    writer->number(group->product_id);
    ngx_http_checkout_batch_encode_nonce(writer, nonce);
    writer->number(group->orders);
    writer->number(group->units);
    writer->number(group->largest);
    writer->text(group->check ? "1" : "0", 1);

    for (i = group->first; i < group->first + group->orders; i++) {
        o = batch->orders[i];

        writer->text(o->identifier, CHECKOUT_IDENTIFIER_LEN);

        len = checkout_record_write(writer->space(CHECKOUT_RECORD_MAX),
                                    "queued", "", &o->order, o->accepted_ms);
        writer->take(len);
    }
}


void
ngx_http_checkout_batch_encode(const ngx_http_checkout_batch_t *batch,
    const ngx_http_checkout_batch_writer_t *writer, uint64_t queue_limit,
    uint64_t now_ms, const unsigned char *nonces)
{
    char      *today;
    uint32_t   i;

    ngx_http_checkout_batch_encode_keys(batch, writer, now_ms);

    writer->number(queue_limit);

    today = writer->space(CHECKOUT_DAY_LEN);
    checkout_day(today, now_ms);
    writer->take(CHECKOUT_DAY_LEN);

    for (i = 0; i < batch->ngroups; i++) {
        ngx_http_checkout_batch_encode_group(
            batch, &batch->groups[i], writer,
            nonces + i * NGX_HTTP_CHECKOUT_BATCH_NONCE);
    }
}


int
ngx_http_checkout_batch_is_reply(const ngx_http_checkout_batch_t *batch,
    const redisReply *reply)
{
    uint32_t           i;
    const redisReply  *group;

    if (!checkout_verdict_is_reply(reply, batch->ngroups)) {
        return 0;
    }

    for (i = 0; i < batch->ngroups; i++) {
        group = checkout_verdict_group(reply, i);

        if (!checkout_verdict_is_group(group, batch->groups[i].orders)) {
            return 0;
        }
    }

    return 1;
}


int
ngx_http_checkout_batch_verdict(const ngx_http_checkout_batch_t *batch,
    uint32_t group, uint32_t i, const redisReply *reply,
    struct checkout_verdict *verdict)
{
    const redisReply  *words;

    words = checkout_verdict_group(reply, group);
    checkout_verdict_read(verdict, words, batch->groups[group].orders, i);

    return words->elements == 2;
}
