/*
 * The inbox of payment events: an event is kept exactly as it was signed, once for each id of its provider.
 *
 * A repeat is found by a read without a lock, so it does not wait for the worker that is applying the event. Of two at
 * the same moment the second INSERT waits for the first one's transaction, and a duplicate key means that the event is
 * committed. Nothing else is decided here; the worker applies what it finds.
 */
#ifndef CHECKOUT_LIFECYCLE_PAYMENT_INBOX_H
#define CHECKOUT_LIFECYCLE_PAYMENT_INBOX_H

#include <stddef.h>

#include "mysql/db.h"
#include "mysql/sql_job.h"

#define INBOX_BODY_MAX 65536 /* bytes of a body */

struct inbox_event {
    const char *id;       /* 1 .. 255 visible ASCII characters and a NUL */
    const char *provider; /* constant text: "standard", "stripe", "gateway" */
    const char *body;
    size_t len; /* up to INBOX_BODY_MAX */
};

enum inbox_kind {
    INBOX_STORED,  /* by this call */
    INBOX_REPEATED /* it was there */
};

/*
 * Adds the INSERT of the event, without a semicolon behind it. db is used to quote, and must be open. event: never
 * NULL; its texts are copied. Does not block. The buffer may fail (text/buffer.h).
 */
void payment_inbox_add_insert(struct db *db, struct buffer *sql, const struct inbox_event *event);

/*
 * A job (mysql/sql_job.h) for the primary, outside of a transaction, on an open connection: input is a struct
 * inbox_event. Blocks for up to two statements, and where another session inserts the same event, until that commits
 * (as long as the session waits for a lock).
 *
 * DB_OK: the event is committed, and result->kind is an enum inbox_kind. DB_RETRY, DB_AGAIN: run it again; it may be
 * committed or not. DB_POISON: MySQL refuses its data. db->code and db->error have the reason.
 */
enum db_result payment_inbox_store(struct db *db, const void *input, struct sql_result *result);

#endif
