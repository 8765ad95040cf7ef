#include "repair/recovery_orders.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "failpoint.h"
#include "lifecycle/payment_event.h"
#include "mysql/product_row.h"
#include "order/order_sql.h"
#include "text/buffer.h"
#include "text/money.h"
#include "text/number.h"

#define AGAIN_MOST 5 /* runs at once after a deadlock or a duplicate key */
#define REASON     "made again: MySQL had lost it"

/* What one transaction does with the records [first .. first + n) of the page. */
struct work {
    struct recovery *r;
    struct later_record *records;
    size_t n;
    enum order_status rows[RECOVERY_PAGE]; /* as read under the locks */
    uint64_t totals[RECOVERY_PAGE];        /* of the row, in hundredths; 0: none */
    int failed[RECOVERY_PAGE];             /* it cannot be made good */
    int pays[RECOVERY_PAGE];               /* its payment is applied again */
    size_t changes[RECOVERY_PAGE];         /* index of that change in the batch */
    struct product_row products[RECOVERY_PAGE];
    int64_t taken[RECOVERY_PAGE]; /* units, beside products */
    size_t product_count;
    struct buffer orders, items, sql;
    uint64_t remade, changed, rewritten;
};


/* --- what is there, under the locks ------------------------------------------------------------------------------- */


static enum db_result
lock_products(struct work *w)
{
    w->product_count = 0;

    /* Few and distinct: an insertion sort. */
    for (size_t i = 0; i < w->n; i++) {
        uint64_t id = w->records[i].order.product_id;
        size_t at = w->product_count;

        if (w->records[i].product == NULL) {
            continue;
        }

        while (at > 0 && w->products[at - 1].id > id) {
            at--;
        }

        if (at > 0 && w->products[at - 1].id == id) {
            continue;
        }

        memmove(&w->products[at + 1], &w->products[at], (w->product_count - at) * sizeof(w->products[0]));
        w->products[at] = (struct product_row) { .id = id };
        w->product_count++;
    }

    memset(w->taken, 0, sizeof(w->taken));
    return EFFECT("recovery.lock", product_rows_read(&w->r->db, w->products, w->product_count, ROW_FOR_UPDATE));
}


/* The place of the record's product among those that are locked and found, or NULL. */
static struct product_row *
product_of(struct work *w, const struct later_record *l)
{
    for (size_t i = 0; i < w->product_count; i++) {
        if (w->products[i].id == l->order.product_id) {
            return w->products[i].found ? &w->products[i] : NULL;
        }
    }

    return NULL;
}


static enum db_result
read_rows(struct work *w)
{
    MYSQL_RES *rows;

    buffer_clear(&w->sql);
    buffer_text(&w->sql, "SELECT order_identifier, status, total_price FROM orders WHERE order_identifier IN (");

    for (size_t i = 0; i < w->n; i++) {
        buffer_format(&w->sql, "%s'%s'", i > 0 ? "," : "", w->records[i].identifier);
        w->rows[i] = ORDER_UNKNOWN;
        w->totals[i] = 0;
        w->failed[i] = w->pays[i] = 0;
    }

    buffer_text(&w->sql, ")");

    enum db_result result = EFFECT("recovery.read_rows", db_rows(&w->r->db, &w->sql, &rows));

    if (result != DB_OK) {
        return result;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        for (size_t i = 0; i < w->n; i++) {
            if (strcmp(row[0], w->records[i].identifier) == 0) {
                w->rows[i] = order_status_parse(row[1], strlen(row[1]));
                (void) money_parse(&w->totals[i], row[2], strlen(row[2]));
            }
        }
    }

    mysql_free_result(rows);
    return DB_OK;
}


/* --- orders without a row ----------------------------------------------------------------------------------------- */


/* Its units were given back, or never sold: a row without items says all. */
static void
add_tombstone(struct work *w, const struct later_record *l)
{
    buffer_text(&w->orders, w->orders.len > 0 ? "," : ORDER_SQL_INSERT);
    order_sql_add_tombstone(
        &w->orders,
        &(struct tombstone) {
            .identifier = l->identifier,
            .status = l->status_text,
            .failure_code = l->reason,
            .user = l->order.user_id,
            .product = l->order.product_id,
            .quantity = l->order.quantity });
    w->rewritten++;
}


