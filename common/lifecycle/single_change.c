#include "lifecycle/single_change.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "failpoint.h"
#include "lifecycle/statements.h"
#include "mysql/order_read.h"

#define AGAIN_MOST 5   /* runs at once after a lost race; then the caller decides */


/* What the database's clock says, for what the shop is told. */
static enum db_result
read_now(struct life *life, struct db *db, char now[24])
{
    MYSQL_RES *rows;

    buffer_clear(&life->sql);
    buffer_text(&life->sql, "SELECT DATE_FORMAT(NOW(3), '%Y-%m-%dT%H:%i:%s.%f')");

    enum db_result result = EFFECT("wish.now", db_rows(db, &life->sql, &rows));

    if (result == DB_OK) {
        MYSQL_ROW row = mysql_fetch_row(rows);

        snprintf(now, 24, "%s", row != NULL ? row[0] : "");
        mysql_free_result(rows);
    }

    return result;
}


/*
 * No row yet: the job waits, or a worker is at it. Under the product's lock no worker can commit it, so either this row
 * is first and the worker finds it, or the worker was, and the duplicate key says so.
 */
static enum db_result
cancel_in_queue(struct life *life, struct db *db, const struct life_wish *wish)
{
    struct life_order *o = &life->orders[0];
    struct product_row *p = &life->products[0];
    enum db_result result;

    *p = (struct product_row) { .id = wish->asked.product_id };
    life->product_count = 1;

    o->status = LIFE_CANCELLED;
    o->user = wish->asked.user_id;
    o->product = wish->asked.product_id;
    o->quantity = wish->asked.quantity;
    snprintf(o->code, sizeof(o->code), "%s", wish->code);

    if ((result = EFFECT("wish.lock", product_rows_read(db, p, 1, ROW_FOR_UPDATE))) != DB_OK
        || (result = read_now(life, db, o->now)) != DB_OK)
    {
        return result;
    }

    life_write_outgoing(life, o);
    buffer_clear(&life->sql);
    buffer_format(&life->sql, "INSERT INTO orders (order_identifier, user_id, status, failure_code, product_id,"
                  " quantity) VALUES ('%s', %" PRIu64 ", 'cancelled', '%s', %" PRIu64 ", %" PRIu64 ")",
                  o->identifier, o->user, o->code, o->product, o->quantity);

    if (life->outgoing.len > 0) {
        buffer_text(&life->sql, ";");
        buffer_add(&life->sql, life->outgoing.data, life->outgoing.len);
    }

    life->changes[0].outcome = LIFE_OUT_CANCELLED;
    return EFFECT("wish.insert", db_run(db, &life->sql));
}


/* A record that says more than `queued` had a row, which MySQL lost: that is for the operator to mend. */
static int
is_to_insert(const struct life *life, const struct life_wish *wish)
{
    return wish->event == LIFE_CANCEL && wish->is_queued && life->orders[0].status == LIFE_UNKNOWN
           && (wish->user == 0 || wish->user == wish->asked.user_id);
}


/* Who does not know the workers' configuration reads what they say of it. */
static enum db_result
read_settings(struct life *life, struct db *db)
{
    MYSQL_RES *rows;

    buffer_clear(&life->sql);
    buffer_text(&life->sql, "SELECT name, value FROM settings");

    enum db_result result = EFFECT("wish.settings", db_rows(db, &life->sql, &rows));

    if (result != DB_OK) {
        return result;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL; ) {
        if (strcmp(row[0], "currency") == 0) {
            (void) money_currency(life->currency, row[1], strlen(row[1]));
        } else if (strcmp(row[0], "events") == 0) {
            life->tells = strcmp(row[1], "on") == 0;
        }
    }

    mysql_free_result(rows);
    return DB_OK;
}


static enum db_result
attempt(struct life *life, struct db *db, const struct life_wish *wish)
{
    enum db_result result;

    life_clear(life);
    memcpy(life->currency, wish->currency, sizeof(life->currency));
    life->tells = wish->tells;

    struct life_change *c = life_add(life, wish->identifier, wish->event);

    c->user = wish->user;
    c->code = wish->code;
    c->reason = wish->reason;

    if ((result = db_open(db)) != DB_OK
        || (wish->currency[0] == '\0' && (result = read_settings(life, db)) != DB_OK)
        || (result = EFFECT("wish.begin", db_text(db, "START TRANSACTION"))) != DB_OK
        || (result = life_apply(life, db)) != DB_OK)
    {
        return result;
    }

    if (is_to_insert(life, wish) && (result = cancel_in_queue(life, db, wish)) != DB_OK) {
        return result;
    }

    return EFFECT("wish.commit", db_text(db, "COMMIT"));
}


enum db_result
life_wish(struct db *db, const struct life_wish *wish, struct life_answer *answer)
{
    struct life *life = life_create(1);
    enum db_result result = DB_AGAIN;

    *answer = (struct life_answer) { .outcome = LIFE_OUT_UNKNOWN_ORDER };

    if (life == NULL) {
        db->code = 0;
        snprintf(db->error, sizeof(db->error), "out of memory");
        return DB_RETRY;
    }

    for (unsigned i = 0; i < AGAIN_MOST && result == DB_AGAIN; i++) {
        result = attempt(life, db, wish);

        if (result != DB_OK) {
            db_rollback(db);
        }
    }

    if (result == DB_OK) {
        answer->outcome = life->changes[0].outcome;
        answer->order = life->orders[0];

        for (size_t i = 0; i < life->product_count; i++) {
            answer->product = life->products[i].id == answer->order.product ? life->products[i] : answer->product;
        }
    }

    if (answer->outcome == LIFE_OUT_REPEAT) {
        answer->order.before = LIFE_UNKNOWN;
    }

    life_free(life);
    return result;
}


/* The order as a read would show it. Done is done: where it cannot be read now, the answer goes without. */
static void
add_order(struct db *db, const struct life_wish *wish, struct buffer *body)
{
    struct sql_result read = { 0 };
    struct order_read input;

    memcpy(input.identifier, wish->identifier, sizeof(input.identifier));

    if (order_read(db, &input, &read) == DB_OK && read.rows > 0 && !read.body.failed) {
        buffer_add(body, read.body.data, read.body.len);
    }

    buffer_free(&read.body);
}


enum db_result
life_wish_job(struct db *db, const void *input, struct sql_result *result)
{
    struct life_answer answer;
    enum db_result outcome = life_wish(db, input, &answer);

    if (outcome == DB_OK) {
        result->kind = (int) answer.outcome;
        buffer_add(&result->body, &answer, sizeof(answer));

        if (answer.order.status != LIFE_UNKNOWN) {
            add_order(db, input, &result->body);
        }
    }

    return outcome == DB_OK && result->body.failed ? DB_RETRY : outcome;
}
