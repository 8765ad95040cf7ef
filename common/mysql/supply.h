/*
 * Law 1 in numbers: what was supplied of a product, and what stands in live orders.
 */
#ifndef CHECKOUT_MYSQL_SUPPLY_H
#define CHECKOUT_MYSQL_SUPPLY_H

#include "mysql/db.h"

struct supply {
    uint64_t product;
    int64_t stock;
    uint64_t version;
    int booked;       /* some supply was ever booked */
    int64_t supplied; /* movements of kind load and adjust */
    int64_t live;     /* units in orders that are pending_payment, paid or completed */
};

/* One product, in the caller's transaction. All functions here block for a statement, and return what mysql/db.h says.
 */
enum db_result supply_read(struct db *db, uint64_t product, struct supply *supply);

/* Books units as `kind` in the caller's transaction. stock: what the product has then. */
enum db_result supply_book(struct db *db, uint64_t product, const char *kind, int64_t units, int64_t stock,
                           const char *reason);

/*
 * Books units that no movement explains (stock + live - supplied), as `kind` and with that reason, in the caller's
 * transaction, which holds the product's lock. *units: what was booked, 0 where all is explained.
 */
enum db_result supply_book_difference(struct db *db, uint64_t product, const char *kind, const char *reason,
                                      int64_t *units);

/* All products in one snapshot, ids ascending. free() *supplies. */
enum db_result supply_read_all(struct db *db, struct supply **supplies, size_t *count);

#endif