/* Returns 0, or -1 where the units are not there. */
static int
add_order(struct work *w, const struct later_record *l)
{
    struct product_row *p = product_of(w, l);
    uint64_t seconds = w->r->config->worker.payment_timeout / 1000;

    if (p == NULL || p->stock - w->taken[p - w->products] < (int64_t) l->order.quantity) {
        return -1;
    }

    w->taken[p - w->products] += l->order.quantity;
    buffer_text(&w->orders, w->orders.len > 0 ? "," : ORDER_SQL_INSERT);
    buffer_format(&w->orders,
                  "('%s',%" PRIu64 ",'pending_payment',NULL,%s*%" PRIu32 ",NOW(3) + INTERVAL %" PRIu64
                  " SECOND,%" PRIu64 ",%" PRIu32 ")",
                  l->identifier, l->order.user_id, p->price, l->order.quantity,
                  p->payment_timeout != 0 ? p->payment_timeout : seconds, l->order.product_id, l->order.quantity);
    buffer_text(&w->items, w->items.len > 0 ? "," : ORDER_SQL_INSERT_ITEMS);
    order_sql_add_item(&w->items, l->identifier, l->order.product_id, l->order.quantity, p->price);
    w->remade++;
    return 0;
}


static void
add_missing(struct work *w)
{
    for (size_t i = 0; i < w->n; i++) {
        const struct later_record *l = &w->records[i];

        if (w->rows[i] != ORDER_UNKNOWN) {
            continue;
        }

        if (l->gate == ORDER_PENDING_PAYMENT || l->gate == ORDER_PAID || l->gate == ORDER_COMPLETED) {
            w->failed[i] = add_order(w, l) == -1;
            w->rows[i] = w->failed[i] ? ORDER_UNKNOWN : ORDER_PENDING_PAYMENT;
        } else {
            add_tombstone(w, l);
            w->rows[i] = l->gate;
        }
    }
}


static enum db_result
insert_missing(struct work *w)
{
    size_t updates = 0;

    buffer_clear(&w->orders);
    buffer_clear(&w->items);
    add_missing(w);

    if (w->orders.len == 0) {
        return DB_OK;
    }

    if (w->items.len > 0) {
        buffer_text(&w->orders, ";");
        buffer_add(&w->orders, w->items.data, w->items.len);
    }

    enum db_result result = EFFECT("recovery.insert", db_run(&w->r->db, &w->orders));

    if (result != DB_OK) {
        return result;
    }

    buffer_clear(&w->sql);

    for (size_t i = 0; i < w->product_count; i++) {
        if (w->taken[i] > 0) {
            buffer_format(&w->sql,
                          "%sUPDATE products SET stock = stock - %" PRId64 ", live_units = live_units + %" PRId64
                          ", version = version + 1 WHERE id = %" PRIu64 " AND stock >= %" PRId64,
                          updates++ > 0 ? ";" : "", w->taken[i], w->taken[i], w->products[i].id, w->taken[i]);
        }
    }

    return updates > 0 ? EFFECT("recovery.take_stock", db_change_one_each(&w->r->db, &w->sql, updates)) : DB_OK;
}


/* --- statuses ----------------------------------------------------------------------------------------------------- */


static struct order_change *
add_change(struct work *w, const struct later_record *l, enum order_event event)
{
    struct order_change *c = change_batch_add(w->r->batch, l->identifier, event);

    c->reason = REASON;
    c->code = event == EVENT_CANCEL || event == EVENT_PAYMENT_FAILED ? l->reason : NULL;
    return c;
}


/* What the order costs; today's price where its row has none: the gate does not know what was paid. */
static void
add_payment(struct work *w, size_t i)
{
    const struct later_record *l = &w->records[i];
    struct product_row *p = product_of(w, l);
    struct order_change *c = add_change(w, l, EVENT_PAYMENT_SUCCEEDED);
    uint64_t price = 0;

    if (w->totals[i] == 0 && p != NULL && money_parse(&price, p->price, strlen(p->price)) == 0) {
        w->totals[i] = price * l->order.quantity;
    }

    c->amount = w->totals[i];
    memcpy(c->currency, w->r->batch->currency, sizeof(c->currency));
    w->pays[i] = 1;
    w->changes[i] = w->r->batch->count - 1;
}


static void
add_changes(struct work *w, size_t i)
{
    const struct later_record *l = &w->records[i];
    enum order_status row = w->rows[i];
    int before = (int) w->r->batch->count;

    if (row == ORDER_UNKNOWN || order_status_rank(l->gate) <= order_status_rank(row)) {
        return;
    }

    if (l->gate == ORDER_CANCELLED && row == ORDER_PENDING_PAYMENT) {
        (void) add_change(w, l, EVENT_CANCEL);
    } else if (l->gate == ORDER_FAILED_PAYMENT && row == ORDER_PENDING_PAYMENT) {
        (void) add_change(w, l, EVENT_PAYMENT_FAILED);
    } else if (order_status_rank(l->gate) >= order_status_rank(ORDER_PAID)) {
        if (order_status_rank(row) < order_status_rank(ORDER_PAID)) {
            add_payment(w, i);
        }

        if (l->gate == ORDER_COMPLETED || l->gate == ORDER_REFUNDED) {
            (void) add_change(w, l, l->gate == ORDER_COMPLETED ? EVENT_COMPLETE : EVENT_REFUND);
        }
    }

    w->changed += (int) w->r->batch->count > before;
}


