#include "order/verdict.h"

#include <string.h>

#include "order/order.h"
#include "text/number.h"


/* clang-format off */
#define WORD(kind, text, number)  { CHECKOUT_VERDICT_ ## kind, sizeof text - 1, text, number }
/* clang-format on */

/* number: 1 where one follows behind the word */
static const struct {
    enum checkout_verdict_kind kind;
    size_t len;
    const char *text;
    int number;
} words[] = {
    WORD(QUEUED, "queued", 0),
    WORD(OUT_OF_STOCK, "out_of_stock", 0),
    WORD(CONFLICT, "conflict", 0),
    WORD(REBUILDING, "rebuilding", 0),
    WORD(STOCK_NOT_LOADED, "stock_not_loaded", 0),
    WORD(UNKNOWN_PRODUCT, "unknown_product", 0),
    WORD(SALE_NOT_STARTED, "sale_not_started", 1),
    WORD(SALE_ENDED, "sale_ended", 0),
    WORD(OVER_QUANTITY, "over_quantity", 1),
    WORD(PURCHASE_LIMIT, "purchase_limit", 1),
    WORD(QUEUE_FULL, "queue_full", 0),
    WORD(BROKEN, "broken", 0),
};


int
checkout_verdict_is_reply(const redisReply *reply, size_t groups)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 + groups
           && reply->element[0]->type == REDIS_REPLY_INTEGER;
}


int
checkout_verdict_is_group(const redisReply *group, size_t orders)
{
    return group->type == REDIS_REPLY_ARRAY && (group->elements == 2 || group->elements == 1 + orders)
           && group->element[0]->type == REDIS_REPLY_INTEGER;
}


uint64_t
checkout_verdict_queued(const redisReply *reply)
{
    long long queued = reply->element[0]->integer;

    return queued > 0 ? (uint64_t) queued : 0;
}


const redisReply *
checkout_verdict_group(const redisReply *reply, size_t i)
{
    return reply->element[1 + i];
}


static void
read_known(struct checkout_verdict *verdict, const char *text, size_t len)
{
    struct checkout_record record;

    if (checkout_record_parse(&record, text, len) == 0) {
        verdict->kind = CHECKOUT_VERDICT_KNOWN;
        verdict->status = record.status;
        verdict->status_len = record.status_len;
    }
}


static void
read_word(struct checkout_verdict *verdict, const char *text, size_t len)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t word = words[i].len;

        if (len < word || memcmp(text, words[i].text, word) != 0) {
            continue;
        }

        if (words[i].number ? len > word + 1 && text[word] == ' '
                                  && number_parse(&verdict->number, text + word + 1, len - word - 1, UINT64_MAX) == 0
                            : len == word)
        {
            verdict->kind = words[i].kind;
        }

        return;
    }
}


void
checkout_verdict_read(struct checkout_verdict *verdict, const redisReply *group, size_t orders, size_t i)
{
    const redisReply *answer = group->element[group->elements == 1 + orders ? 1 + i : 1];
    long long left = group->element[0]->integer;

    *verdict = (struct checkout_verdict) { .kind = CHECKOUT_VERDICT_NONE };

    if (answer->type != REDIS_REPLY_STRING) {
        return;
    }

    if (answer->len > 6 && memcmp(answer->str, "known ", 6) == 0) {
        read_known(verdict, answer->str + 6, answer->len - 6);
        return;
    }

    read_word(verdict, answer->str, answer->len);

    if (verdict->kind == CHECKOUT_VERDICT_OUT_OF_STOCK && left > 0) {
        verdict->number = (uint64_t) left;
    }
}
