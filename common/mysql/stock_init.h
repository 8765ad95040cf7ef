/*
 * Setting a product and its stock on the MySQL primary: jobs for a connection of the edge (mysql/sql_job.h), which must
 * be open. input is a struct stock_init.
 *
 * DB_OK: result->kind, rows (1: the product is there, 0: it is not) and numbers are set; there is no body. DB_RETRY,
 * DB_AGAIN: the job can be run again; DB_POISON: MySQL refuses the request's data, or the version would be more than
 * the gate counts (999999999999999). The reason is in db->error.
 */
#ifndef CHECKOUT_MYSQL_STOCK_INIT_H
#define CHECKOUT_MYSQL_STOCK_INIT_H

#include "mysql/sql_job.h"
#include "order/stock_request.h"

#define STOCK_INIT_MARK_LEN 32 /* hexadecimal digits */

struct stock_init {
    struct stock_request request;
    uint64_t register_version;          /* that the gate was seen to have; 0 where it has none */
    int is_recovering;                  /* 1: the gate was seen to wait for the product's recovery */
    char mark[STOCK_INIT_MARK_LEN + 1]; /* of this request alone: 128 random bits */
};

/* sql_result.kind */
enum stock_init_kind {
    STOCK_INIT_ROW,   /* the numbers are those of the row */
    STOCK_INIT_GONE,  /* MySQL has no such product */
    STOCK_INIT_BEHIND /* the gate knows a later version than the row's: MySQL lost commits, and nothing was changed */
};

/* sql_result.numbers: what is pushed to the gate. All 0 after STOCK_INIT_GONE, but STOCK_INIT_OPEN. */
enum stock_init_number {
    STOCK_INIT_VERSION,
    STOCK_INIT_STOCK,    /* units */
    STOCK_INIT_OPENS_AT, /* ms since 1970, as is the next; 0 is "none" here and in the two that follow */
    STOCK_INIT_CLOSES_AT,
    STOCK_INIT_PER_USER_LIMIT,
    STOCK_INIT_MAX_QUANTITY,
    STOCK_INIT_OPEN /* 0: closed */
};

/*
 * In one transaction, which holds the product's lock: looks whether the gate knows more of the product than MySQL (and
 * changes nothing then); makes the product, or sets its name, price (if one is given) and
 * stock, and opens it; its version becomes greater than its own and the gate's; units that no movement explains are
 * booked as `load`. However often it runs for one mark, also at the same time, it changes the row once.
 *
 * Blocks for up to ten statements, and for the product's lock as long as the session waits for one. No transaction may
 * be open. Anything but DB_OK: it was rolled back, unless the answer to COMMIT was lost.
 */
enum db_result stock_init_run(struct db *db, const void *input, struct sql_result *result);

/* Reads the row as it is committed now; of input only the product's id counts. Blocks for a statement; no lock. */
enum db_result stock_init_read(struct db *db, const void *input, struct sql_result *result);

#endif
