/*
 * What an error number of MySQL or MariaDB means for the transaction that met it: a closed list. Unknown means
 * environmental: a number that is not listed is retried, and never costs an order. Pure.
 *
 * Numbers below 1000 are ours (0: no error, or our own), 2000 to 2999 the client library's, the others the server's:
 * MySQL 8.4 Reference Manual, "Error Reference"; MariaDB Knowledge Base, "MariaDB Error Codes".
 */
#ifndef CHECKOUT_MYSQL_ERROR_CLASS_H
#define CHECKOUT_MYSQL_ERROR_CLASS_H

#define ERROR_DUPLICATE_KEY 1062 /* ER_DUP_ENTRY */

enum db_result {
    DB_OK,
    DB_RETRY, /* environmental, or unknown: wait, connect, run the same transaction again */
    DB_AGAIN, /* lost against another session (deadlock, duplicate key): run the same transaction again at once */
    DB_POISON /* the data itself is refused */
};

/* Returns the class of an error number; DB_OK for 0 alone. */
enum db_result error_class(unsigned code);

/*
 * 1 where a DB_RETRY with that number is the environment's for certain, else 0. The others are taken for it too, unless
 * orders of the same batch can be committed (worker/intake/order_transaction.h).
 */
int error_is_environmental(unsigned code);

/* 1 where the server has ended the statement because of the session's statement_timeout, else 0. */
int error_is_timeout(unsigned code);

#endif
