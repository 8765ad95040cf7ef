/*
 * Products whose row in MySQL another session holds locked for longer than a batch waits. A consumer leaves their
 * entries pending and goes on with the others, so that one row holds up nobody else; now and then it asks MySQL which
 * of the rows are free again.
 *
 * Bounded: LOCKED_PRODUCTS_MOST. Where more rows are locked a batch waits, as for an outage: then it is not one row.
 * Belongs to one thread; zero-initialised is empty.
 */
#ifndef CHECKOUT_WORKER_INTAKE_LOCKED_PRODUCTS_H
#define CHECKOUT_WORKER_INTAKE_LOCKED_PRODUCTS_H

#include <stddef.h>
#include <stdint.h>

#include "mysql/db.h"
#include "mysql/product_row.h"

#define LOCKED_PRODUCTS_MOST 64 /* docs/operations.md names it */
#define LOCK_WAIT_S          1  /* that a batch waits for a row, so that two workers on one product take turns */

struct locked_products {
    struct product_row rows[LOCKED_PRODUCTS_MOST]; /* ids ascending; the rest is scratch */
    size_t count;
    uint64_t ask_ms; /* by clock_ms(): when to ask again */
    unsigned asked;  /* how often in sequence nothing was free */
};

/* Adds n products, ascending. Returns 0, or -1: there is no room for all of them, and the list is as it was. */
int locked_products_add(struct locked_products *list, const struct product_row *rows, size_t n);

/* Returns 1 where the product is in the list, else 0. */
int locked_products_has(const struct locked_products *list, uint64_t product);

/* Returns 1 where it is time to ask, at `now` of clock_ms(); else 0. An empty list has nothing to ask. */
int locked_products_is_due(const struct locked_products *list, uint64_t now);

/*
 * Asks which of the rows are free now, or gone: those leave the list, and their ids go to free_ids (room for
 * LOCKED_PRODUCTS_MOST). Blocks on MySQL; mostly without waiting for a lock. But where another worker has a row in hand
 * nearly all the time, one who never waits for it would never get it: so at times one row is waited for, LOCK_WAIT_S.
 * Returns how many are free; 0 also where MySQL failed.
 */
size_t locked_products_ask(struct locked_products *list, struct db *db, uint64_t *free_ids, uint64_t now);

/*
 * Which of these rows does another session hold locked at this moment? rows[0 .. n): ids, ascending; outside a
 * transaction. After DB_OK the first *locked of rows hold the ids of those, ascending, and the rest is scratch. A row
 * that a locking read passes over may be gone, so it is read without a lock before it counts as locked. Returns as
 * product_rows_read(); the connection must be open.
 */
enum db_result locked_products_find(struct db *db, struct product_row *rows, size_t n, size_t *locked);

#endif
