#include "redis/in_flight.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "failpoint.h"
#include "redis/keys.h"
#include "redis/queue_entry.h"
#include "text/number.h"

#define DELIVERED_LATER 200 /* entries looked at beside those that were delivered: the queue goes on meanwhile */
#define AGAIN_PAGES     64  /* read again at most, of what was delivered and still stands in the queue */


void
in_flight_begin(struct in_flight *f, const uint64_t *ids, size_t n, int keep)
{
    in_flight_free(f);
    f->products = memory_resize(NULL, n > 0 ? n : 1, sizeof(*f->products));
    f->count = n;
    f->keep = keep;

    for (size_t i = 0; i < n; i++) {
        f->products[i] = (struct in_flight_product) { .id = ids[i] };
    }
}


static struct in_flight_product *
find_product(const struct in_flight *f, uint64_t id)
{
    size_t low = 0, high = f->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (f->products[middle].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }

    return low < f->count && f->products[low].id == id ? &f->products[low] : NULL;
}


/* A field that is a whole number; 0 where it is none or missing. */
static uint64_t
number_of(const redisReply *entry, const char *name)
{
    const char *text = queue_entry_field(entry, name);
    uint64_t number;

    return text != NULL && number_parse(&number, text, strlen(text), INT64_MAX) == 0 ? number : 0;
}


static struct stream_place
place_of(const char *id)
{
    char *rest;
    struct stream_place place = { .ms = strtoull(id, &rest, 10) };

    place.sequence = *rest == '-' ? strtoull(rest + 1, NULL, 10) : 0;
    return place;
}


static int
is_after(struct stream_place a, struct stream_place b)
{
    return a.ms != b.ms ? a.ms > b.ms : a.sequence > b.sequence;
}


static void
keep_entry(struct in_flight_product *p, struct stream_place id, int64_t units)
{
    if (p->count == p->capacity) {
        p->capacity = p->capacity == 0 ? 16 : 2 * p->capacity;
        p->entries = memory_resize(p->entries, p->capacity, sizeof(*p->entries));
    }

    p->entries[p->count++] = (struct in_flight_entry) { .id = id, .units = units };
}


static void
add_entry(struct in_flight *f, const redisReply *entry, struct stream_place id)
{
    struct in_flight_product *p = find_product(f, number_of(entry, "product"));
    int64_t units = (int64_t) number_of(entry, "units");

    f->dead_letters += f->in_dead_letters;
    f->orders += f->in_dead_letters ? 0 : (int64_t) number_of(entry, "count");

    if (p == NULL) {
        return;
    }

    if (f->in_dead_letters) {
        p->dead_units += units;
        return;
    }

    p->queue_units += units;

    if (f->keep) {
        keep_entry(p, id, units);
    }
}


/* A page of entries behind `after`, up to the id `last`. */
static redisReply *
read_page(struct redis_connection *conn, int dead_letters, struct stream_place after, const char *last)
{
    struct redis_args args = { 0 };

    args_text(&args, "XRANGE");
    (dead_letters ? key_dead_letters : key_queue)(&args);
    args_format(&args, "(%" PRIu64 "-%" PRIu64, after.ms, after.sequence);
    args_text(&args, last);
    args_text(&args, "COUNT");
    args_number(&args, IN_FLIGHT_PAGE);

    redisReply *page = EFFECT("in_flight.page", redis_call(conn, &args, 0));

    args_free(&args);
    return page;
}


int
in_flight_step(struct in_flight *f, struct redis_connection *conn)
{
    struct stream_place *at = f->in_dead_letters ? &f->dead : &f->queue;
    redisReply *page = read_page(conn, f->in_dead_letters, *at, "+");

    if (page == NULL) {
        return -1;
    }

    size_t n = page->type == REDIS_REPLY_ARRAY ? page->elements : 0;

    for (size_t i = 0; i < n; i++) {
        *at = place_of(queue_entry_id(page->element[i]));
        add_entry(f, page->element[i], *at);
    }

    freeReplyObject(page);

    if (n == IN_FLIGHT_PAGE) {
        return 1;
    }

    f->in_dead_letters = !f->in_dead_letters;
    return f->in_dead_letters;
}


int
in_flight_read(struct in_flight *f, struct redis_connection *conn)
{
    int more;

    do {
        more = in_flight_step(f, conn);
    } while (more == 1);

    return more;
}


const struct in_flight_product *
in_flight_find(const struct in_flight *f, uint64_t product)
{
    return find_product(f, product);
}


int64_t
in_flight_units(const struct in_flight *f, uint64_t product)
{
    const struct in_flight_product *p = find_product(f, product);

    return p != NULL ? p->queue_units + p->dead_units : 0;
}


