/*
 * A table from order identifiers to numbers: open addressing, at most half full. It keeps pointers to the
 * identifiers (CHECKOUT_IDENTIFIER_LEN characters each), which must outlive it. Not for several threads at once. A
 * zero-initialised table is empty and must be prepared. identifier_table_prepare() alone allocates, and aborts the
 * process where there is no memory (base/memory.h); nothing else here can fail, and nothing blocks.
 */
#ifndef CHECKOUT_WORKER_BASE_IDENTIFIER_TABLE_H
#define CHECKOUT_WORKER_BASE_IDENTIFIER_TABLE_H

#include <stddef.h>

#define IDENTIFIER_TABLE_NONE ((size_t) -1)

struct identifier_table {
    struct identifier_slot {
        const char *identifier; /* NULL: free */
        size_t number;
    } * slots;
    size_t size; /* a power of two */
};

/*
 * Empties the table and reserves memory for `count` identifiers; more must not be added. Before the first call of the
 * others.
 */
void identifier_table_prepare(struct identifier_table *table, size_t count);

/* Adds an identifier with its number, unless it is there. Returns the number that the table has for it. */
size_t identifier_table_add(struct identifier_table *table, const char *identifier, size_t number);

/* Returns the number, or IDENTIFIER_TABLE_NONE. */
size_t identifier_table_find(const struct identifier_table *table, const char *identifier);

/* Frees the memory; the table is then as zero-initialised. */
void identifier_table_free(struct identifier_table *table);

#endif
