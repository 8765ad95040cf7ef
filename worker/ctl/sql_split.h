/*
 * Dividing a text of SQL into its statements.
 */
#ifndef CHECKOUT_WORKER_CTL_SQL_SPLIT_H
#define CHECKOUT_WORKER_CTL_SQL_SPLIT_H

#include <stddef.h>

/*
 * Finds the next statement at or behind *at and moves *at behind it. A ";" inside quotes, back quotes or
 * comments divides nothing (MySQL Reference Manual, "Comments" and "String Literals"). Returns its first
 * character, which points into the text, and its length without ";", or NULL when only space and comments are left.
 * Pure.
 */
const char *sql_next_statement(const char **at, size_t *len);

#endif
