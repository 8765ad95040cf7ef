/*
 * What place_order.lua answers, read from a reply of Redis. Nothing here allocates or keeps a pointer.
 */
#ifndef CHECKOUT_ORDER_VERDICT_H
#define CHECKOUT_ORDER_VERDICT_H

#include <hiredis/hiredis.h>
#include <stddef.h>
#include <stdint.h>

enum checkout_verdict_kind {
    CHECKOUT_VERDICT_NONE, /* no answer of the script's: the outcome is not known */
    CHECKOUT_VERDICT_QUEUED,
    CHECKOUT_VERDICT_KNOWN, /* accepted before; status: of its record */
    CHECKOUT_VERDICT_CONFLICT,
    CHECKOUT_VERDICT_REBUILDING,
    CHECKOUT_VERDICT_STOCK_NOT_LOADED,
    CHECKOUT_VERDICT_UNKNOWN_PRODUCT,
    CHECKOUT_VERDICT_SALE_NOT_STARTED, /* number: ms to wait */
    CHECKOUT_VERDICT_SALE_ENDED,
    CHECKOUT_VERDICT_OVER_QUANTITY,  /* number: the most that one order may have */
    CHECKOUT_VERDICT_PURCHASE_LIMIT, /* number: the most that one user may have */
    CHECKOUT_VERDICT_QUEUE_FULL,
    CHECKOUT_VERDICT_OUT_OF_STOCK, /* number: units left */
    CHECKOUT_VERDICT_BROKEN,       /* a key of the product cannot be read or written; nothing was accepted */
    CHECKOUT_VERDICTS
};

struct checkout_verdict {
    enum checkout_verdict_kind kind;
    uint64_t number;    /* as above; 0 for the kinds that have none */
    const char *status; /* into the reply; only of KNOWN */
    size_t status_len;
};

/* Returns 1 when the reply has the form of an answer to a call with so many groups, else 0. */
int checkout_verdict_is_reply(const redisReply *reply, size_t groups);

/* Returns 1 when a group of the reply has one verdict for all, or one for each of so many orders, else 0. */
int checkout_verdict_is_group(const redisReply *group, size_t orders);

/* Orders in the queue, of a reply that has been checked. */
uint64_t checkout_verdict_queued(const redisReply *reply);

/* The group number i, from 0, of a reply that has been checked. */
const redisReply *checkout_verdict_group(const redisReply *reply, size_t i);

/* Verdict of order i, from 0, of a group that has been checked for so many orders. */
void checkout_verdict_read(struct checkout_verdict *verdict, const redisReply *group, size_t orders, size_t i);

#endif
