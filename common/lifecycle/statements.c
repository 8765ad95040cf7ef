#include "lifecycle/statements.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "failpoint.h"


void
life_write_begin(struct life *life)
{
    buffer_clear(&life->movements);
    buffer_clear(&life->new_items);
    buffer_clear(&life->outgoing);
}


/* --- collecting --------------------------------------------------------------------------------------------------- */


/* Texts of the book and of JSON: what could end a literal becomes a space. Reasons are words of people. */
static void
add_plain(struct buffer *sql, const char *text, size_t most)
{
    for (size_t i = 0; text[i] != '\0' && i < most; i++) {
        char c = text[i];

        buffer_add(sql, (unsigned char) c < 0x20 || c == '\'' || c == '"' || c == '\\' ? " " : &c, 1);
    }
}


/* Stock that is taken again undoes what gave it back. */
static const char *
kind_of(enum life_event event, enum life_status from, enum life_stock stock)
{
    switch (stock) {
    case LIFE_STOCK_WRITTEN_OFF:
        return "adjust";
    case LIFE_STOCK_TAKEN:
        return from == LIFE_CANCELLED ? "cancel" : "failure";
    default:
        return event == LIFE_PAYMENT_FAILED ? "failure" : "cancel";
    }
}


void
life_write_movement(struct life *life, const struct life_change *c, const struct life_item *item,
                    enum life_status from, enum life_stock stock)
{
    static const char *const reasons[LIFE_EVENTS] = {
        [LIFE_PAYMENT_SUCCEEDED] = "paid after all",
        [LIFE_PAYMENT_FAILED] = "payment failed",
        [LIFE_PAYMENT_REFUNDED] = "payment refunded",
        [LIFE_EXPIRE] = "not paid in time",
        [LIFE_CANCEL] = "cancelled",
        [LIFE_REFUND] = "refunded",
    };
    int64_t units = stock == LIFE_STOCK_BACK ? (int64_t) item->quantity : -(int64_t) item->quantity;
    const char *reason = c->reason != NULL ? c->reason : reasons[c->event];

    buffer_format(&life->movements, "%s(%" PRIu64 ",'%s',%" PRId64 ",%" PRId64 ",'%s','", life->movements.len > 0 ? ","
                  : "INSERT INTO stock_movements (product_id, kind, units, stock_after, order_identifier, reason)"
                  " VALUES ",
                  item->product, kind_of(c->event, from, stock), units,
                  life->products[item->place].stock + life->deltas[item->place].delta, c->identifier);
    add_plain(&life->movements, reason, 200);
    buffer_text(&life->movements, "')");
}


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


/* Every word of it is made of digits, letters and hyphens, but for the payment's id, which is escaped. */
void
life_write_outgoing(struct life *life, const struct life_order *o)
{
    static const char *const types[LIFE_STATUSES] = {
        [LIFE_PAID] = "order.paid",
        [LIFE_FAILED_PAYMENT] = "order.failed",
        [LIFE_CANCELLED] = "order.cancelled",
        [LIFE_REFUND_PENDING] = "order.refund_pending",
    };
    struct buffer *b = &life->outgoing;
    uint64_t total = o->total_known || o->new_total ? o->total : 0;

    if (!life->tells || types[o->status] == NULL) {
        return;
    }

    buffer_text(b, b->len > 0 ? "," : "INSERT INTO outgoing_events (order_identifier, type, body) VALUES ");
    buffer_format(b, "('%s','%s','{\"type\":\"%s\",\"timestamp\":\"%.23sZ\",\"data\":{\"order_identifier\":\"%s\""
                  ",\"user_id\":%" PRIu64 ",\"status\":\"%s\",\"product_id\":%" PRIu64 ",\"quantity\":%" PRIu64
                  ",\"total_price\":\"%" PRIu64 ".%02" PRIu64 "\"", o->identifier, types[o->status], types[o->status],
                  o->now, o->identifier, o->user, life_status_name(o->status), o->product, o->quantity, total / 100,
                  total % 100);
    add_member(b, "currency", life->currency);
    add_member(b, "payment_id", o->payment_id);
    add_member(b, "failure_code", o->code);
    buffer_text(b, "}}')");
}


/* --- sending ------------------------------------------------------------------------------------------------------ */


static int
is_plain(const struct life_order *o, const struct life_order *like)
{
    return life_has_moved(o) && !o->new_payment && o->before == like->before && o->status == like->status
           && strcmp(o->code, like->code) == 0;
}


static void
add_code(struct buffer *sql, const char *code)
{
    buffer_text(sql, code[0] == '\0' ? "NULL" : "'");
    add_plain(sql, code, 64);
    buffer_text(sql, code[0] == '\0' ? "" : "'");
}


