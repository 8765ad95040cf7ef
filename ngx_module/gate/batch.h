/*
 * Orders that leave as one call of place_order.lua: which of them, in which
 * words, and what its reply says of each.
 *
 * Pure C without nginx: nothing here allocates, blocks or keeps state.  A
 * batch points to its orders, which belong to the caller.
 */
#ifndef NGX_HTTP_CHECKOUT_GATE_BATCH_H
#define NGX_HTTP_CHECKOUT_GATE_BATCH_H

#include <hiredis/hiredis.h>
#include <stddef.h>
#include <stdint.h>

#include "order/identifier.h"
#include "order/order.h"
#include "order/verdict.h"


#define NGX_HTTP_CHECKOUT_BATCH_ORDERS  256 /* in one call */
#define NGX_HTTP_CHECKOUT_BATCH_GROUPS  64  /* products in one call */
#define NGX_HTTP_CHECKOUT_BATCH_NONCE   8   /* random bytes of a group */

/* The most keys and arguments that encode() writes. */
#define NGX_HTTP_CHECKOUT_BATCH_WORDS \
    (5 + 2 + 9 * NGX_HTTP_CHECKOUT_BATCH_GROUPS \
     + 2 * NGX_HTTP_CHECKOUT_BATCH_ORDERS)


typedef struct {
    struct checkout_order  order;
    uint64_t               accepted_ms;  /* since 1970 */
    unsigned               sent:1;       /* by a call whose reply was lost */
    unsigned               keyed:1;      /* has an Idempotency-Key */
    char                   identifier[CHECKOUT_IDENTIFIER_LEN];
} ngx_http_checkout_batch_order_t;

/* The orders of one product, in order of arrival. */
typedef struct {
    uint64_t  product_id;
    uint64_t  units;
    uint32_t  largest;  /* quantity of one order */
    uint32_t  orders;
    uint32_t  first;    /* of them, in batch->orders */
    unsigned  check:1;  /* some may be known to Redis */
} ngx_http_checkout_batch_group_t;

typedef struct {
    uint32_t                          norders;
    uint32_t                          ngroups;
    ngx_http_checkout_batch_group_t   groups[NGX_HTTP_CHECKOUT_BATCH_GROUPS];

    /* in order of arrival; once it is closed, group by group */
    ngx_http_checkout_batch_order_t  *orders[NGX_HTTP_CHECKOUT_BATCH_ORDERS];
    uint8_t                           group[NGX_HTTP_CHECKOUT_BATCH_ORDERS];
} ngx_http_checkout_batch_t;

/* Takes the words of a call, one after the other. */
typedef struct {
    /* prefix, name and suffix together are a key; the name is copied */
    void (*key)(const char *prefix, const char *name, size_t len,
               const char *suffix);
    /* a text that lives until the call is put together */
    void (*text)(const char *text, size_t len);
    void (*number)(uint64_t value);
    /* size bytes to write the next word into; never NULL */
    char *(*space)(size_t size);
    /* the first len bytes of that are the word */
    void (*take)(size_t len);
} ngx_http_checkout_batch_writer_t;


/* An empty batch, of memory that need not be zeroed. */
void ngx_http_checkout_batch_init(ngx_http_checkout_batch_t *batch);

/*
 * 0: the order, which arrived after those that were added before, is part of
 * the batch.  -1: the batch is full, or has no place for another product.
 */
int ngx_http_checkout_batch_add(ngx_http_checkout_batch_t *batch,
    ngx_http_checkout_batch_order_t *order);

/* Nothing more is added: puts the orders group by group. */
void ngx_http_checkout_batch_close(ngx_http_checkout_batch_t *batch);

/* How many keys the call has, of a batch that is closed and not empty. */
uint32_t ngx_http_checkout_batch_keys(const ngx_http_checkout_batch_t *batch);

/*
 * Writes keys and arguments as place_order.lua names them.  queue_limit:
 * orders that may stand in the queue; now_ms: since 1970; nonces:
 * NGX_HTTP_CHECKOUT_BATCH_NONCE random bytes for each group.
 */
void ngx_http_checkout_batch_encode(const ngx_http_checkout_batch_t *batch,
    const ngx_http_checkout_batch_writer_t *writer, uint64_t queue_limit,
    uint64_t now_ms, const unsigned char *nonces);

/*
 * 1: the reply has one verdict, or one for each order, for every group, as the
 * script answers a call of this batch.  0: it is something else.
 */
int ngx_http_checkout_batch_is_reply(const ngx_http_checkout_batch_t *batch,
    const redisReply *reply);

/*
 * The verdict of order i, from 0, of a group; reply: checked by is_reply().
 * Returns 1 when it is the verdict of all orders of the group, else 0.  A
 * status points into the reply.
 */
int ngx_http_checkout_batch_verdict(const ngx_http_checkout_batch_t *batch,
    uint32_t group, uint32_t i, const redisReply *reply,
    struct checkout_verdict *verdict);


#endif
