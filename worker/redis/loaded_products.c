#include "redis/loaded_products.h"

#include <stdlib.h>
#include <string.h>

#include "base/ids.h"
#include "base/memory.h"
#include "failpoint.h"
#include "redis/keys.h"
#include "redis/scan.h"
#include "text/number.h"

#define IN_PAGE    1000
#define READ_TRIES 3


int
loaded_products_id(const char *key, size_t len, uint64_t *id)
{
    static const char prefix[] = "product:";
    const char *end = key + len;

    if (len < sizeof(prefix) || memcmp(key, prefix, sizeof(prefix) - 1) != 0) {
        return -1;
    }

    key += sizeof(prefix) - 1;

    const char *colon = memchr(key, ':', (size_t) (end - key));

    if (colon == NULL) {
        return -1;
    }

    size_t rest = (size_t) (end - colon);
    int ours = rest == 9 && memcmp(colon, ":register", 9) == 0;

    return ours && number_parse(id, key, (size_t) (colon - key), INT64_MAX) == 0 && *id > 0 ? 0 : -1;
}


static void
sort_distinct(uint64_t *ids, size_t *count)
{
    size_t distinct = 0;

    qsort(ids, *count, sizeof(*ids), ids_compare);

    for (size_t i = 0; i < *count; i++) {
        if (distinct == 0 || ids[i] != ids[distinct - 1]) {
            ids[distinct++] = ids[i];
        }
    }

    *count = distinct;
}


struct id_list {
    uint64_t **ids;
    size_t *count, *capacity;
};


static void
add_id(struct id_list *list, uint64_t id)
{
    if (*list->count == *list->capacity) {
        *list->capacity = *list->capacity == 0 ? 256 : *list->capacity * 2;
        *list->ids = memory_resize(*list->ids, *list->capacity, sizeof(**list->ids));
    }

    (*list->ids)[(*list->count)++] = id;
}


static int
add_registers(const redisReply *keys, void *data)
{
    for (size_t i = 0; i < keys->elements; i++) {
        uint64_t id;

        if (loaded_products_id(keys->element[i]->str, (size_t) keys->element[i]->len, &id) == 0) {
            add_id(data, id);
        }
    }

    return 0;
}


/* Members that are no ids are nobody's. */
static int
add_members(const redisReply *members, void *data)
{
    for (size_t i = 0; i < members->elements; i++) {
        uint64_t id;

        if (number_parse(&id, members->element[i]->str, (size_t) members->element[i]->len, INT64_MAX) == 0 && id > 0) {
            add_id(data, id);
        }
    }

    return 0;
}


/* Runs a command whose reply is a number. Returns it, `missing` for another reply, or -1 where Redis failed. */
static int64_t
ask_number(struct redis_connection *conn, struct redis_args *args, int64_t missing)
{
    redisReply *reply = EFFECT("loaded_products.call", redis_call(conn, args, 0));
    int64_t number = reply == NULL ? -1 : reply_number(reply, missing);

    args_free(args);

    if (reply != NULL) {
        freeReplyObject(reply);
    }

    return reply != NULL && number < 0 ? missing : number;
}


static int64_t
count_of_gate(struct redis_connection *conn)
{
    struct redis_args args = { 0 };

    args_text(&args, "HGET");
    key_gate(&args);
    args_text(&args, "products");
    return ask_number(conn, &args, 0);
}


static int64_t
count_of_set(struct redis_connection *conn)
{
    struct redis_args args = { 0 };

    args_text(&args, "SCARD");
    key_products(&args);

    int64_t number = ask_number(conn, &args, 0);

    if (number != -1 || strncmp(conn->error, "WRONGTYPE", 9) != 0) {
        return number;
    }

    /* The name is the project's: what else stands there has to go. */
    args_text(&args, "UNLINK");
    key_products(&args);
    return ask_number(conn, &args, 0) == -1 ? -1 : 0;
}


/* Both change in one step, but are read in two: a count of the gate that did not change meanwhile decides. */
static int
is_whole(struct redis_connection *conn)
{
    for (int tries = 0; tries < READ_TRIES; tries++) {
        int64_t before = count_of_gate(conn), members = count_of_set(conn), after = count_of_gate(conn);

        if (before == -1 || members == -1 || after == -1) {
            return -1;
        }

        if (before == after) {
            return members == after;
        }
    }

    return 1;
}


/* Adds all registers that there are to the set. */
static int
fill(struct redis_connection *conn, struct id_list *list)
{
    struct redis_args pattern = { 0 };

    *list->count = 0;
    args_text(&pattern, "product:*");

    int result = scan_keys(conn, &pattern, add_registers, list);

    args_free(&pattern);

    for (size_t i = 0; result == 0 && i < *list->count; i += IN_PAGE) {
        struct redis_args args = { 0 };

        args_text(&args, "SADD");
        key_products(&args);

        for (size_t k = i; k < *list->count && k < i + IN_PAGE; k++) {
            args_number(&args, (*list->ids)[k]);
        }

        result = ask_number(conn, &args, 0) == -1 ? -1 : 0;
    }

    return result;
}


int
loaded_products_read(struct redis_connection *conn, uint64_t **ids, size_t *count, size_t *capacity)
{
    struct id_list list = { ids, count, capacity };
    struct redis_args key = { 0 };
    int whole = is_whole(conn);

    *count = 0;

    if (whole == -1 || (whole == 0 && fill(conn, &list) == -1)) {
        return -1;
    }

    *count = 0;
    key_products(&key);

    int result = scan_members(conn, &key, IN_PAGE, add_members, &list);

    args_free(&key);

    if (result == 0 && *count > 0) {
        sort_distinct(*ids, count);
    }

    return result;
}
