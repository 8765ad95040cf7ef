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
 *
 *     row_json_open() -> row_json_next() until END -> row_json_unbind() -> row_json_close()
 *
 * The reader belongs to the thread of its connection. row_json_next() and row_json_skip() block on the network, up to
 * the connection's time-out; the others do not. After any step but ROW nothing more may be read.
 */
#ifndef CHECKOUT_MYSQL_ROW_JSON_H
#define CHECKOUT_MYSQL_ROW_JSON_H

#include <mysql.h>
#include <stddef.h>

#include "text/buffer.h"

#define ROW_JSON_DEPTH_MAX 128 /* of a JSON column; MySQL's own limit is 100 */

enum row_json_step {
    ROW_JSON_ROW,       /* one more row was added, or passed over */
    ROW_JSON_END,       /* there was no row left */
    ROW_JSON_TOO_LARGE, /* the text is longer than its bound, by one value at most */
    ROW_JSON_NO_JSON,   /* a JSON column holds none: row_json_broken_column() */
    ROW_JSON_NO_MEMORY,
    ROW_JSON_FAILED /* mysql_stmt_error(), or where that is empty mysql_error(), has the reason */
};

struct row_json;

/*
 * stmt: executed, gives rows, none read yet; it stays the caller's and outlives the reading. Returns a reader, which
 * the caller frees with row_json_close(), or NULL: an error (mysql_stmt_errno() is not 0) or no memory (it is 0).
 */
struct row_json *row_json_open(MYSQL_STMT *stmt);

/*
 * Adds the next row to out, a text of at most max bytes. Returns any step. After END out ends with what it held before;
 * after the other failures the row in it is not whole.
 */
enum row_json_step row_json_next(struct row_json *rows, struct buffer *out, size_t max);

/* Reads the next row and passes over it. Returns ROW, END or FAILED. */
enum row_json_step row_json_skip(struct row_json *rows);

/* After ROW_JSON_NO_JSON: returns the name of that column, which lives until row_json_close(). Else NULL. */
const char *row_json_broken_column(const struct row_json *rows);

/*
 * Takes the reader's memory away from the statement: before row_json_close(), where the statement will be executed
 * again. Not for a statement that its connection has closed already.
 */
void row_json_unbind(struct row_json *rows);

/* Frees the reader. Does not touch the statement, which may be closed already. NULL is fine. */
void row_json_close(struct row_json *rows);

#endif
