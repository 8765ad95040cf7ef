#include "redis/queue_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "redis/keys.h"
#include "redis/queue_entry.h"
#include "text/number.h"

#define PAGE 256 /* entries of one call, so that each blocks Redis only briefly */

static redisReply *
read_page(struct redis_connection *conn, key_maker stream, const char *after)
{
    struct redis_args args = { 0 };

    args_text(&args, "XRANGE");
    stream(&args);
    args_text(&args, after);
    args_text(&args, "+");
    args_text(&args, "COUNT");
    args_number(&args, PAGE);

    redisReply *page = redis_call(conn, &args, 0);

    args_free(&args);
    return page;
}


/* after: where to begin, "-" or "(<id>"; it becomes the place where the walk ended. */
static int
walk(struct redis_connection *conn, key_maker stream, char after[48], queue_visit visit, void *data)
{
    size_t entries = PAGE;
    int enough = 0;

    while (entries == PAGE && !enough) {
        redisReply *page = read_page(conn, stream, after);

        if (page == NULL) {
            return -1;
        }

        entries = page->type == REDIS_REPLY_ARRAY ? page->elements : 0;

        for (size_t i = 0; i < entries && !enough; i++) {
            enough = visit(page->element[i], data);
            snprintf(after, 48, "(%s", queue_entry_id(page->element[i]));
        }

        freeReplyObject(page);
    }

    return 0;
}


int
queue_view_walk(struct redis_connection *conn, key_maker stream, queue_visit visit, void *data)
{
    char after[48] = "-";

    return walk(conn, stream, after, visit, data);
}


static int
compare_units(const void *a, const void *b)
{
    uint64_t x = ((const struct queue_units *) a)->product, y = ((const struct queue_units *) b)->product;

    return x < y ? -1 : x > y;
}


static void
add_units(struct queue_view *v, const redisReply *entry)
{
    const char *product = queue_entry_field(entry, "product"), *units = queue_entry_field(entry, "units");
    uint64_t id, number;

    if (product == NULL || units == NULL || number_parse(&id, product, strlen(product), INT64_MAX) == -1
        || number_parse(&number, units, strlen(units), INT64_MAX) == -1)
    {
        return;
    }

    if (v->units_count == v->units_capacity) {
        v->units_capacity = v->units_capacity == 0 ? 64 : 2 * v->units_capacity;
        v->units = memory_resize(v->units, v->units_capacity, sizeof(*v->units));
    }

    v->units[v->units_count++] = (struct queue_units) { .product = id, .units = (int64_t) number };
}


static void
add_order(struct queue_view *v, const struct queue_entry_order *o)
{
    if (v->count == v->capacity) {
        v->capacity = v->capacity == 0 ? 256 : 2 * v->capacity;
        v->orders = memory_resize(v->orders, v->capacity, sizeof(*v->orders));
    }

    struct queued_order *q = &v->orders[v->count++];

    *q = (struct queued_order) {
        .product = o->asked.product_id, .user = o->asked.user_id, .quantity = o->asked.quantity
    };
    memcpy(q->identifier, o->identifier, CHECKOUT_IDENTIFIER_LEN);
}


/* Visits one entry; never enough. */
static int
add_entry(const redisReply *reply, void *data)
{
    struct queue_view *v = data;
    size_t first = v->count;
    struct queue_entry entry;
    struct queue_entry_order order;
    int more = queue_entry_read(&entry, reply) == -1 ? -1 : 1;

    add_units(v, reply);

    while (more == 1 && (more = queue_entry_next_order(&entry, &order)) == 1) {
        add_order(v, &order);
    }

    if (more == -1) {
        v->count = first;
        v->unreadable++;
    }

    return 0;
}


/* One sum for each product, in place of one for each entry. */
static void
sum_units(struct queue_view *v)
{
    size_t distinct = 0;

    if (v->units_count == 0) {
        return;
    }

    qsort(v->units, v->units_count, sizeof(*v->units), compare_units);

    for (size_t i = 0; i < v->units_count; i++) {
        if (distinct > 0 && v->units[distinct - 1].product == v->units[i].product) {
            v->units[distinct - 1].units += v->units[i].units;
        } else {
            v->units[distinct++] = v->units[i];
        }
    }

    v->units_count = distinct;
}


int
queue_view_read_on(struct redis_connection *conn, struct queue_view *view)
{
    int result = walk(conn, key_queue, view->queue_after, add_entry, view) == 0
                         && walk(conn, key_dead_letters, view->dead_after, add_entry, view) == 0
                     ? 0
                     : -1;

    sum_units(view);
    identifier_table_prepare(&view->by_identifier, view->count);

    for (size_t i = 0; i < view->count; i++) {
        (void) identifier_table_add(&view->by_identifier, view->orders[i].identifier, i);
    }

    return result;
}


int
queue_view_read(struct redis_connection *conn, struct queue_view *view)
{
    view->count = view->units_count = 0;
    view->unreadable = 0;
    strcpy(view->queue_after, "-");
    strcpy(view->dead_after, "-");
    return queue_view_read_on(conn, view);
}


const struct queued_order *
queue_view_find(const struct queue_view *view, const char *identifier)
{
    size_t i = view->count > 0 ? identifier_table_find(&view->by_identifier, identifier) : IDENTIFIER_TABLE_NONE;

    return i == IDENTIFIER_TABLE_NONE ? NULL : &view->orders[i];
}


int64_t
queue_view_units(const struct queue_view *view, uint64_t product)
{
    struct queue_units key = { .product = product };
    const struct queue_units *found = view->units_count == 0
                                          ? NULL
                                          : bsearch(&key, view->units, view->units_count, sizeof(key), compare_units);

    return found != NULL ? found->units : 0;
}


void
queue_view_free(struct queue_view *view)
{
    free(view->orders);
    free(view->units);
    identifier_table_free(&view->by_identifier);
    *view = (struct queue_view) { 0 };
}
