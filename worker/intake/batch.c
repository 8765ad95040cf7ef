#include "intake/batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/identifier_table.h"
#include "base/memory.h"
#include "lifecycle/rules.h"
#include "redis/queue_entry.h"


static void *
grow(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) {
        return array;
    }

    *capacity = *capacity == 0 ? 64 : *capacity * 2;
    return memory_resize(array, *capacity, size);
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


static void
append_order(struct batch *b, const struct queue_entry_order *o)
{
    b->orders = grow(b->orders, b->order_count, &b->order_capacity, sizeof(struct order));
    b->orders[b->order_count++] = (struct order) {
        .identifier = o->identifier,
        .record = o->record,
        .record_len = o->record_len,
        .asked = o->asked,
        .accepted_ms = o->accepted_ms,
        .entry = b->entry_count
    };
}


int
batch_add(struct batch *batch, const redisReply *reply, const char **why)
{
    size_t first = batch->order_count;
    struct queue_entry e;
    struct queue_entry_order order;
    int more = queue_entry_read(&e, reply) == -1 ? -1 : 1;

    while (more == 1 && (more = queue_entry_next_order(&e, &order)) == 1) {
        append_order(batch, &order);
    }

    if (more == -1) {
        batch->order_count = first;
        *why = e.why;
        return -1;
    }

    batch->entries = grow(batch->entries, batch->entry_count, &batch->entry_capacity, sizeof(struct entry));
    batch->entries[batch->entry_count] = (struct entry) {
        .id = e.id,
        .nonce = e.nonce,
        .day = e.day,
        .product_id = e.product_id,
        .units = e.units,
        .first_order = first,
        .orders = e.orders,
        .bucket = bucket_of(batch, e.day)
    };
    batch->entry_count++;
    return 0;
}


void
batch_drop_last(struct batch *batch)
{
    batch->entry_count--;
    batch->order_count = batch->entries[batch->entry_count].first_order;
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
    struct identifier_table seen = { 0 };

    if (b->entry_count == 0) {
        return;
    }

    collect_products(b);
    identifier_table_prepare(&seen, b->order_count);

    for (size_t i = 0; i < b->entry_count; i++) {
        struct product_row key = { .id = b->entries[i].product_id };
        struct product_row *p = bsearch(&key, b->products, b->product_count, sizeof(key), compare_products);

        for (size_t j = b->entries[i].first_order; j < b->entries[i].first_order + b->entries[i].orders; j++) {
            b->orders[j].product = (size_t) (p - b->products);
            b->orders[j].repeated = identifier_table_add(&seen, b->orders[j].identifier, j) != j;
        }
    }

    identifier_table_free(&seen);
}


enum gives_back
batch_order_gives_back(const struct order *o)
{
    enum order_status status = order_status_parse(o->status, strlen(o->status));

    /* One repeated in the queue was counted twice at the gate, and is one order. */
    if (o->verdict == VERDICT_CONFLICT || (o->repeated && o->verdict == VERDICT_EXISTS)) {
        return GIVES_BACK;
    }

    /*
     * An order that was cancelled in the queue, or not paid in time, gave its units back then, and one that was paid
     * after that took them again; but only if the change reached the gate, which its record shows.
     */
    return o->verdict == VERDICT_EXISTS || (status != ORDER_UNKNOWN && !order_is_live(status))
               ? GIVES_BACK_BY_RECORD
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
