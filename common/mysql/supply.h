/*
 * Law 1 in numbers: units supplied of a product = its stock + units in live orders.
 *
 * A product's row has two counters for it: `live_units`, changed by every statement that moves an order into or out of
 * a live status, and `supplied_units`, changed with every movement of the kinds of ORDER_SQL_SUPPLY
 * (order/order_sql.h), each in the
 * transaction of what it counts. So law 1 is a comparison within a row, at no cost that grows with the past. The truth
 * is in orders and movements: mysql/supply_count.h counts it.
 *
 * The counters are NULL until `checkoutctl migrate --finish`, since programs of the release before do not change them;
 * adding to NULL leaves NULL. Whether they count is one row of table `settings`: SUPPLY_SETTING, whose value is the
 * era, a text that no two calls of --finish share; empty, or without the row, they do not. From then on each row is at
 * first "not yet counted" (counted_at NULL): its counters begin at 0, change with everything that happens, and what was
 * there before is added by the first count.
 *
 * All functions block, for a statement each unless they say otherwise, and return DB_OK, or DB_RETRY, DB_AGAIN or
 * DB_POISON with db->code and db->error set.
 */
#ifndef CHECKOUT_MYSQL_SUPPLY_H
#define CHECKOUT_MYSQL_SUPPLY_H

#include "mysql/db.h"

/* The row of table `settings` by which the counters count. */
#define SUPPLY_SETTING "counters"

#define SUPPLY_ERA_LEN   36   /* most characters of an era */
#define SUPPLY_ROWS_MOST 1000 /* products of one supply_rows_read() */

#define SUPPLY_PAGE         1000 /* items or movements that one statement sums */
#define SUPPLY_LOCKED_PAGES 10   /* of each, under a lock */

enum supply_state {
    SUPPLY_NO_COUNTERS, /* NULL, or nothing says that they count: programs of the release before may work beside */
    SUPPLY_NOT_COUNTED, /* they change with what happens; what was there before is not in them yet */
    SUPPLY_COUNTED      /* they are whole */
};

struct supply {
    uint64_t product;
    int found; /* 0: MySQL has no such product, and the rest is empty */
    int64_t stock;
    uint64_t version;
    enum supply_state state;
    int64_t live, supplied;       /* the counters; 0 without */
    int has_counters;             /* 1: they are not NULL, whatever the state */
    char counted_at[32];          /* as MySQL writes it; empty: NULL */
    int64_t counted_ms_ago;       /* by MySQL's clock; 0: NULL */
    char era[SUPPLY_ERA_LEN + 1]; /* empty: none */
};

/* Reads one product as the caller's transaction sees it. Takes no lock. DB_OK also where it is not found. */
enum db_result supply_read(struct db *db, uint64_t product, struct supply *supply);

/*
 * Reads products behind the id `after`, ids ascending, into rows[0 .. most), most up to SUPPLY_ROWS_MOST; *count: how
 * many, less than `most` only at the end. Takes no lock.
 */
enum db_result supply_rows_read(struct db *db, uint64_t after, struct supply *rows, size_t most, size_t *count);

/*
 * Adds ", live_units, supplied_units, counted_at" and their values for the row of a new product: 0 and counted where
 * the counters count and MySQL has no movement of a product of that id, which was deleted; else as not yet counted, or
 * NULL.
 */
void supply_add_new_columns(struct buffer *sql);
void supply_add_new_values(struct buffer *sql, uint64_t product);

/*
 * Books units, as a movement and in supplied_units, in the caller's transaction, which holds the product's lock. kind:
 * of ORDER_SQL_SUPPLY, constant text ("load"). stock: what the product has with them. reason: any text, escaped here;
 * not NULL. Who did it is db->actor.
 */
enum db_result supply_book(struct db *db, uint64_t product, const char *kind, int64_t units, int64_t stock,
                           const char *reason);

/*
 * How many units no movement explains: stock + live - supplied, in the caller's transaction, which holds the product's
 * lock. By the counters where they are whole. Where they are not it sums orders and movements, SUPPLY_LOCKED_PAGES of
 * each at most, since more would hold up the product's orders. *known 0: there are more, *units is 0, and the product
 * has to be counted first (mysql/supply_count.h). Blocks for a statement, or for that many pages more.
 */
enum db_result supply_unexplained(struct db *db, uint64_t product, int64_t *units, int *known);

/*
 * Books what supply_unexplained() finds, as `kind` and with that reason, in the caller's transaction, which holds the
 * product's lock. *units: what was booked, 0 where all is explained; *known as there.
 */
enum db_result supply_book_difference(struct db *db, uint64_t product, const char *kind, const char *reason,
                                      int64_t *units, int *known);


/* Sums of orders and movements, page by page. Zero-initialised but for product: nothing was read. */
struct supply_sums {
    uint64_t product;
    int64_t live;       /* units in live orders */
    int64_t supplied;   /* units of movements of ORDER_SQL_SUPPLY */
    uint64_t movements; /* how many of these there are */
    int items_done, movements_done;
    char last_item[37]; /* order_identifier of the last one read; empty: none */
    uint64_t last_movement;
};

/* Sums the next page of items, or of movements once those are done. In the caller's transaction; takes no lock. */
enum db_result supply_sum_page(struct db *db, struct supply_sums *sums);

/* Returns 1 once all pages were summed, else 0. Pure. */
int supply_sums_done(const struct supply_sums *sums);

#endif
