#include "lifecycle/single_change.h"

#include <stdio.h>
#include <string.h>

#include "failpoint.h"
#include "lifecycle/gate_notice.h"
#include "lifecycle/outgoing_event.h"
#include "lifecycle/statements.h"
#include "mysql/order_read.h"
#include "order/order_sql.h"

#define AGAIN_MOST 5 /* runs at once after a lost race; then the caller decides */


/* The time by the database's clock, for the shop's event. */
static enum db_result
read_now(struct change_batch *batch, struct db *db, char now[24])
{
    MYSQL_RES *rows;

    buffer_clear(&batch->sql);
    buffer_text(&batch->sql, "SELECT " OUTGOING_EVENT_NOW);

    enum db_result result = EFFECT("single_change.now", db_rows(db, &batch->sql, &rows));

    if (result == DB_OK) {
        MYSQL_ROW row = mysql_fetch_row(rows);

        snprintf(now, 24, "%s", row != NULL ? row[0] : "");
        mysql_free_result(rows);
    }

    return result;
}


/*
 * No row yet: the job waits, or a worker is at it. Under the product's lock no worker can commit it, so either this row
 * is first and the worker finds it, or the worker was, and there is a duplicate key.
 */
static enum db_result
cancel_in_queue(struct change_batch *batch, struct db *db, const struct single_change *change)
{
    struct changed_order *o = &batch->orders[0];
    struct product_row *p = &batch->products[0];
    enum db_result result;

    *p = (struct product_row) { .id = change->asked.product_id };
    batch->product_count = 1;

    o->status = ORDER_CANCELLED;
    o->user = change->asked.user_id;
    o->product = change->asked.product_id;
    o->quantity = change->asked.quantity;
    snprintf(o->code, sizeof(o->code), "%s", change->code);

    if ((result = EFFECT("single_change.lock", product_rows_read(db, p, 1, ROW_FOR_UPDATE))) != DB_OK
        || (result = read_now(batch, db, o->now)) != DB_OK)
    {
        return result;
    }

    statements_add_event(batch, o);
    buffer_clear(&batch->sql);
    buffer_text(&batch->sql, ORDER_SQL_INSERT);
    order_sql_add_tombstone(
        &batch->sql,
        &(struct tombstone) {
            .identifier = o->identifier,
            .status = order_status_name(o->status),
            .failure_code = o->code,
            .user = o->user,
            .product = o->product,
            .quantity = o->quantity });

    if (batch->outgoing.len > 0) {
        buffer_text(&batch->sql, ";");
        buffer_add(&batch->sql, batch->outgoing.data, batch->outgoing.len);
    }

    gate_notices_insert(batch, &batch->sql);
    batch->changes[0].outcome = OUTCOME_CANCELLED;
    return EFFECT("single_change.insert", db_run(db, &batch->sql));
}


/* An order whose record has a later status than `queued` had a row, which MySQL lost: the operator must mend that. */
static int
is_to_insert(const struct change_batch *batch, const struct single_change *change)
{
    return change->event == EVENT_CANCEL && change->is_queued && batch->orders[0].status == ORDER_UNKNOWN
           && !batch->orders[0].passed_over && (change->user == 0 || change->user == change->asked.user_id);
}


/* What the caller read at the gate before. A version that is later than the locked row's proves that MySQL lost
 * commits. */
static enum db_result
look_at_change(struct change_batch *batch, struct db *db, void *data)
{
    const struct single_change *change = data;
    struct changed_order *o = &batch->orders[0];
    int is_lost = change->is_recovering || order_status_rank(change->recorded) > order_status_rank(o->status);

    (void) db;

    for (size_t i = 0; i < batch->product_count; i++) {
        is_lost |= batch->products[i].found && batch->products[i].id == change->asked.product_id
                   && change->gate_version > batch->products[i].version;
    }

    o->passed_over |= is_lost;
    batch->behind += (size_t) is_lost;
    return DB_OK;
}


