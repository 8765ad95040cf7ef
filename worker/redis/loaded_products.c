#include "redis/loaded_products.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "failpoint.h"
#include "order/order.h"


int
scan_product_id(const char *key, size_t len, uint64_t *id)
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
    int ours = (rest == 9 && memcmp(colon, ":register", 9) == 0) || (rest == 6 && memcmp(colon, ":stock", 6) == 0);

    return ours && checkout_uint_parse(id, key, (size_t) (colon - key), INT64_MAX) == 0 && *id > 0 ? 0 : -1;
}


static int
compare_ids(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

    return x < y ? -1 : x > y;
}


static void
sort_distinct(uint64_t *ids, size_t *count)
{
    size_t distinct = 0;

    qsort(ids, *count, sizeof(*ids), compare_ids);

    for (size_t i = 0; i < *count; i++) {
        if (distinct == 0 || ids[i] != ids[distinct - 1]) {
            ids[distinct++] = ids[i];
        }
    }

    *count = distinct;
}


static redisReply *
scan_page(struct redis_conn *conn, const char *cursor)
{
    struct redis_args args = { 0 };

    args_text(&args, "SCAN");
    args_text(&args, cursor);
    args_text(&args, "MATCH");
    args_text(&args, "product:*");
    args_text(&args, "COUNT");
    args_text(&args, "1000");

    redisReply *reply = EFFECT("scan.page", redis_call(conn, &args, 0));

    args_free(&args);
    return reply;
}


int
scan_products(struct redis_conn *conn, uint64_t **ids, size_t *count, size_t *capacity)
{
    char cursor[32] = "0";

    *count = 0;

    do {
        redisReply *reply = scan_page(conn, cursor);

        if (reply == NULL) {
            return -1;
        }

        const redisReply *keys = reply->element[1];

        for (size_t i = 0; i < keys->elements; i++) {
            uint64_t id;

            if (scan_product_id(keys->element[i]->str, (size_t) keys->element[i]->len, &id) == 0) {
                if (*count == *capacity) {
                    *capacity = *capacity == 0 ? 256 : *capacity * 2;
                    *ids = memory_resize(*ids, *capacity, sizeof(**ids));
                }

                (*ids)[(*count)++] = id;
            }
        }

        snprintf(cursor, sizeof(cursor), "%s", reply->element[0]->str);
        freeReplyObject(reply);
    } while (strcmp(cursor, "0") != 0);

    if (*count > 0) {
        sort_distinct(*ids, count);
    }

    return 0;
}
