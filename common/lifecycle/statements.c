#include "lifecycle/statements.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "failpoint.h"
#include "lifecycle/gate_notice.h"
#include "lifecycle/outgoing_event.h"
#include "order/order_sql.h"


void
statements_begin(struct change_batch *batch)
{
    buffer_clear(&batch->movements);
    buffer_clear(&batch->new_items);
    buffer_clear(&batch->outgoing);
}


/* --- collecting --------------------------------------------------------------------------------------------------- */


/* Text for a literal of SQL: what could end it becomes a space. Reasons are words of people. */
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
kind_of(enum order_event event, enum order_status from, enum stock_effect stock)
{
    switch (stock) {
    case STOCK_WRITTEN_OFF:
        return "adjust";
    case STOCK_TAKEN:
        return from == ORDER_CANCELLED ? "cancel" : "failure";
    default:
        return event == EVENT_PAYMENT_FAILED ? "failure" : "cancel";
    }
}


void
statements_add_movement(struct change_batch *batch, const struct order_change *c, const struct changed_item *item,
                        enum order_status from, enum stock_effect stock)
{
    static const char *const reasons[ORDER_EVENTS] = {
        [EVENT_PAYMENT_SUCCEEDED] = "paid after all",
        [EVENT_PAYMENT_FAILED] = "payment failed",
        [EVENT_PAYMENT_REFUNDED] = "payment refunded",
        [EVENT_EXPIRE] = "not paid in time",
        [EVENT_CANCEL] = "cancelled",
        [EVENT_REFUND] = "refunded",
    };
    int64_t units = stock == STOCK_RETURNED ? (int64_t) item->quantity : -(int64_t) item->quantity;
    const char *reason = c->reason != NULL ? c->reason : reasons[c->event];

    buffer_format(&batch->movements, "%s(%" PRIu64 ",'%s',%" PRId64 ",%" PRId64 ",'%s','",
                  batch->movements.len > 0
                      ? ","
                      : "INSERT INTO stock_movements (product_id, kind, units, stock_after, order_identifier, reason,"
                        " actor) VALUES ",
                  item->product, kind_of(c->event, from, stock), units,
                  batch->products[item->place].stock + batch->deltas[item->place].delta, c->identifier);
    add_plain(&batch->movements, reason, 200);
    buffer_text(&batch->movements, "','");
    add_plain(&batch->movements, batch->actor != NULL ? batch->actor : "", 255);
    buffer_text(&batch->movements, "')");
}


/* Statuses that make no event for the shop have no type. */
void
statements_add_event(struct change_batch *batch, const struct changed_order *o)
{
    static const char *const types[ORDER_STATUSES] = {
        [ORDER_PAID] = "order.paid",
        [ORDER_FAILED_PAYMENT] = "order.failed",
        [ORDER_CANCELLED] = "order.cancelled",
        [ORDER_REFUND_PENDING] = "order.refund_pending",
    };
    struct buffer *b = &batch->outgoing;
    struct outgoing_event event = {
        .identifier = o->identifier,
        .type = types[o->status],
        .status = order_status_name(o->status),
        .now = o->now,
        .user = o->user,
        .product = o->product,
        .quantity = o->quantity,
        .currency = batch->currency,
        .total = o->total_known || o->new_total ? o->total : 0,
        .payment_id = o->payment_id,
        .failure_code = o->code
    };

    if (!batch->writes_events || event.type == NULL) {
        return;
    }

    buffer_text(b, b->len > 0 ? ",(" : OUTGOING_EVENTS_INSERT "VALUES (");
    outgoing_event_add_values(b, &event);
    buffer_text(b, ")");
}


/* --- sending ------------------------------------------------------------------------------------------------------ */