/* One statement for all orders that go the same way, beginning with `first`. */
static void
add_like(struct life *life, size_t first)
{
    const struct life_order *like = &life->orders[first];

    buffer_format(&life->sql, "%sUPDATE orders FORCE INDEX (PRIMARY) SET status = '%s', failure_code = ",
                  life->sql.len > 0 ? ";" : "", life_status_name(like->status));
    add_code(&life->sql, like->code);
    buffer_format(&life->sql, " WHERE status = '%s' AND order_identifier IN ('%s'", life_status_name(like->before),
                  like->identifier);

    for (size_t i = first + 1; i < life->order_count; i++) {
        if (is_plain(&life->orders[i], like)) {
            buffer_format(&life->sql, ",'%s'", life->orders[i].identifier);
        }
    }

    buffer_text(&life->sql, ")");
}


static void
add_paid(struct life *life, struct db *db, const struct life_order *o)
{
    buffer_format(&life->sql, "%sUPDATE orders FORCE INDEX (PRIMARY) SET status = '%s', %sfailure_code = ",
                  life->sql.len > 0 ? ";" : "", life_status_name(o->status),
                  life_has_moved(o) ? "paid_at = NOW(3), " : "");
    add_code(&life->sql, o->code);
    buffer_text(&life->sql, ", payment_id = NULLIF(");
    db_quote(db, &life->sql, o->payment_id);
    buffer_text(&life->sql, ", '')");

    if (o->new_total) {
        buffer_format(&life->sql, ", total_price = %" PRIu64 ".%02" PRIu64, o->total / 100, o->total % 100);
    }

    buffer_format(&life->sql, " WHERE status = '%s' AND order_identifier = '%s'", life_status_name(o->before),
                  o->identifier);
}


static int
came_before(const struct life *life, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (is_plain(&life->orders[j], &life->orders[i])) {
            return 1;
        }
    }

    return 0;
}


/* Returns how many rows have to change. */
static uint64_t
add_orders(struct life *life, struct db *db)
{
    uint64_t rows = 0;

    for (size_t i = 0; i < life->order_count; i++) {
        const struct life_order *o = &life->orders[i];

        if (!life_has_moved(o) && !o->new_payment) {
            continue;
        }

        rows++;

        if (o->new_payment) {
            add_paid(life, db, o);
        } else if (!came_before(life, i)) {
            add_like(life, i);
        }
    }

    return rows;
}


static uint64_t
add_stock(struct life *life)
{
    uint64_t rows = 0;

    for (size_t i = 0; i < life->product_count; i++) {
        struct product_row *p = &life->products[i];
        int64_t delta = life->deltas[i].delta;

        if (delta == 0) {
            continue;
        }

        buffer_format(&life->sql, ";UPDATE products SET stock = stock + %" PRId64 ", version = version + 1"
                      " WHERE id = %" PRIu64 " AND stock + %" PRId64 " >= 0", delta, p->id, delta);
        p->stock += delta;
        p->version++;
        rows++;
    }

    return rows;
}


static void
add_new_items(struct life *life)
{
    for (size_t i = 0; i < life->item_count; i++) {
        const struct life_item *item = &life->items[i];
        const struct life_order *o = &life->orders[item->order];

        if (o->new_item) {
            buffer_format(&life->new_items, "%s('%s',%" PRIu64 ",%" PRIu32 ",%s)", life->new_items.len > 0 ? ","
                          : "INSERT INTO order_items (order_identifier, product_id, quantity, unit_price) VALUES ",
                          o->identifier, item->product, item->quantity, life->products[item->place].price);
        }
    }
}


/* What has no guard: items, movements, events. */
static enum db_result
insert_rows(struct life *life, struct db *db)
{
    const struct buffer *parts[] = { &life->new_items, &life->movements, &life->outgoing };

    buffer_clear(&life->sql);

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i]->len > 0) {
            buffer_text(&life->sql, life->sql.len > 0 ? ";" : "");
            buffer_add(&life->sql, parts[i]->data, parts[i]->len);
        }

        life->sql.failed |= parts[i]->failed;
    }

    return life->sql.len > 0 || life->sql.failed ? EFFECT("life.insert", db_run(db, &life->sql)) : DB_OK;
}


enum db_result
life_write(struct life *life, struct db *db)
{
    buffer_clear(&life->sql);

    uint64_t rows = add_orders(life, db);

    if (rows == 0) {
        return DB_OK;
    }

    rows += add_stock(life);
    add_new_items(life);

    enum db_result result = EFFECT("life.update", db_change_rows(db, &life->sql, rows));

    return result == DB_OK ? insert_rows(life, db) : result;
}
