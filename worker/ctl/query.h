/*
 * One statement for a command that lists rows.
 */
#ifndef CHECKOUT_WORKER_CTL_QUERY_H
#define CHECKOUT_WORKER_CTL_QUERY_H

#include "ctl/ctl.h"
#include "text/buffer.h"

/*
 * Connects where needed, runs the statement and frees its buffer; blocks on MySQL. Returns the rows, which the caller
 * frees by mysql_free_result(), or NULL after a message: the command then ends with CTL_ERROR.
 */
MYSQL_RES *query_rows(struct ctl *ctl, struct buffer *sql);

#endif
