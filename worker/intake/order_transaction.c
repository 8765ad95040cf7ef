#include "intake/order_transaction.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "failpoint.h"
#include "intake/batch_check.h"
#include "intake/failed_event.h"
#include "lifecycle/outgoing_event.h"
#include "observe/stats.h"
#include "order/order_sql.h"
#include "text/number.h"

#define AGAIN_MOST          5  /* runs at once after a deadlock; then the caller waits */
#define DUPLICATES_MOST     1  /* runs at once after a duplicate key; then it counts as refused data */
#define PROBE_FAILURES_MOST 32 /* of a probe that committed nothing yet; more than the halves of 4096 orders */


/* The part of a batch that one transaction takes: orders[first .. first + n). */
struct range {
    struct batch *batch;
    struct order *orders;
    size_t n;
};


static void
reserve_memory(struct order_transaction *tx, const struct range *r)
{
    if (r->n > tx->capacity) {
        tx->leaders = memory_resize(tx->leaders, r->n, sizeof(size_t));
        tx->stored = memory_resize(tx->stored, r->n, sizeof(struct stored_verdict));
        tx->capacity = r->n;
    }

    if (r->batch->product_count > tx->locked_capacity) {
        tx->locked_capacity = r->batch->product_count;
        tx->locked = memory_resize(tx->locked, tx->locked_capacity, sizeof(struct product_row));
        tx->after = memory_resize(tx->after, tx->locked_capacity, sizeof(struct product_row));
        tx->left = memory_resize(tx->left, tx->locked_capacity, sizeof(*tx->left));
        tx->closed = memory_resize(tx->closed, tx->locked_capacity, sizeof(*tx->closed));
    }
}


static void
find_leaders(struct order_transaction *tx, const struct range *r)
{
    identifier_table_prepare(&tx->found, r->n);

    for (size_t i = 0; i < r->n; i++) {
        tx->leaders[i] = identifier_table_add(&tx->found, r->orders[i].identifier, i);
        tx->stored[i].found = 0;
    }
}


/* The lock comes first: whoever holds it sees every verdict on these products that was committed before. */
static enum db_result
lock_products(struct order_transaction *tx, const struct range *r)
{
    for (size_t i = 0; i < r->batch->product_count; i++) {
        tx->locked[i] = (struct product_row) { .id = r->batch->products[i].id };
    }

    return EFFECT("order.lock", product_rows_read(tx->db, tx->locked, r->batch->product_count, ROW_FOR_UPDATE));
}


/*
 * A locking read may pass over a row that is there (a session's setting, a row on its way): before a product is called
 * gone it is read without a lock. Returns DB_AGAIN where that finds one.
 */
static enum db_result
confirm_gone(struct order_transaction *tx, size_t products)
{
    size_t gone = 0, there = 0;

    for (size_t i = 0; i < products; i++) {
        if (!tx->locked[i].found) {
            tx->after[gone++] = (struct product_row) { .id = tx->locked[i].id };
        }
    }

    enum db_result result = product_rows_read(tx->db, tx->after, gone, ROW_NO_LOCK);

    for (size_t i = 0; i < gone && result == DB_OK; i++) {
        there += tx->after[i].found != 0;
    }

    if (there > 0) {
        tx->db->code = 0;
        return DB_AGAIN;
    }

    return result;
}


/* Under the locks. Where a product is being recovered, nothing is written. */
static enum db_result
look_for_losses(struct order_transaction *tx, size_t products)
{
    enum db_result result = loss_look_cached(&tx->losses, tx->epoch, tx->db, tx->redis, tx->locked, products,
                                             tx->closed, &tx->held);

    return result == DB_OK && tx->held > 0 ? DB_RETRY : result;
}


static void
store_verdict(struct order_transaction *tx, MYSQL_ROW row)
{
    size_t i = identifier_table_find(&tx->found, row[0]);

    if (i == IDENTIFIER_TABLE_NONE) {
        return;
    }

    struct stored_verdict *v = &tx->stored[i];

    v->found = 1;
    snprintf(v->status, sizeof(v->status), "%s", row[1]);
    snprintf(v->reason, sizeof(v->reason), "%s", row[2]);
    v->created_ms = number_of_column(row[6]);
    v->archived = row[7][0] == '1';
    v->asked = (struct checkout_order) {
        .user_id = number_of_column(row[3]),
        .product_id = number_of_column(row[4]),
        .quantity = (uint32_t) number_of_column(row[5])
    };
}


