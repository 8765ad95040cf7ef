/*
 * Work for a MySQL connection that does not care which thread runs it: what the edge gives to nginx's thread pool.
 *
 * A job reads its input, which nobody changes meanwhile, and writes its result, which is made for this one try. The
 * same job may be run again at any time, also while a try that was given up still runs elsewhere: its statements must
 * bear that. It touches nothing else.
 */
#ifndef CHECKOUT_MYSQL_SQL_JOB_H
#define CHECKOUT_MYSQL_SQL_JOB_H

#include <stdint.h>

#include "mysql/db.h"
#include "text/buffer.h"

struct sql_result {
    struct buffer body;  /* a text, as the job defines it */
    uint64_t rows;       /* that were found */
    int kind;            /* what became of it, as the job defines it */
    uint64_t numbers[8]; /* as the job defines them */
};

/*
 * Runs on an open connection, in the thread that owns it; blocks. *result is zero-initialised, and the caller frees its
 * body with buffer_free() in every case. DB_OK: *result is whole. DB_RETRY, DB_AGAIN, DB_POISON: db->code and db->error
 * have the reason, and the result is thrown away.
 */
typedef enum db_result (*sql_job_pt)(struct db *db, const void *input, struct sql_result *result);

#endif
