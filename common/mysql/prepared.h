/*
 * Statements that give rows: prepared, kept with their connection, run with typed values, answered as JSON.
 *
 * A statement is known by its text. A connection keeps those that it ran last, prepared; they end with it, and a
 * statement that the server has forgotten is prepared again. Errors are noted in the connection as mysql/db.h says, but
 * one that the server itself reports (a missing table, a killed query) leaves the connection open.
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
    const char *text; /* UTF-8 */
    size_t len;
};

enum prepared_form {
    PREPARED_ROWS,   /* {"data":[{…},…]}, and "meta" where it is paged */
    PREPARED_OBJECT, /* {"data":{…}}, the first row */
    PREPARED_PLAIN   /* {…}, the first row */
};

/* Input of prepared_run(). */
struct prepared_query {
    const char *sql;       /* of a page: its last two values are limit and offset */
    const char *count_sql; /* takes the same values and gives the total; NULL: it is not asked for */
    const struct prepared_value *values;
    size_t nvalues;
    enum prepared_form form;
    uint64_t page, per_page; /* from 1; per_page 0: not paged. Else sql takes two more values */
    size_t max_size;         /* bytes of the answer */
};

/* kind of the result */
enum prepared_outcome {
    PREPARED_ANSWER,  /* body is the answer; numbers[0] and [1] are the first 16 bytes of its SHA-256 */
    PREPARED_NO_ROW,  /* an OBJECT or PLAIN has none */
    PREPARED_UNUSABLE /* body says why, for a log: it lies in the statement or in its data, not in the server */
};

/*
 * A sql_job_pt. The total is read before the page and by a statement of its own: the two may be of different moments.
 * It closes the connection where that is quicker than to read the rows that nobody wants.
 */
enum db_result prepared_run(struct db *db, const void *input, struct sql_result *result);

/* The number of places for values ("?") in a statement, outside of quotes and comments. */
size_t prepared_placeholders(const char *sql);

#endif
