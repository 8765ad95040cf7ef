#include "base/identifier_table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
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
identifier_table_prepare(struct identifier_table *table, size_t count)
{
    size_t size = 64;

    while (size < 2 * count) {
        size *= 2;
    }

    if (size > table->size) {
        table->slots = memory_resize(table->slots, size, sizeof(struct identifier_slot));
        table->size = size;
    }

    memset(table->slots, 0, table->size * sizeof(struct identifier_slot));
}


/* The slot that holds the identifier, or the free one where it belongs. */
static struct identifier_slot *
find_slot(const struct identifier_table *table, const char *identifier)
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
identifier_table_add(struct identifier_table *table, const char *identifier, size_t number)
{
    struct identifier_slot *slot = find_slot(table, identifier);

    if (slot->identifier == NULL) {
        *slot = (struct identifier_slot) { identifier, number };
    }

    return slot->number;
}


size_t
identifier_table_find(const struct identifier_table *table, const char *identifier)
{
    struct identifier_slot *slot = find_slot(table, identifier);

    return slot->identifier != NULL ? slot->number : IDENTIFIER_TABLE_NONE;
}


void
identifier_table_free(struct identifier_table *table)
{
    free(table->slots);
    *table = (struct identifier_table) { 0 };
}