static enum db_result
read_verdicts(struct order_transaction *tx, const struct range *r)
{
    MYSQL_RES *rows;

    buffer_clear(&tx->sql);
    buffer_text(&tx->sql,
                "SELECT o.order_identifier, o.status, COALESCE(o.failure_code, ''), o.user_id,"
                " COALESCE(o.product_id, i.product_id, 0), COALESCE(o.quantity, i.quantity, 0),"
                " TIMESTAMPDIFF(MICROSECOND, '1970-01-01', o.created_at) DIV 1000, o.archived_at IS NOT NULL"
                " FROM orders o LEFT JOIN order_items i ON i.order_identifier = o.order_identifier"
                " WHERE o.order_identifier IN (");

    for (size_t i = 0; i < r->n; i++) {
        buffer_text(&tx->sql, i > 0 ? ",'" : "'");
        buffer_add(&tx->sql, r->orders[i].identifier, CHECKOUT_IDENTIFIER_LEN);
        buffer_text(&tx->sql, "'");
    }

    buffer_text(&tx->sql, ")");

    enum db_result result = EFFECT("order.verdicts", db_rows(tx->db, &tx->sql, &rows));

    if (result != DB_OK) {
        return result;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        store_verdict(tx, row);
    }

    mysql_free_result(rows);
    return DB_OK;
}


/* Identifiers are hexadecimal digits and hyphens, prices digits and a point: nothing here needs escaping. */
static void
add_order_row(struct order_transaction *tx, const struct order *o, const char *price, uint64_t payment_seconds)
{
    if (o->verdict != VERDICT_SOLD) {
        order_sql_add_tombstone(
            &tx->sql,
            &(struct tombstone) {
                .identifier = o->identifier,
                .status = "failed",
                .failure_code = o->reason,
                .user = o->asked.user_id,
                .product = o->asked.product_id,
                .quantity = o->asked.quantity });
        return;
    }

    buffer_text(&tx->sql, "('");
    buffer_add(&tx->sql, o->identifier, CHECKOUT_IDENTIFIER_LEN);
    buffer_format(&tx->sql,
                  "',%" PRIu64 ",'pending_payment',NULL,%s*%" PRIu32 ",NOW(3) + INTERVAL %" PRIu64 " SECOND,%" PRIu64
                  ",%" PRIu32 ")",
                  o->asked.user_id, price, o->asked.quantity, payment_seconds, o->asked.product_id, o->asked.quantity);
}


static void
add_item_row(struct order_transaction *tx, const struct order *o, const char *price)
{
    buffer_text(&tx->items, tx->items.len == 0 ? ORDER_SQL_INSERT_ITEMS : ",");
    order_sql_add_item(&tx->items, o->identifier, o->asked.product_id, o->asked.quantity, price);
}


/*
 * An identifier has one row, so an order that meets another one under its identifier gets none. stock_movements records
 * what became of it, with 0 units. Run again, the statement finds its own row there and inserts none.
 */
static void
add_conflict(struct order_transaction *tx, const struct order *o)
{
    char reason[128];

    snprintf(reason, sizeof(reason), "idempotency_conflict: user %" PRIu64 " asked for %" PRIu32 ", accepted %" PRIu64,
             o->asked.user_id, o->asked.quantity, o->accepted_ms);
    buffer_format(&tx->items,
                  "%sINSERT INTO stock_movements (product_id, kind, units, stock_after, order_identifier,"
                  " reason, actor) SELECT %" PRIu64 ", 'failure', 0, %" PRId64
                  ", '%.36s', '%s', 'intake' FROM DUAL WHERE NOT EXISTS"
                  " (SELECT 1 FROM stock_movements WHERE product_id = %" PRIu64 " AND order_identifier = '%.36s'"
                  " AND reason = '%s')",
                  tx->items.len > 0 ? ";" : "", o->asked.product_id, tx->after[o->product].stock, o->identifier, reason,
                  o->asked.product_id, o->identifier, reason);
}


