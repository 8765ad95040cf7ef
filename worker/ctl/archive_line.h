/*
 * A row of MySQL as a line of the archive:
 *
 *     {"table":"orders","row":{"order_identifier":"…","status":"paid","user_id":7,"total_price":"19.80",…}}
 *
 * Whole numbers keep all their digits; money is text; times are UTC as MySQL writes them, 2026-11-21 06:30:00.123; NULL
 * is null. A value that is no UTF-8 is base64, and its name ends in "_base64". Nothing here blocks.
 */
#ifndef CHECKOUT_WORKER_CTL_ARCHIVE_LINE_H
#define CHECKOUT_WORKER_CTL_ARCHIVE_LINE_H

#include <mysql.h>
#include <stdint.h>

#include "text/buffer.h"

/* Adds one line, with its newline. rows and row stay the caller's; row is the one that was fetched last. */
void archive_line_add(struct buffer *out, const char *table, MYSQL_RES *rows, MYSQL_ROW row);

/* Adds all rows that were not fetched yet. Returns how many. */
uint64_t archive_line_add_all(struct buffer *out, const char *table, MYSQL_RES *rows);

#endif