static int
is_plain(const struct changed_order *o, const struct changed_order *like)
{
    return order_status_changed(o) && !o->new_payment && o->before == like->before && o->status == like->status
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
add_like(struct change_batch *batch, size_t first)
{
    const struct changed_order *like = &batch->orders[first];

    buffer_format(&batch->sql, "%sUPDATE orders FORCE INDEX (PRIMARY) SET status = '%s', failure_code = ",
                  batch->sql.len > 0 ? ";" : "", order_status_name(like->status));
    add_code(&batch->sql, like->code);
    buffer_format(&batch->sql, " WHERE status = '%s' AND order_identifier IN ('%s'", order_status_name(like->before),
                  like->identifier);

    for (size_t i = first + 1; i < batch->order_count; i++) {
        if (is_plain(&batch->orders[i], like)) {
            buffer_format(&batch->sql, ",'%s'", batch->orders[i].identifier);
        }
    }

    buffer_text(&batch->sql, ")");
}


static void
add_paid(struct change_batch *batch, struct db *db, const struct changed_order *o)
{
    buffer_format(&batch->sql, "%sUPDATE orders FORCE INDEX (PRIMARY) SET status = '%s', %sfailure_code = ",
                  batch->sql.len > 0 ? ";" : "", order_status_name(o->status),
                  order_status_changed(o) ? "paid_at = NOW(3), " : "");
    add_code(&batch->sql, o->code);
    buffer_text(&batch->sql, ", payment_id = NULLIF(");
    db_quote(db, &batch->sql, o->payment_id);
    buffer_text(&batch->sql, ", '')");

    if (o->new_total) {
        buffer_format(&batch->sql, ", total_price = %" PRIu64 ".%02" PRIu64, o->total / 100, o->total % 100);
    }

    buffer_format(&batch->sql, " WHERE status = '%s' AND order_identifier = '%s'", order_status_name(o->before),
                  o->identifier);
}


static int
came_before(const struct change_batch *batch, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (is_plain(&batch->orders[j], &batch->orders[i])) {
            return 1;
        }
    }

    return 0;
}


/* Returns how many rows have to change. */
static uint64_t
add_orders(struct change_batch *batch, struct db *db)
{
    uint64_t rows = 0;

    for (size_t i = 0; i < batch->order_count; i++) {
        const struct changed_order *o = &batch->orders[i];

        if (!order_status_changed(o) && !o->new_payment) {
            continue;
        }

        rows++;

        if (o->new_payment) {
            add_paid(batch, db, o);
        } else if (!came_before(batch, i)) {
            add_like(batch, i);
        }
    }

    return rows;
}


/* Every product that moved gets a new version, also where its stock is the same again: its counters may not be. */
static uint64_t
add_stock(struct change_batch *batch)
{
    uint64_t rows = 0;

    for (size_t i = 0; i < batch->product_count; i++) {
        struct product_row *p = &batch->products[i];
        const struct stock_delta *d = &batch->deltas[i];

        if (!d->moved) {
            continue;
        }

        buffer_format(&batch->sql,
                      ";UPDATE products SET stock = stock + %" PRId64 ", live_units = live_units + %" PRId64
                      ", supplied_units = supplied_units + %" PRId64 ", version = version + 1"
                      " WHERE id = %" PRIu64 " AND stock + %" PRId64 " >= 0",
                      d->delta, d->live, d->supplied, p->id, d->delta);
        p->stock += d->delta;
        p->version++;
        rows++;
    }

    return rows;
}


static void
add_new_items(struct change_batch *batch)
{
    for (size_t i = 0; i < batch->item_count; i++) {
        const struct changed_item *item = &batch->items[i];
        const struct changed_order *o = &batch->orders[item->order];

        if (o->new_item) {
            buffer_text(&batch->new_items, batch->new_items.len > 0 ? "," : ORDER_SQL_INSERT_ITEMS);
            order_sql_add_item(&batch->new_items, o->identifier, item->product, item->quantity,
                               batch->products[item->place].price);
        }
    }
}


/* What has no guard: items, movements, events, notices. */
static enum db_result
insert_rows(struct change_batch *batch, struct db *db)
{
    const struct buffer *parts[] = { &batch->new_items, &batch->movements, &batch->outgoing };

    buffer_clear(&batch->sql);

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i]->len > 0) {
            buffer_text(&batch->sql, batch->sql.len > 0 ? ";" : "");
            buffer_add(&batch->sql, parts[i]->data, parts[i]->len);
        }

        batch->sql.failed |= parts[i]->failed;
    }

    gate_notices_insert(batch, &batch->sql);
    return batch->sql.len > 0 || batch->sql.failed ? EFFECT("change.insert", db_run(db, &batch->sql)) : DB_OK;
}


enum db_result
statements_send(struct change_batch *batch, struct db *db)
{
    buffer_clear(&batch->sql);

    uint64_t rows = add_orders(batch, db);

    if (rows == 0) {
        return DB_OK;
    }

    rows += add_stock(batch);
    add_new_items(batch);

    enum db_result result = EFFECT("change.update", db_change_rows(db, &batch->sql, rows));

    return result == DB_OK ? insert_rows(batch, db) : result;
}