static void
add_conflicts(struct order_transaction *tx, const struct range *r)
{
    for (size_t i = 0; i < r->n; i++) {
        if (r->orders[i].verdict == VERDICT_CONFLICT) {
            add_conflict(tx, &r->orders[i]);
        }
    }
}


/* Failed orders are events for the shop too, where [events] url is set. */
static void
add_failed_events(struct order_transaction *tx, const struct range *r)
{
    size_t events = 0;

    if (!config_sends_events(tx->config)) {
        return;
    }

    for (size_t i = 0; i < r->n; i++) {
        const struct order *o = &r->orders[i];

        if (o->verdict == VERDICT_FAILED) {
            buffer_text(&tx->items, events++ > 0        ? ",("
                                    : tx->items.len > 0 ? ";" OUTGOING_EVENTS_INSERT "VALUES ("
                                                        : OUTGOING_EVENTS_INSERT "VALUES (");
            failed_event_values(&tx->items, tx->config, o, o->reason);
            buffer_text(&tx->items, ")");
        }
    }
}


static enum db_result
insert_rows(struct order_transaction *tx, const struct range *r)
{
    unsigned payment_seconds = tx->config->worker.payment_timeout / 1000;
    size_t rows = 0;

    tx->rows_inserted = 0;
    buffer_clear(&tx->items);
    buffer_clear(&tx->sql);
    buffer_text(&tx->sql, ORDER_SQL_INSERT);

    for (size_t i = 0; i < r->n; i++) {
        const struct order *o = &r->orders[i];
        const struct product_row *p = &tx->locked[o->product];

        if (o->verdict != VERDICT_SOLD && o->verdict != VERDICT_FAILED) {
            continue;
        }

        buffer_text(&tx->sql, rows++ > 0 ? "," : "");
        add_order_row(tx, o, p->price, p->payment_timeout != 0 ? p->payment_timeout : payment_seconds);

        if (o->verdict == VERDICT_SOLD) {
            add_item_row(tx, o, p->price);
        }
    }

    add_conflicts(tx, r);
    add_failed_events(tx, r);
    tx->rows_inserted = rows;

    if (rows == 0) {
        return tx->items.len > 0 ? EFFECT("order.insert", db_run(tx->db, &tx->items)) : DB_OK;
    }

    if (tx->items.len > 0) {
        buffer_text(&tx->sql, ";");
        buffer_add(&tx->sql, tx->items.data, tx->items.len);
    }

    return EFFECT("order.insert", db_run(tx->db, &tx->sql));
}


/* The stock cannot have changed under the lock; if the guard finds otherwise, all is rolled back. */
static enum db_result
take_stock(struct order_transaction *tx, size_t products)
{
    size_t updates = 0;

    buffer_clear(&tx->sql);

    for (size_t i = 0; i < products; i++) {
        int64_t sold = tx->locked[i].stock - tx->after[i].stock;

        if (sold == 0) {
            continue;
        }

        buffer_format(&tx->sql,
                      "%sUPDATE products SET stock = stock - %" PRId64 ", live_units = live_units + %" PRId64
                      ", version = version + 1 WHERE id = %" PRIu64 " AND stock >= %" PRId64,
                      updates++ > 0 ? ";" : "", sold, sold, tx->after[i].id, sold);
        tx->after[i].version++;
    }

    return updates > 0 ? EFFECT("order.take_stock", db_change_one_each(tx->db, &tx->sql, updates)) : DB_OK;
}


static void
report_conflicts(const struct range *r)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct order *o = &r->orders[i];

        if (o->verdict == VERDICT_CONFLICT) {
            log_error("event=idempotency_conflict order=%.36s product=%" PRIu64 " quantity=%" PRIu32 " user=%" PRIu64
                      " stands=%s product_that_stands=%" PRIu64 " quantity_that_stands=%" PRIu32
                      " user_that_stands=%" PRIu64,
                      o->identifier, o->asked.product_id, o->asked.quantity, o->asked.user_id, o->status,
                      o->existing.product_id, o->existing.quantity, o->existing.user_id);
        }
    }
}


