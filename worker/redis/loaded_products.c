#include "redis/loaded_products.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "order/order.h"
#include "redis/scan.h"
#include "text/number.h"


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
    int ours = (rest == 9 && memcmp(colon, ":register", 9) == 0) || (rest == 6 && memcmp(colon, ":stock", 6) == 0);

    return ours && number_parse(id, key, (size_t) (colon - key), INT64_MAX) == 0 && *id > 0 ? 0 : -1;
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


struct id_list {
    uint64_t **ids;
    size_t *count, *capacity;
};


static int
add_page(const redisReply *keys, void *data)
{
    struct id_list *list = data;

    for (size_t i = 0; i < keys->elements; i++) {
        uint64_t id;

        if (loaded_products_id(keys->element[i]->str, (size_t) keys->element[i]->len, &id) == -1) {
            continue;
        }

        if (*list->count == *list->capacity) {
            *list->capacity = *list->capacity == 0 ? 256 : *list->capacity * 2;
            *list->ids = memory_resize(*list->ids, *list->capacity, sizeof(**list->ids));
        }

        (*list->ids)[(*list->count)++] = id;
    }

    return 0;
}


int
loaded_products_read(struct redis_connection *conn, uint64_t **ids, size_t *count, size_t *capacity)
{
    struct id_list list = { ids, count, capacity };
    struct redis_args pattern = { 0 };

    *count = 0;
    args_text(&pattern, "product:*");

    int result = scan_keys(conn, &pattern, add_page, &list);

    args_free(&pattern);

    if (result == 0 && *count > 0) {
        sort_distinct(*ids, count);
    }

    return result;
}