/* The id up to which the group was given entries; zero where there is no group, or no queue. */
static int
read_delivered(struct redis_connection *conn, struct stream_place *delivered)
{
    struct redis_args args = { 0 };

    *delivered = (struct stream_place) { 0 };
    args_text(&args, "XINFO");
    args_text(&args, "GROUPS");
    key_queue(&args);

    redisReply *groups = EFFECT("in_flight.page", redis_call(conn, &args, 0));

    args_free(&args);

    if (groups == NULL) {
        return strstr(conn->error, "no such key") != NULL ? 0 : -1;
    }

    for (size_t i = 0; i < groups->elements; i++) {
        const redisReply *name = reply_field(groups->element[i], "name");
        const redisReply *id = reply_field(groups->element[i], "last-delivered-id");

        if (name != NULL && id != NULL && strcmp(name->str, CONSUMER_GROUP) == 0) {
            *delivered = place_of(id->str);
        }
    }

    freeReplyObject(groups);
    return 0;
}


/* Entries of the product that still stand, from its first one up to `last`. Returns as in_flight_words() does. */
static int
read_standing(struct redis_connection *conn, const struct in_flight_product *p, struct stream_place last,
              struct in_flight_product *standing)
{
    struct stream_place at = p->entries[0].id;
    char until[48];
    size_t n = IN_FLIGHT_PAGE;

    /* XRANGE begins behind `at`, and the first entry may stand still. */
    at = at.sequence > 0 ? (struct stream_place) { at.ms, at.sequence - 1 }
                         : (struct stream_place) { at.ms - 1, UINT64_MAX };
    snprintf(until, sizeof(until), "%" PRIu64 "-%" PRIu64, last.ms, last.sequence);

    for (int pages = 0; n == IN_FLIGHT_PAGE; pages++) {
        redisReply *page = pages < AGAIN_PAGES ? read_page(conn, 0, at, until) : NULL;

        if (page == NULL) {
            return pages < AGAIN_PAGES ? -1 : 1;
        }

        n = page->type == REDIS_REPLY_ARRAY ? page->elements : 0;

        for (size_t i = 0; i < n; i++) {
            at = place_of(queue_entry_id(page->element[i]));

            if (number_of(page->element[i], "product") == p->id) {
                keep_entry(standing, at, (int64_t) number_of(page->element[i], "units"));
            }
        }

        freeReplyObject(page);
    }

    return standing->count + DELIVERED_LATER <= IN_FLIGHT_CHECKED ? 0 : 1;
}


/* Forgets what was read and has been settled since. *checked: entries that may be settled soon. */
static int
forget_settled(struct in_flight_product *p, struct redis_connection *conn, size_t *checked)
{
    struct in_flight_product left = { .id = p->id, .dead_units = p->dead_units };
    struct stream_place delivered;
    int result = read_delivered(conn, &delivered);

    if (result == 0 && is_after(p->entries[0].id, delivered)) {
        *checked = DELIVERED_LATER;
        return 0;
    }

    if (result == -1 || (result = read_standing(conn, p, delivered, &left)) != 0) {
        free(left.entries);
        return result;
    }

    *checked = left.count + DELIVERED_LATER;

    for (size_t i = 0; i < p->count; i++) {
        if (is_after(p->entries[i].id, delivered)) {
            keep_entry(&left, p->entries[i].id, p->entries[i].units);
        }
    }

    for (size_t i = 0; i < left.count; i++) {
        left.queue_units += left.entries[i].units;
    }

    free(p->entries);
    *p = left;
    return 0;
}


static void
add_place(struct redis_args *args, struct stream_place place)
{
    args_format(args, "%" PRIu64 "-%" PRIu64, place.ms, place.sequence);
}


int
in_flight_words(struct in_flight *f, struct redis_connection *conn, uint64_t product, struct redis_args *args)
{
    struct in_flight_product none = { .id = product }, *found = find_product(f, product), *p = found ? found : &none;
    size_t checked = p->count;

    if (p->count > IN_FLIGHT_CHECKED) {
        int result = forget_settled(p, conn, &checked);

        if (result != 0) {
            return result;
        }

        checked = checked < p->count ? checked : p->count;
    }

    int64_t behind = 0;

    for (size_t i = checked; i < p->count; i++) {
        behind += p->entries[i].units;
    }

    add_place(args, f->queue);
    add_place(args, f->dead);
    args_number(args, f->dead_letters);
    args_signed(args, p->dead_units);

    if (checked < p->count) {
        add_place(args, p->entries[checked - 1].id);
    } else {
        args_text(args, "-");
    }

    args_signed(args, behind);

    for (size_t i = 0; i < checked; i++) {
        add_place(args, p->entries[i].id);
    }

    return 0;
}


void
in_flight_again(struct in_flight *f)
{
    f->in_dead_letters = 0;
    f->dead = (struct stream_place) { 0 };
    f->dead_letters = 0;

    for (size_t i = 0; i < f->count; i++) {
        f->products[i].dead_units = 0;
    }
}


void
in_flight_free(struct in_flight *f)
{
    for (size_t i = 0; i < f->count; i++) {
        free(f->products[i].entries);
    }

    free(f->products);
    *f = (struct in_flight) { 0 };
}
