/*
 * A table from order identifiers to numbers: open addressing, at most half full. It keeps pointers to the
 * identifiers, which must outlive it.
 */
#ifndef CHECKOUT_WORKER_BASE_IDENTIFIER_TABLE_H
#define CHECKOUT_WORKER_BASE_IDENTIFIER_TABLE_H

#include <stddef.h>

#define IDENTIFIER_TABLE_NONE ((size_t) -1)

struct identifier_table {
    struct identifier_slot {
        const char *identifier;   /* NULL: free */
        size_t number;
    } *slots;
    size_t size;                  /* a power of two */
};

/* Empties the table and makes room for `count` identifiers. */
void identifier_table_prepare(struct identifier_table *table, size_t count);

/* Adds an identifier unless it is there. Returns the number that stands in the table for it. */
size_t identifier_table_add(struct identifier_table *table, const char *identifier, size_t number);

/* Returns the number, or IDENTIFIER_TABLE_NONE. */
size_t identifier_table_find(const struct identifier_table *table, const char *identifier);

void identifier_table_free(struct identifier_table *table);

#endif
