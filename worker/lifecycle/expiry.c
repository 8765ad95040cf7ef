#include "lifecycle/expiry.h"

#include <string.h>

#include "base/log.h"
#include "failpoint.h"

#define IDLE_MS            500
#define LOCKED_ROUNDS_MOST 3 /* rounds in a row that found all candidates locked; the next one waits */
#define SINGLE_ROUNDS      (2 * CHANGE_BATCH_MAX) /* rounds with one order each, after one of a batch was refused */


static enum db_result
find_candidates(struct change_thread *t)
{
    MYSQL_RES *rows;

    buffer_clear(&t->sql);
    buffer_text(&t->sql, "SELECT o.order_identifier FROM orders o FORCE INDEX (orders_unpaid) WHERE " ORDER_IS_OVERDUE);
    buffer_format(&t->sql, " ORDER BY o.pay_by LIMIT %d OFFSET %u", t->singly > 0 ? 1 : CHANGE_BATCH_MAX,
                  t->passed_over);

    enum db_result result = EFFECT("expiry.candidates", db_rows(&t->db, &t->sql, &rows));

    if (result != DB_OK) {
        return result;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        struct order_change *c = change_batch_add(t->batch, row[0], EVENT_EXPIRE);

        if (c != NULL) {
            c->code = "payment_expired";
        }
    }

    mysql_free_result(rows);
    return DB_OK;
}


static int
all_locked(const struct change_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->changes[i].outcome != OUTCOME_LOCKED) {
            return 0;
        }
    }

    return 1;
}


/* Behind candidates that are all locked there may be free ones. A round of a single order never waits for its lock. */
static void
note_locked(struct change_thread *t)
{
    int locked = all_locked(t->batch);

    t->rounds_locked = locked ? t->rounds_locked + (t->singly == 0) : 0;
    t->passed_over += locked ? (unsigned) t->batch->count : 0;
}


/* MySQL refuses to change one of them, perhaps for long: they are taken one by one, and that one is passed over. */
static enum change_round
on_refused(struct change_thread *t)
{
    if (t->singly > 0 && t->batch->count > 0) {
        t->passed_over++;
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


static enum change_round
no_candidates(struct change_thread *t)
{
    t->singly = t->passed_over = 0;
    return CHANGE_ROUND_EMPTY;
}


static enum change_round
run_round(struct change_thread *t)
{
    enum db_result result;

    change_thread_begin_batch(t);
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