static enum db_result
begin(struct order_transaction *tx)
{
    enum db_result result = db_open(tx->db);

    /* Before anything is committed there, also where no version is asked for. */
    if (result == DB_OK) {
        result = loss_announce_session(tx->redis, tx->db);
    }

    if (result == DB_OK) {
        result = EFFECT("order.begin", db_text(tx->db, "START TRANSACTION"));
    }

    if (result == DB_OK && tx->on_begun != NULL) {
        tx->on_begun(tx->data);
    }

    return result;
}


/* One attempt at one transaction. What it decided counts only when it returns DB_OK. */
static enum db_result
attempt(struct order_transaction *tx, const struct range *r)
{
    size_t products = r->batch->product_count;
    enum db_result result = begin(tx);

    if (result != DB_OK || (result = lock_products(tx, r)) != DB_OK || (result = confirm_gone(tx, products)) != DB_OK
        || (result = look_for_losses(tx, products)) != DB_OK || (result = read_verdicts(tx, r)) != DB_OK)
    {
        return result;
    }

    memcpy(tx->after, tx->locked, products * sizeof(struct product_row));
    decide(r->orders, tx->leaders, tx->stored, r->n, tx->after);

    if (!batch_check_decided(r->orders, r->n, tx->locked, tx->after, tx->left, products)) {
        tx->inconsistent = 1;
        return DB_RETRY;
    }

    if ((result = insert_rows(tx, r)) != DB_OK || (result = take_stock(tx, products)) != DB_OK
        || (result = EFFECT("order.commit", db_text(tx->db, "COMMIT"))) != DB_OK)
    {
        return result;
    }

    memcpy(r->batch->products, tx->after, products * sizeof(struct product_row));
    report_conflicts(r);
    return DB_OK;
}


/* Runs a range until it is committed, refused for its data, or has to wait. */
static enum db_result
run_range(struct order_transaction *tx, const struct range *r)
{
    enum db_result result = DB_AGAIN;
    unsigned duplicates = 0;

    reserve_memory(tx, r);
    find_leaders(tx, r);

    for (unsigned i = 0; i < AGAIN_MOST && result == DB_AGAIN; i++) {
        uint64_t begun = clock_us();

        result = attempt(tx, r);

        if (result == DB_OK) {
            stats_commit(clock_us() - begun);
            tx->rows_committed += tx->rows_inserted;
            continue;
        }

        if (!tx->inconsistent && tx->held == 0) {
            stats_mysql_retry(tx->db->code);
        }

        if (result == DB_AGAIN && tx->db->code == ERROR_DUPLICATE_KEY && ++duplicates > DUPLICATES_MOST) {
            result = DB_POISON;
        }

        db_rollback(tx->db);
    }

    return result;
}


/*
 * An order that is refused by itself: written down as failed, without the data that MySQL refused. anonymous: also
 * without product and quantity.
 */
static enum db_result
insert_tombstone(struct order_transaction *tx, struct order *o, int anonymous)
{
    struct tombstone tombstone = {
        .identifier = o->identifier, .status = "failed", .failure_code = "rejected", .user = o->asked.user_id
    };

    o->verdict = VERDICT_FAILED;
    strcpy(o->status, "failed");
    strcpy(o->reason, "rejected");

    buffer_clear(&tx->sql);
    buffer_text(&tx->sql, ORDER_SQL_INSERT);

    if (!anonymous) {
        tombstone.product = o->asked.product_id;
        tombstone.quantity = o->asked.quantity;
    }

    order_sql_add_tombstone(&tx->sql, &tombstone);

    if (config_sends_events(tx->config)) {
        buffer_text(&tx->sql, ";" OUTGOING_EVENTS_INSERT "VALUES (");
        failed_event_values(&tx->sql, tx->config, o, o->reason);
        buffer_text(&tx->sql, ")");
    }

    enum db_result result = begin(tx);

    if (result != DB_OK || (result = EFFECT("order.tombstone", db_run(tx->db, &tx->sql))) != DB_OK
        || (result = EFFECT("order.commit", db_text(tx->db, "COMMIT"))) != DB_OK)
    {
        db_rollback(tx->db);
    }

    return result;
}


