/*
 * Statements that give rows: prepared, kept with their connection, run with typed values, answered as JSON.
 *
 * A connection keeps the statements that it ran last prepared (db->attached), found by their text. They are freed with
 * the connection. A statement that the server has forgotten is prepared again.
 *
 * No function keeps a pointer that it is given.
 */
#ifndef CHECKOUT_MYSQL_PREPARED_H
#define CHECKOUT_MYSQL_PREPARED_H

#include <stddef.h>
#include <stdint.h>

#include "mysql/sql_job.h"

#define PREPARED_CACHE_MAX  64  /* prepared statements of a connection; the one not used for longest makes room */
#define PREPARED_VALUES_MAX 64  /* of one statement */
#define PREPARED_REST_MAX   100 /* rows behind the first that are read and thrown away where one is wanted */

enum prepared_type {
    PREPARED_UINT,
    PREPARED_INT,
    PREPARED_TEXT
};

struct prepared_value {
    enum prepared_type type;
    uint64_t number;  /* of a UINT; of an INT as two's complement */
    const char *text; /* of a TEXT: UTF-8, no NUL needed; not owned; may be NULL where len is 0 */
    size_t len;
};

enum prepared_form {
    PREPARED_ROWS,   /* {"data":[{…},…]}, and "meta" where it is paged */
    PREPARED_OBJECT, /* {"data":{…}}, the first row */
    PREPARED_PLAIN   /* {…}, the first row */
};

/* Input of prepared_run(). Nothing in it is owned. */
struct prepared_query {
    const char *sql;                     /* of a page: its last two values are limit and offset */
    const char *count_sql;               /* of a page: takes the same values, gives the total; NULL: no total */
    const struct prepared_value *values; /* nvalues of them, 0 .. PREPARED_VALUES_MAX; may be NULL where it is 0 */
    size_t nvalues;
    enum prepared_form form;
    uint64_t page, per_page; /* of ROWS alone. page: from 1; per_page 0: not paged. Else sql takes two more values */
    uint64_t pages_most; /* pages that may be asked for; 0: any number. Else count_sql need not count further than */
    uint64_t total_most; /* one more than this number of rows, and the answer says whether there are more */
    size_t max_size;     /* bytes of the answer */
};

/* sql_result.kind after DB_OK */
enum prepared_outcome {
    PREPARED_ANSWER,  /* body is the answer; numbers[0] and [1] are the first 16 bytes of its SHA-256 */
    PREPARED_NO_ROW,  /* the statement of an OBJECT or PLAIN gave no row; the body is of no use */
    PREPARED_UNUSABLE /* the statement or its data is at fault, not the server; body: why, for a log */
};

/*
 * A job (mysql/sql_job.h): input is a struct prepared_query; the connection must be open. Blocks for up to two
 * statements and the preparing of each. Takes no lock. The total is read before the page, by a statement of its own: a
 * write between the two shows in one of them only.
 *
 * DB_OK: result->kind is an enum prepared_outcome, and result->rows counts the rows in the body. DB_RETRY, DB_AGAIN,
 * DB_POISON: db->code and db->error are set. An error that the server itself reports (a missing table, a killed query)
 * leaves the connection open. After DB_OK it may be closed: that is cheaper than to read many rows that nobody wants.
 */
enum db_result prepared_run(struct db *db, const void *input, struct sql_result *result);

/* Returns the number of places for values ("?") in a statement, outside of quotes and comments. Pure. */
size_t prepared_placeholders(const char *sql);

#endif
