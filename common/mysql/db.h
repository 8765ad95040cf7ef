/*
 * One connection to a MySQL server, the primary or a replica, through MySQL's or MariaDB's client library, and what its
 * errors mean.
 *
 * A connection belongs to one thread; that thread calls db_thread_end() before it ends. The session is
 * READ COMMITTED, UTC, strict, and commits each statement that stands outside a transaction. After DB_RETRY the
 * connection is closed and opens itself at the next db_open(); whatever transaction was under way is then neither
 * committed nor not: it must be run again. One DB_RETRY leaves the connection and its transaction open: a statement
 * whose buffer `failed` is not sent (error "out of memory", code 0); a caller in a transaction ends it with
 * db_rollback().
 *
 * Every function that sends something blocks, up to the server's time-outs; db_begun(), db_begin(), db_error() and
 * db_quote() do not, and db_close() at most for a last packet. They return DB_OK, or DB_RETRY, DB_AGAIN or DB_POISON
 * with code and error filled in (mysql/error_class.h). No function keeps a pointer that it is given. A zero-initialised
 * struct db with `server` set is a closed connection.
 */
#ifndef CHECKOUT_MYSQL_DB_H
#define CHECKOUT_MYSQL_DB_H

#include <mysql.h>
#include <stddef.h>
#include <stdint.h>

#include "mysql/error_class.h"
#include "text/buffer.h"

/*
 * Address and credentials of a server. The texts are not owned, and outlive the connections; NULL and "" are "none".
 * For a host, database or user that is NULL the client library has defaults of its own.
 */
struct db_server {
    const char *host;
    unsigned port;
    const char *socket; /* used instead of host and port when there is one */
    const char *database, *user;
    const char *password;                    /* NULL: none; never logged */
    unsigned connect_timeout, timeout;       /* ms, rounded up to the client library's whole seconds */
    unsigned statement_timeout;              /* ms, after which the server ends a statement itself; 0: never */
    int ssl;                                 /* 1: a connection without TLS is refused; also with ssl_ca */
    const char *ssl_ca, *ssl_cert, *ssl_key; /* files */
    int ssl_verify;                          /* 1: with TLS, the server's certificate and its name are checked */
    int server_public_key;                   /* 1: without TLS, the server may be asked for its key */
    int writable;                            /* 1: a read-only server is refused at the connect: it is no primary */
};

#define DB_SERVER_NAME_MAX 192
#define DB_READ_ONLY       1290 /* what a server says that runs with --read-only */

struct db {
    const struct db_server *server;        /* not owned */
    const char *actor;                     /* who works over it, for stock_movements; not owned; NULL: nobody says */
    MYSQL *mysql;                          /* NULL: closed */
    void *attached;                        /* what ends with the connection; NULL: nothing (mysql/prepared.h uses it) */
    void (*free_attached)(void *attached); /* called once the connection is closed, where attached is not NULL */
    unsigned lock_wait;    /* s that a statement waits for a row's lock; 0: half of the server's timeout */
    uint64_t statement_at; /* of db_begun() */
    uint64_t sessions;     /* opened so far: another number, another session */
    uint64_t announced;    /* the user's own: `sessions` when it told others of this session's server; 0: never */
    char server_name[DB_SERVER_NAME_MAX]; /* of the open session, where server->writable: the same for all sessions */
    uint64_t server_started;              /* on that server; seconds since 1970, exact to a few; as is the name */
    unsigned code;                        /* MySQL's number of the last error; 0: ours */
    char error[512];                      /* its text, fit to stand between double quotes on a line of a log */
};

/*
 * Connects when the connection is closed; blocks up to connect_timeout, and for a statement or two. Returns DB_OK or
 * DB_RETRY; where server->writable is set, also for a server that is read-only (code DB_READ_ONLY).
 */
enum db_result db_open(struct db *db);

/*
 * Asks the server of the open session anew whether it can be written, for whoever is about to conclude something from
 * what it lacks. Blocks for a statement. Returns DB_OK, or DB_RETRY (code DB_READ_ONLY: it cannot); the connection is
 * closed then, and a transaction that was open is gone.
 */
enum db_result db_check_writable(struct db *db);

/*
 * When the last statement was begun: µs of CLOCK_MONOTONIC, 0 when none was. Another thread may ask while the
 * connection's own uses it.
 */
uint64_t db_begun(const struct db *db);

/* For db_begun(): a statement is about to be sent by a call of the client library that is not made here. */
void db_begin(struct db *db);

/* Runs one statement, or several divided by ";", of which none gives rows. sql stays the caller's, here and below. */
enum db_result db_run(struct db *db, const struct buffer *sql);
enum db_result db_text(struct db *db, const char *sql);

/* The same; *rows: how many rows they changed in all, after DB_OK. */
enum db_result db_run_counted(struct db *db, const struct buffer *sql, uint64_t *rows);

/* Runs one statement that gives rows. After DB_OK the caller frees *rows with mysql_free_result(); else it is not set.
 */
enum db_result db_rows(struct db *db, const struct buffer *sql, MYSQL_RES **rows);

/* Does one statement give any row? *any: 1 or 0 after DB_OK, else unchanged. */
enum db_result db_any(struct db *db, const struct buffer *sql, int *any);

/* Runs `statements` statements divided by ";", each of which must change exactly one row, else DB_AGAIN. */
enum db_result db_change_one_each(struct db *db, const struct buffer *sql, size_t statements);

/* The same for statements that must change `wanted` rows in all. */
enum db_result db_change_rows(struct db *db, const struct buffer *sql, uint64_t wanted);

/*
 * Notes an error of a call of the client library that is not made here. Where it is DB_RETRY the connection is closed,
 * unless the server itself reported it (numbers other than 0 and 2000 to 2999) and so bore up.
 */
enum db_result db_error(struct db *db, unsigned code, const char *text);

/* Rolls a transaction back. Errors do not matter: a closed connection rolls back too. Also right where none is open. */
void db_rollback(struct db *db);

/* Adds 'text', escaped and in quotes, to the statement; text is not NULL. The connection must be open. */
void db_quote(struct db *db, struct buffer *sql, const char *text);

/* Closes the connection, and frees what is attached to it; db_open() may open it again. Also right for a closed one. */
void db_close(struct db *db);

/* Frees what the client library keeps for the calling thread, whose connections are closed. */
void db_thread_end(void);

#endif
