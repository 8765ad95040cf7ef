/*
 * The id of an entry of a stream (redis.io, "Redis Streams": entry IDs), as two numbers that can be compared. Pure.
 */
#ifndef CHECKOUT_WORKER_REDIS_ENTRY_ID_H
#define CHECKOUT_WORKER_REDIS_ENTRY_ID_H

#include <stdint.h>

#define ENTRY_ID_SIZE 48 /* of a text, with its NUL */

struct entry_id {
    uint64_t ms, number;
};

/* Reads "<ms>-<number>". Returns 0, or -1 for another text; *id is not to be used then. */
int entry_id_read(struct entry_id *id, const char *text);

/* Writes the greatest id below this one, which is not 0-0. text: room for ENTRY_ID_SIZE. */
void entry_id_before(const struct entry_id *id, char *text);

/* Returns a number below, equal to or above 0, as memcmp(3) does. */
int entry_id_compare(const struct entry_id *a, const struct entry_id *b);

#endif