/* The inbox has the payment again too: should the provider's own event come again, it is a repeat. */
static enum db_result
keep_payments(struct work *w)
{
    struct recovery *r = w->r;

    buffer_clear(&w->sql);

    for (size_t i = 0; i < w->n; i++) {
        if (w->pays[i]) {
            const char *outcome = event_outcome_name(r->batch->changes[w->changes[i]].outcome);

            buffer_format(
                &w->sql,
                "%s('%s:succeeded', '" PAYMENT_BY_GATE "', '{\"type\":\"payment.succeeded\",\"data\":"
                "{\"order_identifier\":\"%s\",\"amount\":\"%" PRIu64 ".%02" PRIu64 "\",\"currency\":\"%s\"}}',"
                " NOW(3), '%s', '%s', 'payment.succeeded')",
                w->sql.len > 0 ? ","
                               : "INSERT INTO payment_events (id, provider, body, processed_at, outcome,"
                                 " order_identifier, type) VALUES ",
                w->records[i].identifier, w->records[i].identifier, w->totals[i] / 100, w->totals[i] % 100,
                r->batch->currency, outcome, w->records[i].identifier);
        }
    }

    if (w->sql.len == 0) {
        return DB_OK;
    }

    buffer_text(&w->sql, " ON DUPLICATE KEY UPDATE outcome = COALESCE(outcome, VALUES(outcome)),"
                         " processed_at = COALESCE(processed_at, NOW(3)), next_try_at = NULL");
    return EFFECT("recovery.payments", db_run(&r->db, &w->sql));
}


static enum db_result
apply_changes(struct work *w)
{
    struct recovery *r = w->r;

    change_batch_clear(r->batch);
    (void) money_currency(r->batch->currency, r->config->payment.currency, strlen(r->config->payment.currency));
    r->batch->writes_events = config_sends_events(r->config);

    for (size_t i = 0; i < w->n; i++) {
        add_changes(w, i);
    }

    enum db_result result = change_batch_apply(r->batch, &r->db);

    return result == DB_OK ? keep_payments(w) : result;
}


/* --- the transaction ---------------------------------------------------------------------------------------------- */


static enum db_result
attempt(struct work *w)
{
    struct db *db = &w->r->db;
    enum db_result result;

    w->remade = w->changed = w->rewritten = 0;

    if ((result = db_open(db)) != DB_OK
        || (result = EFFECT("recovery.begin", db_text(db, "START TRANSACTION"))) != DB_OK
        || (result = lock_products(w)) != DB_OK || (result = db_check_writable(db)) != DB_OK
        || (result = read_rows(w)) != DB_OK || (result = insert_missing(w)) != DB_OK
        || (result = apply_changes(w)) != DB_OK)
    {
        return result;
    }

    return EFFECT("recovery.commit", db_text(db, "COMMIT"));
}


static void
leave_over(struct later_record *l, const char *why)
{
    if (l->product != NULL) {
        l->product->unexplained++;
    }

    log_error("event=order_not_recovered order=%s product=%" PRIu64 " status=%s why=\"%s\"", l->identifier,
              l->order.product_id, l->status_text, why);
}


static void
committed(struct work *w)
{
    struct recovery *r = w->r;

    r->remade += w->remade;
    r->changed += w->changed;
    r->rewritten += w->rewritten;

    for (size_t i = 0; i < w->n; i++) {
        struct later_record *l = &w->records[i];

        if (w->failed[i]) {
            leave_over(l, "its units are not there any more");
        } else {
            log_info("event=order_recovered order=%s product=%" PRIu64 " status=%s", l->identifier, l->order.product_id,
                     l->status_text);

            if (l->product != NULL) {
                l->product->remade++;
            }
        }
    }
}


static enum recovery_result
apply_range(struct work *w, struct later_record *records, size_t n)
{
    enum db_result result = DB_AGAIN;

    w->records = records;
    w->n = n;

    for (unsigned i = 0; i < AGAIN_MOST && result == DB_AGAIN; i++) {
        result = attempt(w);

        if (result != DB_OK) {
            db_rollback(&w->r->db);
        }
    }

    if (result == DB_OK) {
        committed(w);
        return RECOVERY_DONE;
    }

    if (result != DB_POISON) {
        return RECOVERY_FAILED;
    }

    if (n == 1) {
        leave_over(&records[0], w->r->db.error);
        return RECOVERY_DONE;
    }

    enum recovery_result half = apply_range(w, records, n / 2);

    return half == RECOVERY_DONE ? apply_range(w, records + n / 2, n - n / 2) : half;
}


enum recovery_result
recovery_apply(struct recovery *r)
{
    static _Thread_local struct work w;

    w.r = r;

    enum recovery_result result = r->records > 0 ? apply_range(&w, r->page, r->records) : RECOVERY_DONE;

    buffer_free(&w.orders);
    buffer_free(&w.items);
    buffer_free(&w.sql);
    return result;
}
