#include "intake/batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/identifier_table.h"
#include "lifecycle/rules.h"


#define ORDER_WORDS 7   /* an identifier and the six words of its record */


static void *
grow(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) {
        return array;
    }

    *capacity = *capacity == 0 ? 64 : *capacity * 2;
    return memory_resize(array, *capacity, size);
}


static const redisReply *
find_field(const redisReply *fields, const char *name)
{
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        if (fields->element[i]->type == REDIS_REPLY_STRING && strcmp(fields->element[i]->str, name) == 0
            && fields->element[i + 1]->type == REDIS_REPLY_STRING)
        {
            return fields->element[i + 1];
        }
    }

    return NULL;
}


static int
read_count(const redisReply *fields, const char *name, uint64_t *value, uint64_t most)
{
    const redisReply *field = find_field(fields, name);

    return field == NULL ? -1 : checkout_uint_parse(value, field->str, (size_t) field->len, most);
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


static int
read_head(struct entry *e, const redisReply *reply, uint64_t *count)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2
        || reply->element[0]->type != REDIS_REPLY_STRING || reply->element[1]->type != REDIS_REPLY_ARRAY)
    {
        return -1;
    }

    const redisReply *fields = reply->element[1];
    const redisReply *nonce = find_field(fields, "nonce"), *day = find_field(fields, "day");

    if (nonce == NULL || nonce->len == 0 || (size_t) nonce->len > NONCE_MAX || !is_day(day)
        || read_count(fields, "product", &e->product_id, INT64_MAX) == -1
        || read_count(fields, "units", &e->units, INT64_MAX) == -1
        || read_count(fields, "count", count, ENTRY_ORDERS_MAX) == -1)
    {
        return -1;
    }

    e->id = reply->element[0]->str;
    e->nonce = nonce->str;
    e->day = day->str;
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
read_order(struct order *o, const char *p, const char *end, uint64_t product_id)
{
    struct checkout_record record;

    if (end - p <= CHECKOUT_IDENTIFIER_LEN || p[CHECKOUT_IDENTIFIER_LEN] != ' '
        || checkout_identifier_check(p, CHECKOUT_IDENTIFIER_LEN) == -1)
    {
        return -1;
    }

    *o = (struct order) { .identifier = p, .record = p + CHECKOUT_IDENTIFIER_LEN + 1 };
    o->record_len = (size_t) (end - o->record);

    if (checkout_record_parse(&record, o->record, o->record_len) == -1
        || record.order.product_id != product_id || record.order.quantity == 0)
    {
        return -1;
    }

    o->asked = record.order;
    o->accepted_ms = record.accepted_ms;
    return 0;
}


/* Appends the orders of one entry; order_count grows only by what was read. */
static int
read_orders(struct batch *b, const struct entry *e, const redisReply *text, uint64_t count)
{
    const char *p = text->str, *end = text->str + text->len;
    uint64_t units = 0;

    for (uint64_t i = 0; i < count; i++) {
        const char *stop = p < end ? skip_words(p, end, ORDER_WORDS) : NULL;

        b->orders = grow(b->orders, b->order_count, &b->order_capacity, sizeof(struct order));

        struct order *o = &b->orders[b->order_count];

        if (stop == NULL || read_order(o, p, stop, e->product_id) == -1) {
            return -1;
        }

        o->entry = b->entry_count;
        units += o->asked.quantity;
        b->order_count++;
        p = stop + 1;
    }

    return p == end + 1 && units == e->units ? 0 : -1;
}


/* Nearly always one bucket for all, two around midnight. */
static size_t
bucket_of(const struct batch *b, const char *day)
{
    if (b->entry_count == 0) {
        return 1;
    }

    const struct entry *last = &b->entries[b->entry_count - 1];

    return last->bucket + (strcmp(last->day, day) != 0);
}


int
batch_add(struct batch *batch, const redisReply *reply, const char **why)
{
    struct entry e = { .first_order = batch->order_count };
    uint64_t count;

    if (read_head(&e, reply, &count) == -1 || count == 0) {
        *why = "fields missing or wrong";
        return -1;
    }

    const redisReply *text = find_field(reply->element[1], "orders");

    if (text == NULL || read_orders(batch, &e, text, count) == -1) {
        batch->order_count = e.first_order;
        *why = "orders do not read as the entry's count, product and units say";
        return -1;
    }

    e.orders = (size_t) count;
    e.bucket = bucket_of(batch, e.day);
    batch->entries = grow(batch->entries, batch->entry_count, &batch->entry_capacity, sizeof(struct entry));
    batch->entries[batch->entry_count++] = e;
    return 0;
}


static int
compare_products(const void *a, const void *b)
{
    uint64_t x = ((const struct product_row *) a)->id, y = ((const struct product_row *) b)->id;

    return x < y ? -1 : x > y;
}


static void
collect_products(struct batch *b)
{
    size_t distinct = 0;

    b->product_count = 0;

    for (size_t i = 0; i < b->entry_count; i++) {
        b->products = grow(b->products, b->product_count, &b->product_capacity, sizeof(struct product_row));
        b->products[b->product_count++] = (struct product_row) { .id = b->entries[i].product_id };
    }

    qsort(b->products, b->product_count, sizeof(struct product_row), compare_products);

    for (size_t i = 0; i < b->product_count; i++) {
        if (i == 0 || b->products[i].id != b->products[distinct - 1].id) {
            b->products[distinct++] = b->products[i];
        }
    }

    b->product_count = distinct;
}


void
batch_complete(struct batch *b)
{
    struct identifiers seen = { 0 };

    if (b->entry_count == 0) {
        return;
    }

    collect_products(b);
    identifiers_prepare(&seen, b->order_count);

    for (size_t i = 0; i < b->entry_count; i++) {
        struct product_row key = { .id = b->entries[i].product_id };
        struct product_row *p = bsearch(&key, b->products, b->product_count, sizeof(key), compare_products);

        for (size_t j = b->entries[i].first_order; j < b->entries[i].first_order + b->entries[i].orders; j++) {
            b->orders[j].product = (size_t) (p - b->products);
            b->orders[j].repeated = identifiers_add(&seen, b->orders[j].identifier, j) != j;
        }
    }

    identifiers_free(&seen);
}


enum gives_back
order_gives_back(const struct order *o)
{
    enum life_status status = life_status_read(o->status, strlen(o->status));

    /* One repeated in the queue was counted twice at the gate, and only one of them stands. */
    if (o->verdict == VERDICT_CONFLICT || (o->repeated && o->verdict == VERDICT_STANDS)) {
        return GIVES_BACK;
    }

    /*
     * One that was cancelled in the queue, or sold and not paid, gave its units back then, and one that was paid after
     * that took them again; each if the gate was told.
     */
    return o->verdict == VERDICT_STANDS || (status != LIFE_UNKNOWN && !life_is_live(status)) ? GIVES_BACK_BY_RECORD
           : GIVES_NOTHING_BACK;
}


void
batch_clear(struct batch *batch)
{
    batch->entry_count = batch->order_count = batch->product_count = 0;
}


void
batch_free(struct batch *batch)
{
    free(batch->entries);
    free(batch->orders);
    free(batch->products);
    *batch = (struct batch) { 0 };
}
