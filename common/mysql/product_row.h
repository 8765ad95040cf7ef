/*
 * A product as MySQL holds it: stock, version, price and sale terms, read with or without its lock.
 */
#ifndef CHECKOUT_MYSQL_PRODUCT_ROW_H
#define CHECKOUT_MYSQL_PRODUCT_ROW_H

#include <stdint.h>

#include "mysql/db.h"
#include "order/product.h"

struct product_row {
    uint64_t id;
    int found; /* 0: MySQL has no such product, and the rest is empty */
    int64_t stock;
    uint64_t version;
    char price[PRODUCT_PRICE_MAX]; /* the decimal text, exact */
    struct sale_terms terms;
    uint64_t payment_timeout; /* seconds to pay; 0: as the worker is configured */
};

enum row_lock {
    ROW_NO_LOCK,
    ROW_FOR_UPDATE,
    ROW_FOR_UPDATE_SKIP_LOCKED /* a row that another session has locked is not found */
};

/*
 * Fills in rows[0 .. n), whose ids are set and ascending; locked in that order inside the caller's transaction where it
 * is asked for. Blocks for one statement, and for locks as long as the session waits for one. Returns DB_OK, DB_RETRY,
 * DB_AGAIN or DB_POISON (mysql/db.h); after a failure the rows hold their ids alone. n 0: DB_OK, nothing is sent.
 */
enum db_result product_rows_read(struct db *db, struct product_row *rows, size_t n, enum row_lock lock);

#endif
