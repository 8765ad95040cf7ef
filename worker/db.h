/*
 * One connection to the MySQL primary, through MySQL's or MariaDB's client library, and what its errors mean.
 *
 * A connection belongs to one thread; that thread calls db_thread_end() before it ends. The session is
 * READ COMMITTED, UTC, strict, and commits each statement that stands outside a transaction. After DB_RETRY the connection is closed and opens itself at the next
 * db_open(); whatever transaction was under way is then neither committed nor not: it must be run again.
 */
#ifndef CHECKOUT_DB_H
#define CHECKOUT_DB_H

#include <mysql.h>
#include <stddef.h>
#include <stdint.h>

#include "alloc.h"
#include "config.h"

enum db_result {
    DB_OK,
    DB_RETRY,    /* environmental, or unknown: wait, connect, run the same transaction again */
    DB_AGAIN,    /* lost against somebody else: run the same transaction again at once */
    DB_POISON    /* the data itself is refused, by a closed list of errors */
};

struct db {
    const struct config *config;   /* not owned */
    MYSQL *mysql;                  /* NULL: closed */
    unsigned code;                 /* MySQL's number of the last error; 0: ours */
    char error[512];               /* its text, fit for the log */
};

/* What an error number means. */
enum db_result db_class(unsigned code);

/*
 * Is a DB_RETRY with that number the environment's for certain? The others are taken for it too, unless orders
 * of the same batch can be committed (order_tx.h).
 */
int db_is_environmental(unsigned code);

/* Connects when the connection is closed. */
enum db_result db_open(struct db *db);

/* Runs one statement, or several divided by ";" of which none gives rows. */
enum db_result db_run(struct db *db, const struct buffer *sql);
enum db_result db_text(struct db *db, const char *sql);

/* Runs one statement that gives rows; mysql_free_result() them. */
enum db_result db_rows(struct db *db, const struct buffer *sql, MYSQL_RES **rows);

/* Runs `statements` statements divided by ";", each of which must change exactly one row, else DB_AGAIN. */
enum db_result db_change_one_each(struct db *db, const struct buffer *sql, size_t statements);

/* Ends a transaction without a trace. Errors do not matter: a closed connection rolls back too. */
void db_rollback(struct db *db);

/* Adds 'text', escaped, to the statement. The connection must be open. */
void db_quote(struct db *db, struct buffer *sql, const char *text);

void db_close(struct db *db);
void db_thread_end(void);

#endif
