#include "base/identifier_table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "order/identifier.h"


/* FNV-1a, 64 bits (draft-eastlake-fnv). A batch bounds what colliding identifiers could cost. */
static uint64_t
hash(const char *identifier)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < CHECKOUT_IDENTIFIER_LEN; i++) {
        h = (h ^ (unsigned char) identifier[i]) * 0x100000001b3u;
    }

    return h;
}


void
identifiers_prepare(struct identifiers *table, size_t count)
{
    size_t size = 64;

    while (size < 2 * count) {
        size *= 2;
    }

    if (size > table->size) {
        table->slots = memory_resize(table->slots, size, sizeof(struct identifiers_slot));
        table->size = size;
    }

    memset(table->slots, 0, table->size * sizeof(struct identifiers_slot));
}


/* The slot that holds the identifier, or the free one where it belongs. */
static struct identifiers_slot *
find_slot(const struct identifiers *table, const char *identifier)
{
    size_t i = (size_t) hash(identifier) & (table->size - 1);

    while (table->slots[i].identifier != NULL
           && memcmp(table->slots[i].identifier, identifier, CHECKOUT_IDENTIFIER_LEN) != 0)
    {
        i = (i + 1) & (table->size - 1);
    }

    return &table->slots[i];
}


size_t
identifiers_add(struct identifiers *table, const char *identifier, size_t number)
{
    struct identifiers_slot *slot = find_slot(table, identifier);

    if (slot->identifier == NULL) {
        *slot = (struct identifiers_slot) { identifier, number };
    }

    return slot->number;
}


size_t
identifiers_find(const struct identifiers *table, const char *identifier)
{
    struct identifiers_slot *slot = find_slot(table, identifier);

    return slot->identifier != NULL ? slot->number : IDENTIFIERS_NONE;
}


void
identifiers_free(struct identifiers *table)
{
    free(table->slots);
    *table = (struct identifiers) { 0 };
}
