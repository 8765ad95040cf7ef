#include "lifecycle/outgoing_event.h"

#include <inttypes.h>


/* Text as a string of JSON within a literal of SQL: what JSON escapes, SQL has to escape again. */
static void
add_string(struct buffer *sql, const char *text)
{
    for (size_t i = 0; text[i] != '\0'; i++) {
        switch (text[i]) {
        case '"':
            buffer_text(sql, "\\\\\"");
            break;
        case '\\':
            buffer_text(sql, "\\\\\\\\");
            break;
        case '\'':
            buffer_text(sql, "''");
            break;
        default:
            buffer_add(sql, (unsigned char) text[i] < 0x20 ? " " : &text[i], 1);
        }
    }
}


/* The text that a member of JSON has: null where there is none. */
static void
add_member(struct buffer *sql, const char *name, const char *text)
{
    buffer_format(sql, ",\"%s\":", name);

    if (text[0] == '\0') {
        buffer_text(sql, "null");
        return;
    }

    buffer_text(sql, "\"");
    add_string(sql, text);
    buffer_text(sql, "\"");
}


/* The body is one literal, or where the time is the database's, three parts that CONCAT() joins. */
void
outgoing_event_add_values(struct buffer *sql, const struct outgoing_event *e)
{
    buffer_format(sql, "'%.36s','%s',%s'{\"type\":\"%s\",\"timestamp\":\"", e->identifier, e->type,
                  e->now == NULL ? "CONCAT(" : "", e->type);

    if (e->now != NULL) {
        buffer_format(sql, "%.23s", e->now);
    } else {
        buffer_text(sql, "',LEFT(" OUTGOING_EVENT_NOW ",23),'");
    }

    buffer_format(sql,
                  "Z\",\"data\":{\"order_identifier\":\"%.36s\",\"user_id\":%" PRIu64 ",\"status\":\"%s\""
                  ",\"product_id\":%" PRIu64 ",\"quantity\":%" PRIu64 ",\"total_price\":\"%" PRIu64 ".%02" PRIu64 "\"",
                  e->identifier, e->user, e->status, e->product, e->quantity, e->total / 100, e->total % 100);
    add_member(sql, "currency", e->currency);
    add_member(sql, "payment_id", e->payment_id);
    add_member(sql, "failure_code", e->failure_code);
    buffer_text(sql, e->now == NULL ? "}}')" : "}}'");
}
