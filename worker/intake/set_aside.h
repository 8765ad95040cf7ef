/*
 * Entries of the queue that this consumer has set aside: they stay pending in the consumer group, so that nothing of
 * them is lost, and are not read again meanwhile. Either a check failed for the entry alone (intake/batch_check.h), and
 * a worker of another version may take it over; or its product's row is locked (intake/locked_products.h), and it comes
 * back when the row is free.
 *
 * Bounded: the list takes no more than SET_ASIDE_MOST entries, and forgets none that is still pending. Those that it
 * cannot take are tried again now and then (intake/consumer.h). Owns nothing; pure. A zero-initialised list is empty.
 */
#ifndef CHECKOUT_WORKER_INTAKE_SET_ASIDE_H
#define CHECKOUT_WORKER_INTAKE_SET_ASIDE_H

#include <stddef.h>
#include <stdint.h>

#include "redis/entry_id.h"

#define SET_ASIDE_MOST 4096 /* docs/operations.md names it */

struct set_aside {
    struct set_aside_entry {
        struct entry_id id;
        uint64_t product;      /* whose row is locked; 0: a check failed */
        int seen;              /* in this pass over the pending entries */
    } entries[SET_ASIDE_MOST]; /* ids ascending */
    size_t count;
};

/*
 * Adds an entry, unless it is there. product: whose row is locked; 0: a check failed for it. Returns 0, or -1: the list
 * is full, or id is no id of a stream.
 */
int set_aside_add(struct set_aside *list, const char *id, uint64_t product);

/* Entries for which a check failed. */
size_t set_aside_broken(const struct set_aside *list);

/* The product's row is free: forgets its entries, so that they are read again. */
void set_aside_release(struct set_aside *list, uint64_t product);

/* Returns 1 where the entry is in the list, which then notes that it is still pending; else 0. */
int set_aside_see(struct set_aside *list, const char *id);

/* All pending entries were shown to set_aside_see(): forgets those that are no longer among them. */
void set_aside_end_pass(struct set_aside *list);

#endif
