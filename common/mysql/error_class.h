/*
 * What an error number of MySQL or MariaDB means for the transaction that met it. Pure.
 *
 *     0                        DB_OK
 *     1020 1062 1213           DB_AGAIN   record changed, duplicate key, deadlock
 *     1048 1264 1265 1292      DB_POISON  NULL, out of range, truncated, a wrong value,
 *     1366 1406 1690                      too long, out of range in an expression,
 *     3819 4025                           a check constraint of MySQL, of MariaDB
 *     any other                DB_RETRY
 *
 * Of DB_RETRY these are certainly the environment's (error_is_environmental()): all below 1000 and 2000 to 2999;
 *
 *     1021 1026 1030 1114      disk or table full, a file, the storage engine
 *     1037 1038 1041           no memory
 *     1040 1129 1203 1226      no more connections
 *     1044 1045 1142 1143 1227 1370   a grant is missing
 *     1049 1054 1146           no such database, column, table
 *     1053 1077 1079 1080      the server shuts down
 *     1158 .. 1161             network
 *     1099 1100 1192 1205 1206 1223   locks
 *     1290 1792 1836 3100      read-only, replication
 *     1317 1927 1969 3024 3168 killed, or over its time
 *
 * What a class does to an order in the worker (worker/intake/order_transaction.h): RETRY and AGAIN cost none, the batch
 * waits or runs again; but a duplicate key that stays counts as POISON there. POISON costs the order that is at fault,
 * after [worker] tries attempts. A number that is in no list here is taken for an outage first. Only where other orders
 * of the same batch can be committed meanwhile, and this one alone cannot, again after [worker] tries attempts, it
 * costs that order. What the edge makes of the classes: ngx_module/sql/errors.h.
 *
 * Numbers below 1000 are ours (0: no error, or our own), 2000 to 2999 the client library's, the others the server's:
 * MySQL 8.4 Reference Manual, "Error Reference"; MariaDB Knowledge Base, "MariaDB Error Codes".
 */
#ifndef CHECKOUT_MYSQL_ERROR_CLASS_H
#define CHECKOUT_MYSQL_ERROR_CLASS_H

#define ERROR_DUPLICATE_KEY 1062 /* ER_DUP_ENTRY */
#define ERROR_LOCK_WAIT     1205 /* ER_LOCK_WAIT_TIMEOUT: of a row, or of a table */

enum db_result {
    DB_OK,
    DB_RETRY, /* environmental, or unknown: wait, connect, run the same transaction again */
    DB_AGAIN, /* lost against another session (deadlock, duplicate key): run the same transaction again at once */
    DB_POISON /* the data itself is refused */
};

/* Returns the class of an error number; DB_OK for 0 alone. */
enum db_result error_class(unsigned code);

/* Returns 1 where a DB_RETRY with that number is the environment's for certain (the second list), else 0. */
int error_is_environmental(unsigned code);

/*
 * Returns 1 where the number says that no server was reached, or that it lets nobody in: the client library's, and
 * 1040, 1044, 1045, 1129, 1130, 1203, 1226; else 0.
 */
int error_is_unreachable(unsigned code);

/* Returns 1 where the server has ended a statement for the session's statement_timeout (1969, 3024), else 0. */
int error_is_timeout(unsigned code);

#endif