/* Returns DB_POISON where not even a row without product and quantity can be written. */
static enum db_result
write_tombstone(struct order_transaction *tx, struct order *o)
{
    enum db_result result = insert_tombstone(tx, o, 0);

    if (result == DB_AGAIN && tx->db->code == ERROR_DUPLICATE_KEY) {
        result = insert_tombstone(tx, o, 1);
    }

    return result == DB_AGAIN && tx->db->code == ERROR_DUPLICATE_KEY ? DB_POISON : result;
}


static void
add_to_list(struct order_list *list, struct order *o)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        list->orders = memory_resize(list->orders, list->capacity, sizeof(*list->orders));
    }

    list->orders[list->count++] = o;
}


/* Not even the tombstone can be written: the settle call moves the order to the dead letters. */
static enum db_result
mark_dead(const struct order_transaction *tx, struct order *o)
{
    log_error("event=dead_letter order=%.36s product=%" PRIu64 " code=%u error=\"%s\"", o->identifier,
              o->asked.product_id, tx->db->code, tx->db->error);
    o->verdict = VERDICT_DEAD;
    strcpy(o->reason, "rejected");
    return DB_OK;
}


static enum db_result
run_alone(struct order_transaction *tx, const struct range *r)
{
    struct order *o = r->orders;
    enum db_result result = DB_POISON;

    for (unsigned i = 1; i < tx->config->worker.tries && result == DB_POISON; i++) {
        result = run_range(tx, r);
    }

    if (result != DB_POISON) {
        return result;
    }

    log_error("event=order_refused order=%.36s product=%" PRIu64 " code=%u error=\"%s\"", o->identifier,
              o->asked.product_id, tx->db->code, tx->db->error);

    result = write_tombstone(tx, o);

    return result == DB_POISON ? mark_dead(tx, o) : result;
}


static enum db_result
run_halving(struct order_transaction *tx, struct range r)
{
    enum db_result result = run_range(tx, &r);

    if (result != DB_POISON) {
        return result;
    }

    if (r.n == 1) {
        add_to_list(&tx->refused, r.orders);
        return DB_OK;
    }

    struct range half = r;

    half.n = r.n / 2;
    result = run_halving(tx, half);

    if (result != DB_OK) {
        return result;
    }

    half.orders += half.n;
    half.n = r.n - half.n;
    return run_halving(tx, half);
}


static int
is_unknown(const struct order_transaction *tx, enum db_result result)
{
    return result == DB_RETRY && !tx->inconsistent && tx->held == 0 && !error_is_environmental(tx->db->code);
}


/* Commits what can be committed; orders that cannot go to tx->stuck. A result other than DB_OK ends the probe. */
static enum db_result
probe(struct order_transaction *tx, struct range r)
{
    enum db_result result = run_range(tx, &r);

    if (result == DB_POISON) {
        return run_halving(tx, r);
    }

    if (!is_unknown(tx, result)) {
        tx->probe_commits += result == DB_OK;
        return result;
    }

    if (tx->probe_commits == 0 && ++tx->probe_failures > PROBE_FAILURES_MOST) {
        return result;
    }

    if (r.n == 1) {
        add_to_list(&tx->stuck, r.orders);
        return DB_OK;
    }

    struct range half = r;

    half.n = r.n / 2;
    result = probe(tx, half);

    if (result != DB_OK) {
        return result;
    }

    half.orders += half.n;
    half.n = r.n - half.n;
    return probe(tx, half);
}


