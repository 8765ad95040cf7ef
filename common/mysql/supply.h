/*
 * Law 1 in numbers: units supplied of a product = its stock + units in live orders.
 *
 * All functions block, for a statement each (supply_book_difference() two, supply_read_all() three), and return DB_OK,
 * or DB_RETRY, DB_AGAIN or DB_POISON with db->code and db->error set.
 */
#ifndef CHECKOUT_MYSQL_SUPPLY_H
#define CHECKOUT_MYSQL_SUPPLY_H

#include "mysql/db.h"

struct supply {
    uint64_t product;
    int64_t stock;
    uint64_t version;
    int booked;       /* 1: some supply was ever booked */
    int64_t supplied; /* movements of kind load and adjust */
    int64_t live;     /* units in orders that are pending_payment, paid or completed */
};

/* Reads one product, in the caller's transaction; all 0 but its id where MySQL has no such product. Takes no lock. */
enum db_result supply_read(struct db *db, uint64_t product, struct supply *supply);

/*
 * Books units in the caller's transaction, which holds the product's lock. kind: of stock_movements, constant text
 * ("load", "adjust"). stock: what the product has with them. reason: any text, escaped here; not NULL.
 */
enum db_result supply_book(struct db *db, uint64_t product, const char *kind, int64_t units, int64_t stock,
                           const char *reason);

/*
 * Books units that no movement explains (stock + live - supplied), as `kind` and with that reason, in the caller's
 * transaction, which holds the product's lock. *units: what was booked, 0 where all is explained.
 */
enum db_result supply_book_difference(struct db *db, uint64_t product, const char *kind, const char *reason,
                                      int64_t *units);

/*
 * Reads all products in one snapshot of a transaction of its own, ids ascending; connects where db is closed. After
 * DB_OK the caller frees *supplies with free(); else it is not to be used.
 */
enum db_result supply_read_all(struct db *db, struct supply **supplies, size_t *count);

#endif
