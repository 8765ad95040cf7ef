/*
 * Entries of the queue that this consumer has set aside: a check failed for each alone (intake/batch_check.h). They
 * stay pending in the consumer group, so that nothing of them is lost and a worker of another version may take them
 * over.
 *
 * Bounded: the list takes no more than SET_ASIDE_MOST entries, and forgets none that is still pending. Those that it
 * cannot take are tried again now and then (intake/consumer.h). Owns nothing; pure. A zero-initialised list is empty.
 */
#ifndef CHECKOUT_WORKER_INTAKE_SET_ASIDE_H
#define CHECKOUT_WORKER_INTAKE_SET_ASIDE_H

#include <stddef.h>
#include <stdint.h>

#define SET_ASIDE_MOST 4096 /* docs/operations.md names it */

struct set_aside {
    struct set_aside_entry {
        uint64_t ms, number;   /* the two parts of its id (redis.io, "Redis Streams": entry IDs) */
        int seen;              /* in this pass over the pending entries */
    } entries[SET_ASIDE_MOST]; /* ids ascending */
    size_t count;
};

/* Adds an entry, unless it is there. Returns 0, or -1: the list is full, or id is no id of a stream. */
int set_aside_add(struct set_aside *list, const char *id);

/* Returns 1 where the entry is in the list, which then notes that it is still pending; else 0. */
int set_aside_see(struct set_aside *list, const char *id);

/* All pending entries were shown to set_aside_see(): forgets those that are no longer among them. */
void set_aside_end_pass(struct set_aside *list);

#endif
