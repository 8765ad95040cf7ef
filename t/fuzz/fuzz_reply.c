/*
 * Fuzzer of what comes back from Redis (libFuzzer): bytes through hiredis' reader, in pieces as a socket gives
 * them, and every whole reply through the interpretation of place_order's answers. The first byte of the input
 * says how many groups and orders the call had, the second how large the pieces are.
 */
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "order/verdict.h"
#include "text/reply_reader.h"

#define GROUPS_MAX 8
#define ORDERS_MAX 32


static void
check_verdict(const struct checkout_verdict *verdict, const redisReply *group)
{
    if ((unsigned) verdict->kind >= CHECKOUT_VERDICTS) {
        abort();
    }

    if (verdict->kind == CHECKOUT_VERDICT_KNOWN && (verdict->status == NULL || verdict->status_len == 0)) {
        abort();
    }

    if (verdict->kind == CHECKOUT_VERDICT_OUT_OF_STOCK && group->element[0]->integer > 0
        && verdict->number != (uint64_t) group->element[0]->integer)
    {
        abort();
    }
}


static void
read_group(const redisReply *group, size_t orders)
{
    struct checkout_verdict verdict;

    if (!checkout_verdict_is_group(group, orders)) {
        return;
    }

    for (size_t i = 0; i < orders; i++) {
        checkout_verdict_read(&verdict, group, orders, i);
        check_verdict(&verdict, group);
    }
}


static void
read_reply(const redisReply *reply, size_t groups, size_t orders)
{
    if (!checkout_verdict_is_reply(reply, groups)) {
        return;
    }

    (void) checkout_verdict_queued(reply);

    for (size_t i = 0; i < groups; i++) {
        read_group(checkout_verdict_group(reply, i), orders);
    }
}


/* Returns 0 when the connection would be closed. */
static int
read_replies(redisReader *reader, size_t groups, size_t orders)
{
    void *reply;

    for (;;) {
        reply = NULL;

        if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
            return 0;
        }

        if (reply == NULL) {
            return 1;
        }

        read_reply(reply, groups, orders);
        freeReplyObject(reply);
    }
}


int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    redisReader *reader;
    size_t groups, orders, piece, n;

    if (size < 2) {
        return 0;
    }

    groups = 1 + data[0] % GROUPS_MAX;
    orders = 1 + data[0] / GROUPS_MAX % ORDERS_MAX;
    piece = 1 + data[1];
    reader = checkout_reply_reader_create();

    for (size_t at = 2; at < size; at += n) {
        n = size - at < piece ? size - at : piece;

        if (redisReaderFeed(reader, (const char *) data + at, n) != REDIS_OK || !read_replies(reader, groups, orders)) {
            break;
        }
    }

    redisReaderFree(reader);
    return 0;
}
