#include "lifecycle/expiry.h"

#include <string.h>

#include "failpoint.h"
#include "base/log.h"

#define IDLE_MS      500
#define LEFT_MOST    3      /* looks running that found every candidate locked, before one waits for a lock */
#define ALONE        (2 * LIFE_MOST)


static enum db_result
find_candidates(struct life_thread *t)
{
    MYSQL_RES *rows;

    buffer_clear(&t->sql);
    buffer_text(&t->sql, "SELECT o.order_identifier FROM orders o FORCE INDEX (orders_unpaid) WHERE " LIFE_IS_OVERDUE);
    buffer_format(&t->sql, " ORDER BY o.pay_by LIMIT %d OFFSET %u", t->alone > 0 ? 1 : LIFE_MOST, t->passed_over);

    enum db_result result = EFFECT("expiry.candidates", db_rows(&t->db, &t->sql, &rows));

    if (result != DB_OK) {
        return result;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL; ) {
        struct life_change *c = life_add(t->life, row[0], LIFE_EXPIRE);

        if (c != NULL) {
            c->code = "payment_expired";
        }
    }

    mysql_free_result(rows);
    return DB_OK;
}


static int
all_left(const struct life *life)
{
    for (size_t i = 0; i < life->count; i++) {
        if (life->changes[i].outcome != LIFE_OUT_LEFT) {
            return 0;
        }
    }

    return 1;
}


/* Others may be free behind those that are all locked. One by one is no time to wait for a lock. */
static void
note_left(struct life_thread *t)
{
    int left = all_left(t->life);

    t->turn = left ? t->turn + (t->alone == 0) : 0;
    t->passed_over += left ? (unsigned) t->life->count : 0;
}


/* MySQL refuses to change one of them, perhaps for long: they are looked at one by one, and that one is passed over. */
static enum life_look
on_refused(struct life_thread *t)
{
    if (t->alone > 0 && t->life->count > 0) {
        t->passed_over++;
        log_error("event=order_not_expired order=%s code=%u error=\"%s\"", t->life->changes[0].identifier, t->db.code,
                  t->db.error);
    }

    t->alone = ALONE;
    return LIFE_LOOK_AGAIN;
}


/* A lock that was waited for in vain is not waited for again at once: others may be free. */
static enum life_look
on_failure(struct life_thread *t, enum db_result result)
{
    t->turn = 0;

    if (result == DB_POISON || life_thread_is_stuck(t, result)) {
        return on_refused(t);
    }

    return result == DB_AGAIN ? LIFE_LOOK_AGAIN : LIFE_LOOK_FAILED;
}


static enum life_look
nothing(struct life_thread *t)
{
    t->alone = t->passed_over = 0;
    return LIFE_LOOK_NOTHING;
}


static enum life_look
look(struct life_thread *t)
{
    enum db_result result;

    life_thread_begin(t);
    t->life->skip_locked = t->turn < LEFT_MOST;

    if ((result = db_open(&t->db)) == DB_OK && (result = find_candidates(t)) == DB_OK) {
        if (t->life->count == 0) {
            return nothing(t);
        }

        if ((result = EFFECT("expiry.begin", db_text(&t->db, LIFE_START_TRANSACTION))) == DB_OK
            && (result = life_apply(t->life, &t->db)) == DB_OK)
        {
            result = EFFECT("expiry.commit", db_text(&t->db, "COMMIT"));
        }
    }

    if (result != DB_OK) {
        return on_failure(t, result);
    }

    note_left(t);
    t->alone -= t->alone > 0;
    life_thread_committed(t);
    return LIFE_LOOK_FOUND;
}


const struct life_kind expiry_kind = { .name = "expiry", .look = look, .idle_ms = IDLE_MS, .rest_factor = 6 };
