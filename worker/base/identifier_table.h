/*
 * A table from order identifiers to numbers: open addressing, at most half full. It keeps pointers to the
 * identifiers, which must outlive it.
 */
#ifndef CHECKOUT_WORKER_BASE_IDENTIFIER_TABLE_H
#define CHECKOUT_WORKER_BASE_IDENTIFIER_TABLE_H

#include <stddef.h>

#define IDENTIFIERS_NONE ((size_t) -1)

struct identifiers {
    struct identifiers_slot {
        const char *identifier;   /* NULL: free */
        size_t number;
    } *slots;
    size_t size;                  /* a power of two */
};

/* Empties the table and makes room for `count` identifiers. */
void identifiers_prepare(struct identifiers *table, size_t count);

/* Adds an identifier unless it is there. Returns the number that stands in the table for it. */
size_t identifiers_add(struct identifiers *table, const char *identifier, size_t number);

/* Returns the number, or IDENTIFIERS_NONE. */
size_t identifiers_find(const struct identifiers *table, const char *identifier);

void identifiers_free(struct identifiers *table);

#endif
