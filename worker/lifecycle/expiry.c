#include "lifecycle/expiry.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "failpoint.h"

#define IDLE_MS            500
#define LOCKED_ROUNDS_MOST 3    /* rounds in a row that found all candidates locked; the next one waits */
#define AGAIN_MS           1000 /* until orders that were passed over are looked at again; doubled while all are */
#define AGAIN_MOST_MS      60000
#define SINGLE_ROUNDS      (2 * CHANGE_BATCH_MAX) /* rounds with one order each, after one of a batch was refused */


static enum db_result
find_candidates(struct change_thread *t)
{
    MYSQL_RES *rows;

    buffer_clear(&t->sql);
    buffer_text(&t->sql, "SELECT o.order_identifier, o.pay_by FROM orders o FORCE INDEX (orders_unpaid)"
                         " WHERE " ORDER_IS_OVERDUE);

    if (t->pass.after[0] != '\0') {
        buffer_format(&t->sql, " AND o.pay_by >= '%s' AND (o.pay_by > '%s' OR o.order_identifier > '%s')",
                      t->pass.after_time, t->pass.after_time, t->pass.after);
    }

    buffer_format(&t->sql, " ORDER BY o.pay_by, o.order_identifier LIMIT %d", t->singly > 0 ? 1 : CHANGE_BATCH_MAX);

    enum db_result result = EFFECT("expiry.candidates", db_rows(&t->db, &t->sql, &rows));

    if (result != DB_OK) {
        return result;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        struct order_change *c = change_batch_add(t->batch, row[0], EVENT_EXPIRE);

        if (c != NULL) {
            c->code = "payment_expired";
        }

        snprintf(t->pass.last, sizeof(t->pass.last), "%s", row[0]);
        snprintf(t->pass.last_time, sizeof(t->pass.last_time), "%s", row[1]);
    }

    mysql_free_result(rows);
    return DB_OK;
}


static size_t
count_locked(const struct change_batch *batch)
{
    size_t n = 0;

    for (size_t i = 0; i < batch->count; i++) {
        n += batch->changes[i].outcome == OUTCOME_LOCKED;
    }

    return n;
}


/* The candidates in hand are done with, or passed over: the next ones are behind them. */
static void
go_on(struct expiry_pass *pass)
{
    memcpy(pass->after, pass->last, sizeof(pass->after));
    memcpy(pass->after_time, pass->last_time, sizeof(pass->after_time));
}


/* Behind candidates that are all locked there may be free ones. A round of a single order never waits for its lock. */
static void
note_locked(struct change_thread *t)
{
    size_t locked = count_locked(t->batch);

    t->rounds_locked = locked == t->batch->count ? t->rounds_locked + (t->singly == 0) : 0;
    t->pass.passed_over += locked;
    t->pass.changed += t->pass.again_ms == 0 ? t->batch->count - locked : 0;
    go_on(&t->pass);
}


/* MySQL refuses to change one of them, perhaps for long: they are taken one by one, and that one is passed over. */
static enum change_round
on_refused(struct change_thread *t)
{
    if (t->singly > 0 && t->batch->count > 0) {
        t->pass.passed_over++;
        go_on(&t->pass);
        log_error("event=order_not_expired order=%s code=%u error=\"%s\"", t->batch->changes[0].identifier, t->db.code,
                  t->db.error);
    }

    t->singly = SINGLE_ROUNDS;
    return CHANGE_ROUND_CONFLICT;
}


/* After a wait for a lock that failed, the next round skips locked orders again: others may be free. */
static enum change_round
on_failure(struct change_thread *t, enum db_result result)
{
    t->rounds_locked = 0;

    if (result == DB_POISON || change_thread_is_stuck(t, result)) {
        return on_refused(t);
    }

    return result == DB_AGAIN ? CHANGE_ROUND_CONFLICT : CHANGE_ROUND_FAILED;
}


/*
 * The end of what is overdue. Orders that were passed over (locked, of a product that is being recovered, Redis away)
 * are looked at again after a while; until then, only what becomes overdue meanwhile, which is behind them.
 */
static enum change_round
no_candidates(struct change_thread *t)
{
    struct expiry_pass *pass = &t->pass;

    t->singly = 0;

    if (pass->passed_over == 0) {
        *pass = (struct expiry_pass) { 0 };
    } else if (pass->again_ms == 0) {
        unsigned doubled = 2 * pass->wait_ms < AGAIN_MOST_MS ? 2 * pass->wait_ms : AGAIN_MOST_MS;

        pass->wait_ms = pass->changed > 0 || doubled == 0 ? AGAIN_MS : doubled;
        pass->again_ms = clock_ms() + pass->wait_ms;
    }

    return CHANGE_ROUND_EMPTY;
}


/* Is it time to begin at the front? */
static void
begin_again(struct expiry_pass *pass)
{
    if (pass->again_ms != 0 && clock_ms() >= pass->again_ms) {
        *pass = (struct expiry_pass) { .wait_ms = pass->wait_ms };
    }
}


static enum change_round
run_round(struct change_thread *t)
{
    enum db_result result;

    change_thread_begin_batch(t);
    begin_again(&t->pass);
    t->batch->skip_locked = t->rounds_locked < LOCKED_ROUNDS_MOST;

    if ((result = db_open(&t->db)) == DB_OK && (result = find_candidates(t)) == DB_OK) {
        if (t->batch->count == 0) {
            return no_candidates(t);
        }

        if ((result = EFFECT("expiry.begin", db_text(&t->db, CHANGE_START_TRANSACTION))) == DB_OK
            && (result = change_batch_apply(t->batch, &t->db)) == DB_OK)
        {
            result = EFFECT("expiry.commit", change_thread_commit(t));
        }
    }

    if (result != DB_OK) {
        return on_failure(t, result);
    }

    note_locked(t);
    t->singly -= t->singly > 0;
    change_thread_committed(t);
    return CHANGE_ROUND_DONE;
}


const struct change_thread_kind
    expiry_kind = { .name = "expiry", .round = run_round, .idle_ms = IDLE_MS, .pause_factor = 6 };
