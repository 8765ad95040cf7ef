#include "intake/set_aside.h"

#include <string.h>


/* Index of the first entry that is not below the key. */
static size_t
find(const struct set_aside *list, const struct entry_id *id)
{
    size_t low = 0, high = list->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (entry_id_compare(&list->entries[middle].id, id) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }

    return low;
}


int
set_aside_add(struct set_aside *list, const char *id, uint64_t product)
{
    struct set_aside_entry entry = { .product = product, .seen = 1 };

    if (entry_id_read(&entry.id, id) == -1) {
        return -1;
    }

    size_t i = find(list, &entry.id);

    if (i < list->count && entry_id_compare(&list->entries[i].id, &entry.id) == 0) {
        return 0;
    }

    if (list->count == SET_ASIDE_MOST) {
        return -1;
    }

    memmove(&list->entries[i + 1], &list->entries[i], (list->count - i) * sizeof(entry));
    list->entries[i] = entry;
    list->count++;
    return 0;
}


int
set_aside_see(struct set_aside *list, const char *id)
{
    struct entry_id key;

    if (entry_id_read(&key, id) == -1) {
        return 0;
    }

    size_t i = find(list, &key);

    if (i == list->count || entry_id_compare(&list->entries[i].id, &key) != 0) {
        return 0;
    }

    list->entries[i].seen = 1;
    return 1;
}


size_t
set_aside_broken(const struct set_aside *list)
{
    size_t broken = 0;

    for (size_t i = 0; i < list->count; i++) {
        broken += list->entries[i].product == 0;
    }

    return broken;
}


void
set_aside_release(struct set_aside *list, uint64_t product)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++) {
        if (list->entries[i].product != product) {
            list->entries[kept++] = list->entries[i];
        }
    }

    list->count = kept;
}


void
set_aside_end_pass(struct set_aside *list)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++) {
        if (list->entries[i].seen) {
            list->entries[kept] = list->entries[i];
            list->entries[kept++].seen = 0;
        }
    }

    list->count = kept;
}
