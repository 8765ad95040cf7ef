/*
 * Setting a product and its stock on the MySQL primary: jobs for a connection of the edge (mysql/sql_job.h).
 */
#ifndef CHECKOUT_MYSQL_STOCK_INIT_H
#define CHECKOUT_MYSQL_STOCK_INIT_H

#include "mysql/sql_job.h"
#include "order/stock_request.h"

#define STOCK_INIT_MARK_LEN 32 /* hexadecimal digits */

struct stock_init {
    struct stock_request request;
    uint64_t register_version;          /* that the gate was seen to have; 0 where it has none */
    char mark[STOCK_INIT_MARK_LEN + 1]; /* of this request alone: 128 random bits */
};

/* sql_result.kind */
enum stock_init_kind {
    STOCK_INIT_ROW, /* the numbers are those of the row */
    STOCK_INIT_GONE /* MySQL has no such product */
};

/* sql_result.numbers: what is pushed to the gate. Times in ms since 1970; 0 stands for "none". */
enum stock_init_number {
    STOCK_INIT_VERSION,
    STOCK_INIT_STOCK,
    STOCK_INIT_OPENS_AT,
    STOCK_INIT_CLOSES_AT,
    STOCK_INIT_PER_USER_LIMIT,
    STOCK_INIT_MAX_QUANTITY,
    STOCK_INIT_OPEN /* 0: closed */
};

/*
 * input: struct stock_init. One transaction: the product is made, or gets name, price (if one is given) and stock, and
 * is open; its version grows over its own and over the gate's; what no movement explains is booked as load. However
 * often it runs for one mark, also at the same time, it changes the row once.
 */
enum db_result stock_init_run(struct db *db, const void *input, struct sql_result *result);

/* input: struct stock_init, of which only the product counts. The row as it is committed now. */
enum db_result stock_init_read(struct db *db, const void *input, struct sql_result *result);

#endif