/* Tries an order that failed alone while others of its batch were committed; at last it gets a tombstone. */
static enum db_result
run_stuck(struct order_transaction *tx, struct batch *batch, struct order *o)
{
    struct range alone = { .batch = batch, .orders = o, .n = 1 };
    enum db_result result = DB_RETRY;

    for (unsigned i = 1; i < tx->config->worker.tries; i++) {
        result = run_range(tx, &alone);

        if (!is_unknown(tx, result)) {
            return result == DB_POISON ? run_alone(tx, &alone) : result;
        }
    }

    log_error("event=order_refused order=%.36s product=%" PRIu64 " code=%u error=\"%s\"", o->identifier,
              o->asked.product_id, tx->db->code, tx->db->error);

    result = write_tombstone(tx, o);

    return result == DB_POISON || is_unknown(tx, result) ? mark_dead(tx, o) : result;
}


static enum db_result
run_probe(struct order_transaction *tx, struct range all)
{
    tx->probe_commits = tx->probe_failures = 0;

    enum db_result result = probe(tx, all);

    if (result == DB_OK && tx->probe_commits == 0 && tx->stuck.count > 0) {
        return DB_RETRY;
    }

    for (size_t i = 0; i < tx->stuck.count && result == DB_OK; i++) {
        result = run_stuck(tx, all.batch, tx->stuck.orders[i]);
    }

    return result;
}


/* Writes tombstones for the orders that MySQL refused alone, unless the tables are at fault. */
static enum db_result
write_refused(struct order_transaction *tx, struct batch *batch)
{
    enum db_result result = DB_OK;

    if (tx->refused.count > 1 && tx->rows_committed == 0) {
        log_error("event=batch_refused orders=%zu code=%u error=\"%s\" why=\"not one order can be written:"
                  " were the tables changed? all wait\"",
                  tx->refused.count, tx->db->code, tx->db->error);
        return DB_RETRY;
    }

    for (size_t i = 0; i < tx->refused.count && result == DB_OK; i++) {
        struct range alone = { .batch = batch, .orders = tx->refused.orders[i], .n = 1 };

        result = run_alone(tx, &alone);
    }

    return result;
}


int
order_transaction_is_suspicious(const struct order_transaction *tx)
{
    return tx->unknown_runs >= SUSPICIOUS_RUNS;
}


/* Returns how many rows of the batch's products others hold, now that waiting for one was in vain; 0: none, any more.
 */
static size_t
find_locked(struct order_transaction *tx, const struct batch *batch)
{
    size_t locked = 0;

    for (size_t i = 0; i < batch->product_count; i++) {
        tx->after[i] = (struct product_row) { .id = batch->products[i].id };
    }

    enum db_result result = db_open(tx->db);

    if (result == DB_OK) {
        result = locked_products_find(tx->db, tx->after, batch->product_count, &locked);
    }

    return result == DB_OK ? locked : 0;
}


enum order_result
order_transaction_run(struct order_transaction *tx, struct batch *batch)
{
    struct range all = { .batch = batch, .orders = batch->orders, .n = batch->order_count };

    tx->refused.count = tx->stuck.count = 0;
    tx->inconsistent = 0;
    tx->held = 0;

    enum db_result result = order_transaction_is_suspicious(tx) ? run_probe(tx, all) : run_halving(tx, all);

    if (result == DB_OK) {
        result = write_refused(tx, batch);
    }

    if (result == DB_OK) {
        tx->unknown_runs = 0;
        tx->rows_committed = 0;
        return ORDERS_COMMITTED;
    }

    if (is_unknown(tx, result)) {
        tx->unknown_runs++;
    }

    if (tx->held > 0) {
        return ORDERS_HELD;
    }

    if (!tx->inconsistent) {
        tx->waited_for = result == DB_RETRY && tx->db->code == ERROR_LOCK_WAIT ? find_locked(tx, batch) : 0;
        return tx->waited_for > 0 ? ORDERS_LOCKED : ORDERS_WAIT;
    }

    tx->rows_committed = 0;
    return ORDERS_INCONSISTENT;
}


void
order_transaction_free(struct order_transaction *tx)
{
    buffer_free(&tx->sql);
    buffer_free(&tx->items);
    identifier_table_free(&tx->found);
    free(tx->stuck.orders);
    free(tx->refused.orders);
    free(tx->leaders);
    free(tx->stored);
    free(tx->locked);
    free(tx->after);
    free(tx->left);
    free(tx->closed);
    loss_cache_free(&tx->losses);
}
