/*
 * The rows of a prepared statement as JSON objects, read from the connection one by one.
 *
 *     integers of all sizes, YEAR, BIT     numbers with all their digits
 *     DECIMAL                              text, "19.80"
 *     FLOAT, DOUBLE                        numbers that read back as the same value
 *     DATETIME, TIMESTAMP                  text, "2026-11-21T06:30:00.123Z", with the fraction that was declared
 *     DATE, TIME                           text, "2026-11-21", "-12:30:00.5"
 *     JSON                                 as it stands; also a column whose name ends in ":json", which is cut off
 *     other text                           text; ENUM and SET too
 *     binary, also geometry                base64
 *     NULL                                 null
 *
 * Members stand in the order of the columns, also where two columns have one name.
 */
#ifndef CHECKOUT_MYSQL_ROW_JSON_H
#define CHECKOUT_MYSQL_ROW_JSON_H

#include <mysql.h>
#include <stddef.h>

#include "text/buffer.h"

#define ROW_JSON_DEPTH_MAX 128 /* of a JSON column; MySQL's own limit is 100 */

enum row_json_step {
    ROW_JSON_ROW, /* one more row was added */
    ROW_JSON_END,
    ROW_JSON_TOO_LARGE, /* the buffer would exceed its bound */
    ROW_JSON_NO_JSON,   /* row_json_broken_column() says where */
    ROW_JSON_NO_MEMORY,
    ROW_JSON_FAILED /* mysql_stmt_error() says why */
};

struct row_json;

/* For a statement that was executed and gives rows. NULL: no memory, or an error that the statement has. */
struct row_json *row_json_open(MYSQL_STMT *stmt);

/* Adds the next row to out, of which no more than max bytes are used, give or take one value. */
enum row_json_step row_json_next(struct row_json *rows, struct buffer *out, size_t max);

/* Reads the next row and passes over it: ROW, END or FAILED. */
enum row_json_step row_json_skip(struct row_json *rows);

const char *row_json_broken_column(const struct row_json *rows);

/*
 * All rows were read. A statement that will be executed again is unbound from them before they are closed; one that
 * ends with its connection need not be, and must not be any more once it has ended.
 */
void row_json_unbind(struct row_json *rows);

/* Does not touch the statement, which may have ended. NULL is fine. */
void row_json_close(struct row_json *rows);

#endif