/* A caller that does not know the workers' configuration leaves the currency empty: it is read from `settings`. */
static enum db_result
read_settings(struct change_batch *batch, struct db *db)
{
    MYSQL_RES *rows;

    buffer_clear(&batch->sql);
    buffer_text(&batch->sql, "SELECT name, value FROM settings");

    enum db_result result = EFFECT("single_change.settings", db_rows(db, &batch->sql, &rows));

    if (result != DB_OK) {
        return result;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        if (strcmp(row[0], "currency") == 0) {
            (void) money_currency(batch->currency, row[1], strlen(row[1]));
        } else if (strcmp(row[0], "events") == 0) {
            batch->writes_events = strcmp(row[1], "on") == 0;
        }
    }

    mysql_free_result(rows);
    return DB_OK;
}


static enum db_result
attempt(struct change_batch *batch, struct db *db, struct single_change *change)
{
    enum db_result result;

    change_batch_clear(batch);
    memcpy(batch->currency, change->currency, sizeof(batch->currency));
    batch->writes_events = change->writes_events;
    batch->look = change->look != NULL ? change->look : look_at_change;
    batch->look_data = change->look != NULL ? change->look_data : change;

    struct order_change *c = change_batch_add(batch, change->identifier, change->event);

    c->user = change->user;
    c->code = change->code;
    c->reason = change->reason;

    if ((result = db_open(db)) != DB_OK || (change->currency[0] == '\0' && (result = read_settings(batch, db)) != DB_OK)
        || (result = EFFECT("single_change.begin", db_text(db, "START TRANSACTION"))) != DB_OK
        || (result = change_batch_apply(batch, db)) != DB_OK)
    {
        return result;
    }

    if (is_to_insert(batch, change) && (result = cancel_in_queue(batch, db, change)) != DB_OK) {
        return result;
    }

    return EFFECT("single_change.commit", db_text(db, "COMMIT"));
}


enum db_result
single_change_run(struct db *db, const struct single_change *change, struct single_change_result *answer)
{
    struct change_batch *batch = change_batch_create(1);
    struct single_change own = *change;
    enum db_result result = DB_AGAIN;

    *answer = (struct single_change_result) { .outcome = OUTCOME_UNKNOWN_ORDER };

    if (batch == NULL) {
        db->code = 0;
        snprintf(db->error, sizeof(db->error), "out of memory");
        return DB_RETRY;
    }

    for (unsigned i = 0; i < AGAIN_MOST && result == DB_AGAIN; i++) {
        result = attempt(batch, db, &own);

        if (result != DB_OK) {
            db_rollback(db);
        }
    }

    if (result == DB_OK) {
        answer->outcome = batch->changes[0].outcome;
        answer->order = batch->orders[0];

        for (size_t i = 0; i < batch->product_count; i++) {
            answer->product = batch->products[i].id == answer->order.product ? batch->products[i] : answer->product;
        }
    }

    if (answer->outcome == OUTCOME_REPEAT) {
        answer->order.before = ORDER_UNKNOWN;
    }

    change_batch_free(batch);
    return result;
}


/* The order as a read would show it. Done is done: where it cannot be read now, the answer goes without. */
static void
add_order(struct db *db, const struct single_change *change, struct buffer *body)
{
    struct sql_result read = { 0 };
    struct order_read input;

    memcpy(input.identifier, change->identifier, sizeof(input.identifier));

    if (order_read(db, &input, &read) == DB_OK && read.rows > 0 && !read.body.failed) {
        buffer_add(body, read.body.data, read.body.len);
    }

    buffer_free(&read.body);
}


enum db_result
single_change_job(struct db *db, const void *input, struct sql_result *result)
{
    struct single_change_result answer;

    db->actor = "buyer";

    enum db_result outcome = single_change_run(db, input, &answer);

    if (outcome == DB_OK) {
        result->kind = (int) answer.outcome;
        buffer_add(&result->body, &answer, sizeof(answer));

        if (answer.order.status != ORDER_UNKNOWN) {
            add_order(db, input, &result->body);
        }
    }

    return outcome == DB_OK && result->body.failed ? DB_RETRY : outcome;
}
