#include "lifecycle/payment_inbox.h"

#include "failpoint.h"


/* Bytes of any kind: a statement is text in utf8mb4. */
static void
add_bytes(struct buffer *sql, const char *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";

    buffer_text(sql, "x'");

    if (buffer_reserve(sql, 2 * len) == 0) {
        for (size_t i = 0; i < len; i++) {
            sql->data[sql->len++] = digits[(unsigned char) bytes[i] >> 4];
            sql->data[sql->len++] = digits[(unsigned char) bytes[i] & 15];
        }
    }

    buffer_text(sql, "'");
}


void
payment_inbox_add_insert(struct db *db, struct buffer *sql, const struct inbox_event *event)
{
    buffer_text(sql, "INSERT INTO payment_events (id, provider, body) VALUES (");
    db_quote(db, sql, event->id);
    buffer_text(sql, ", ");
    db_quote(db, sql, event->provider);
    buffer_text(sql, ", ");
    add_bytes(sql, event->body, event->len);
    buffer_text(sql, ")");
}


/* Without a lock: a repeat does not wait for the worker that is applying its event. *found: 1 where it is committed. */
static enum db_result
find(struct db *db, const struct inbox_event *event, int *found)
{
    struct buffer sql = { 0 };

    buffer_text(&sql, "SELECT 1 FROM payment_events WHERE id = ");
    db_quote(db, &sql, event->id);
    buffer_text(&sql, " AND provider = ");
    db_quote(db, &sql, event->provider);

    enum db_result result = EFFECT("inbox.find", db_any(db, &sql, found));

    buffer_free(&sql);
    return result;
}


static enum db_result
insert(struct db *db, const struct inbox_event *event)
{
    struct buffer sql = { 0 };

    payment_inbox_add_insert(db, &sql, event);

    enum db_result result = EFFECT("inbox.insert", db_run(db, &sql));

    buffer_free(&sql);
    return result;
}


enum db_result
payment_inbox_store(struct db *db, const void *input, struct sql_result *result)
{
    const struct inbox_event *event = input;
    int found = 0;
    enum db_result done = find(db, event, &found);

    result->kind = found ? INBOX_REPEATED : INBOX_STORED;

    if (done != DB_OK || found) {
        return done;
    }

    done = insert(db, event);

    if (done == DB_AGAIN && db->code == ERROR_DUPLICATE_KEY) {
        result->kind = INBOX_REPEATED;
        return DB_OK;
    }

    return done;
}
