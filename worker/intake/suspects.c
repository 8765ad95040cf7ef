#include "intake/suspects.h"

#include <stdlib.h>

#include "base/memory.h"


static int
compare(const void *a, const void *b)
{
    return entry_id_compare(&((const struct suspect *) a)->id, &((const struct suspect *) b)->id);
}


static struct suspect *
find(const struct suspects *s, const struct entry_id *id)
{
    struct suspect key = { .id = *id };

    return s->count > 0 ? bsearch(&key, s->list, s->count, sizeof(key), compare) : NULL;
}


static void
add(struct suspects *s, const struct suspects *before, const redisReply *id, const redisReply *deaths)
{
    struct suspect one = { .deaths = deaths->type == REDIS_REPLY_INTEGER ? (unsigned) deaths->integer : 0 };

    if (id->type != REDIS_REPLY_STRING || entry_id_read(&one.id, id->str) == -1 || one.deaths < SUSPECT_DEATHS) {
        return;
    }

    const struct suspect *known = find(before, &one.id);

    one.tried = known != NULL && known->tried;

    if (s->count == s->capacity) {
        s->capacity = s->capacity == 0 ? 16 : s->capacity * 2;
        s->list = memory_resize(s->list, s->capacity, sizeof(*s->list));
    }

    s->list[s->count++] = one;
}


void
suspects_take(struct suspects *s, const redisReply *told)
{
    if (told == NULL || told->type != REDIS_REPLY_ARRAY) {
        return;
    }

    struct suspects before = *s;

    *s = (struct suspects) { 0 };

    for (size_t i = 0; i + 1 < told->elements && s->count < SUSPECTS_MOST; i += 2) {
        add(s, &before, told->element[i], told->element[i + 1]);
    }

    suspects_free(&before);

    if (s->count > 1) {
        qsort(s->list, s->count, sizeof(*s->list), compare);
    }
}


unsigned
suspects_deaths(const struct suspects *s, const char *id)
{
    struct entry_id key;

    if (s->count == 0 || id == NULL || entry_id_read(&key, id) == -1) {
        return 0;
    }

    const struct suspect *found = find(s, &key);

    return found != NULL ? found->deaths : 0;
}


const struct suspect *
suspects_next(struct suspects *s)
{
    struct suspect *next = NULL;

    for (size_t i = 0; i < s->count; i++) {
        if (!s->list[i].tried && (next == NULL || s->list[i].deaths < next->deaths)) {
            next = &s->list[i];
        }
    }

    for (size_t i = 0; i < s->count && next == NULL; i++) {
        s->list[i].tried = 0;
    }

    if (next != NULL) {
        next->tried = 1;
    }

    return next;
}


void
suspects_free(struct suspects *s)
{
    free(s->list);
    *s = (struct suspects) { 0 };
}
