/*
 * Units by user, of one product. A part of repair/buyers_count.h. Owns its array; one thread's.
 */
#ifndef CHECKOUT_WORKER_REPAIR_BUYERS_SUMS_H
#define CHECKOUT_WORKER_REPAIR_BUYERS_SUMS_H

#include <stddef.h>
#include <stdint.h>

#include "mysql/db.h"
#include "order/identifier.h"

struct buyer_sum {
    uint64_t user;
    int64_t units;
};

/* Zero-initialised is empty. */
struct buyers_sums {
    struct buyer_sum *all;
    size_t count, capacity;
};

/* Adds a line, behind the others; a user may have several. Running out of memory ends the process. */
void buyers_sums_add(struct buyers_sums *sums, uint64_t user, int64_t units);

/* One line for each user, ascending. Pure. */
void buyers_sums_total(struct buyers_sums *sums);

/*
 * Adds what `more` has, which buyers_sums_total() brought into order, as `sums` must be. changed: gets the users whose
 * units are others now, with what they are. Users of 0 units stay.
 */
void buyers_sums_merge(struct buyers_sums *sums, const struct buyers_sums *more, struct buyers_sums *changed);

/*
 * Adds the units of a few thousand items in live orders, from the caller's snapshot. after: "" at first; becomes the
 * last order that was read. *more: 1, or 0 behind the last item. One bounded statement; returns as it does.
 */
enum db_result buyers_sums_read_page(struct db *db, uint64_t product, struct buyers_sums *sums,
                                     char after[CHECKOUT_IDENTIFIER_LEN + 1], int *more);

/* Frees the memory; the sums are empty then. */
void buyers_sums_free(struct buyers_sums *sums);

#endif
