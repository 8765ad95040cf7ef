#include "redis/queue_entry.h"

#include <string.h>

#include "order/identifier.h"
#include "redis/reply.h"
#include "text/number.h"


#define ORDER_WORDS 7 /* an identifier and the six words of its record */


static int
read_count(const redisReply *fields, const char *name, uint64_t *value, uint64_t most)
{
    const redisReply *field = reply_field(fields, name);

    return field == NULL ? -1 : number_parse(value, field->str, (size_t) field->len, most);
}


static int
is_day(const redisReply *day)
{
    if (day == NULL || day->len != CHECKOUT_DAY_LEN) {
        return 0;
    }

    for (size_t i = 0; i < CHECKOUT_DAY_LEN; i++) {
        int hyphen = i == 4 || i == 7;

        if (hyphen ? day->str[i] != '-' : day->str[i] < '0' || day->str[i] > '9') {
            return 0;
        }
    }

    return 1;
}


/* Everything but the orders. */
static int
read_head(struct queue_entry *e, const redisReply *reply)
{
    uint64_t count;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply->element[0]->type != REDIS_REPLY_STRING
        || reply->element[1]->type != REDIS_REPLY_ARRAY)
    {
        return -1;
    }

    const redisReply *fields = reply->element[1];
    const redisReply *nonce = reply_field(fields, "nonce"), *day = reply_field(fields, "day");

    if (nonce == NULL || nonce->len == 0 || (size_t) nonce->len > QUEUE_ENTRY_NONCE_MAX || !is_day(day)
        || read_count(fields, "product", &e->product_id, INT64_MAX) == -1
        || read_count(fields, "units", &e->units, INT64_MAX) == -1
        || read_count(fields, "count", &count, QUEUE_ENTRY_ORDERS_MAX) == -1 || count == 0)
    {
        return -1;
    }

    e->id = reply->element[0]->str;
    e->nonce = nonce->str;
    e->day = day->str;
    e->orders = (size_t) count;
    return 0;
}


static int
wrong_orders(struct queue_entry *e)
{
    e->why = "orders do not read as the entry's count, product and units say";
    return -1;
}


int
queue_entry_read(struct queue_entry *e, const redisReply *reply)
{
    *e = (struct queue_entry) { 0 };

    if (read_head(e, reply) == -1) {
        e->why = "fields missing or wrong";
        return -1;
    }

    const redisReply *orders = reply_field(reply->element[1], "orders");

    if (orders == NULL) {
        return wrong_orders(e);
    }

    e->next = orders->str;
    e->end = orders->str + orders->len;
    return 0;
}


/* The end of `words` words that single spaces divide, or NULL. */
static const char *
skip_words(const char *p, const char *end, unsigned words)
{
    for (; words > 0; words--) {
        const char *space = memchr(p, ' ', (size_t) (end - p));

        if (space == NULL) {
            return words == 1 ? end : NULL;
        }

        p = space + 1;
    }

    return p - 1;
}


/* Reads one order that ends at `end`. */
static int
read_order(struct queue_entry_order *o, const char *p, const char *end, uint64_t product_id)
{
    struct checkout_record record;

    if (end - p <= CHECKOUT_IDENTIFIER_LEN || p[CHECKOUT_IDENTIFIER_LEN] != ' '
        || checkout_identifier_check(p, CHECKOUT_IDENTIFIER_LEN) == -1)
    {
        return -1;
    }

    *o = (struct queue_entry_order) { .identifier = p, .record = p + CHECKOUT_IDENTIFIER_LEN + 1 };
    o->record_len = (size_t) (end - o->record);

    if (checkout_record_parse(&record, o->record, o->record_len) == -1 || record.order.product_id != product_id
        || record.order.quantity == 0)
    {
        return -1;
    }

    o->asked = record.order;
    o->accepted_ms = record.accepted_ms;
    return 0;
}


int
queue_entry_next_order(struct queue_entry *e, struct queue_entry_order *order)
{
    if (e->orders_read == e->orders) {
        return e->next == e->end + 1 && e->units_read == e->units ? 0 : wrong_orders(e);
    }

    const char *stop = e->next < e->end ? skip_words(e->next, e->end, ORDER_WORDS) : NULL;

    if (stop == NULL || read_order(order, e->next, stop, e->product_id) == -1) {
        return wrong_orders(e);
    }

    e->orders_read++;
    e->units_read += order->asked.quantity;
    e->next = stop + 1;
    return 1;
}


const char *
queue_entry_id(const redisReply *reply)
{
    return reply->element[0]->str;
}


const char *
queue_entry_field(const redisReply *reply, const char *name)
{
    const redisReply *field = reply_field(reply->element[1], name);

    return field != NULL ? field->str : NULL;
}
