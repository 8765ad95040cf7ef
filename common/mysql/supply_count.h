/*
 * The truth of law 1 for one product, counted from its orders and movements in one snapshot, without a lock, in pages:
 * however much there is, a statement reads SUPPLY_PAGE rows. Beside it a product's counters (mysql/supply.h) are put
 * right: what the snapshot's truth differs from the snapshot's counters does not change with time, since whatever
 * happens later changes both by the same. So it is added later, by compare-and-set, and from then on they are whole.
 *
 * The snapshot may be a replica's: it is consistent by itself, however far it is behind. What is written goes to the
 * primary.
 *
 * All functions block; they return DB_OK, or DB_RETRY, DB_AGAIN or DB_POISON with db->code and db->error set. No
 * transaction may be open, and none is left open. db is connected where it is closed.
 */
#ifndef CHECKOUT_MYSQL_SUPPLY_COUNT_H
#define CHECKOUT_MYSQL_SUPPLY_COUNT_H

#include "mysql/supply.h"

struct supply_count {
    struct supply row;       /* in the snapshot; found 0: MySQL has no such product, and the rest is empty */
    struct supply_sums sums; /* the truth in the same snapshot */
    int stopped;             /* 1: between() ended it, and the sums are not whole */
};

/*
 * Called after each page, for the caller's pauses: may block, while the snapshot is open and no lock is held. Returns
 * 0, or anything else to end the count.
 */
typedef int (*supply_between)(void *data);

/* Counts one product. between: may be NULL; data is handed to it. Blocks for a statement a page, and five. */
enum db_result supply_count(struct db *db, uint64_t product, supply_between between, void *data,
                            struct supply_count *count);

/* Units by which the counters differ from what was counted, of both together; 0 without counters. Pure. */
int64_t supply_count_difference(const struct supply_count *count);

/*
 * Adds the difference to the counters on the primary, and notes the time of the count: if they still count in the
 * snapshot's era, and nobody has noted another count since. *written: 1, or 0 where one of these is not so. count is
 * whole, and has counters and an era. Blocks for a statement, and for the row's lock.
 */
enum db_result supply_count_write(struct db *primary, const struct supply_count *count, int *written);

/*
 * Gives a product whose counters are NULL, though they count in that era, counters of 0 that are not yet counted; any
 * other product is left as it is. Such a row was made by hand. Blocks for four statements, and for the row's lock.
 */
enum db_result supply_count_begin(struct db *primary, uint64_t product, const char *era);

/*
 * Has one product counted, where it is not yet: on the primary, as the functions above do, until its counters are
 * whole, or a few times where others change them meanwhile. *state: what it then is; SUPPLY_NO_COUNTERS also where
 * MySQL has no such product.
 */
enum db_result supply_count_now(struct db *primary, uint64_t product, supply_between between, void *data,
                                enum supply_state *state);

#endif
