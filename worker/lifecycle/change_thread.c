#include "lifecycle/change_thread.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/invariant.h"
#include "base/log.h"
#include "base/stop.h"
#include "failpoint.h"
#include "lifecycle/gate_look.h"
#include "lifecycle/gate_notice.h"
#include "lifecycle/transition.h"
#include "observe/stats.h"

#define PAUSE_MOST_MS  2000
#define CONFLICTS_MOST 20 /* rounds in a row that follow a conflict at once; then it backs off as after a failure */

/*
 * The score at which a thread is stuck. A conflict counts 1, a failure half of it, the failure of a single change all.
 */
#define STUCK_SCORE 20


void
change_thread_begin_batch(struct change_thread *t)
{
    change_batch_clear(t->batch);
    (void) money_currency(t->batch->currency, t->config->payment.currency, strlen(t->config->payment.currency));
    t->batch->writes_events = config_sends_events(t->config);
    t->batch->look = gate_look;
    t->batch->look_data = &t->redis;
}


int
change_thread_is_stuck(struct change_thread *t, enum db_result result)
{
    int is_conflict = result == DB_AGAIN;
    int is_consistent = INVARIANT(!t->batch->inconsistent, "units move of locked products alone");

    if (!is_conflict && is_consistent && t->db.code != ERROR_LOCK_WAIT && error_is_environmental(t->db.code)) {
        return 0;
    }

    t->failure_score += is_conflict ? 1 : t->singly > 0 ? STUCK_SCORE : STUCK_SCORE / 2;

    if (t->failure_score < STUCK_SCORE) {
        return 0;
    }

    t->failure_score = 0;
    return 1;
}


static void
log_change(const struct change_batch *batch, const struct order_change *c)
{
    const struct changed_order *o = &batch->orders[c->order];
    char payment[PAYMENT_ID_MAX + 1];

    log_clean(payment, sizeof(payment), c->payment_id);

    if (c->outcome == OUTCOME_REFUND_PENDING) {
        log_error("event=refund_pending order=%s payment=\"%s\" why=\"paid too late, and no stock is left:"
                  " give the money back\"",
                  c->identifier, payment);
    } else if (outcome_is_flagged(c->outcome)) {
        log_warn("event=payment_flagged order=%s outcome=%s status=%s payment=\"%s\"", c->identifier,
                 event_outcome_name(c->outcome), order_status_name(o->status), payment);
    }
}


/* What was told need not be told again: the notices go with the next commit, or when nothing is due. */
static void
tell_gate(struct change_thread *t, size_t moved)
{
    const struct change_batch *batch = t->batch;
    struct transition transition = { batch->orders, batch->order_count, batch->products, batch->product_count, 0 };
    unsigned char told[CHANGE_BATCH_MAX];

    if (transition_send(&t->redis, &t->args, &transition, told) == 0) {
        gate_notices_delete(batch, told, &t->told);
        return;
    }

    log_warn("event=gate_not_told orders=%zu redis=\"%s\" why=\"their notices wait for it\"", moved, t->redis.error);
}


/* One statement with the commit, so that deleting costs no commit of its own. What stays after a failure is told again.
 */
enum db_result
change_thread_commit(struct change_thread *t)
{
    buffer_text(&t->told, t->told.len > 0 ? ";COMMIT" : "COMMIT");

    enum db_result result = db_run(&t->db, &t->told);

    buffer_clear(&t->told);
    return result;
}


/* Nothing is due: what was told is not left to the sweep. */
static void
forget_told(struct change_thread *t)
{
    if (t->told.len > 0 && EFFECT("change.forget_notices", db_run(&t->db, &t->told)) != DB_OK) {
        db_rollback(&t->db);
    }

    buffer_clear(&t->told);
}


void
change_thread_committed(struct change_thread *t)
{
    const struct change_batch *batch = t->batch;
    size_t moved = 0;

    t->failure_score = 0;

    for (size_t i = 0; i < batch->count; i++) {
        stats_outcome(batch->changes[i].event, batch->changes[i].outcome);
        log_change(batch, &batch->changes[i]);
    }

    for (size_t i = 0; i < batch->order_count; i++) {
        moved += (size_t) order_status_changed(&batch->orders[i]);
    }

    if (moved == 0) {
        return;
    }

    log_debug("event=%s_batch changes=%zu orders_moved=%zu", t->kind->name, batch->count, moved);

    tell_gate(t, moved);
}


/* The pause until the next round. conflicts: rounds in a row that ended so, this one included. */
static unsigned
pause_ms(struct change_thread *t, enum change_round round, uint64_t took_us, unsigned *conflicts)
{
    *conflicts = round == CHANGE_ROUND_CONFLICT ? *conflicts + 1 : 0;

    if (round == CHANGE_ROUND_FAILED || *conflicts > CONFLICTS_MOST) {
        unsigned wait = backoff_next(&t->backoff);

        log_warn("event=%s_failed code=%u mysql=\"%s\" wait_ms=%u", t->kind->name, t->db.code, t->db.error, wait);
        return wait;
    }

    backoff_reset(&t->backoff);

    if (round == CHANGE_ROUND_EMPTY) {
        forget_told(t);
        return t->kind->idle_ms;
    }

    uint64_t batches = stats_read(STATS_BATCHES);
    uint64_t pause = batches != t->batches_seen ? took_us * t->kind->pause_factor / 1000 : 0;

    t->batches_seen = batches;
    return pause < PAUSE_MOST_MS ? (unsigned) pause : PAUSE_MOST_MS;
}


static void *
run(void *data)
{
    struct change_thread *t = data;
    unsigned pause = 0, conflicts = 0;

    while (!stop_wait(pause)) {
        uint64_t begun = clock_us();
        enum change_round round = t->kind->round(t);

        if (round == CHANGE_ROUND_FAILED || round == CHANGE_ROUND_CONFLICT) {
            stats_mysql_retry(t->db.code);
            db_rollback(&t->db);
        }

        pause = pause_ms(t, round, clock_us() - begun, &conflicts);
    }

    db_close(&t->db);
    db_thread_end();
    atomic_store(&t->ended, 1);
    return NULL;
}


int
change_thread_start(struct change_thread *t, const struct change_thread_kind *kind, const struct config *config)
{
    *t = (struct change_thread) {
        .kind = kind,
        .config = config,
        .redis.config = config,
        .db.server = &config->db,
        .db.actor = kind->name,
        .batch = change_batch_create(CHANGE_BATCH_MAX)
    };

    if (t->batch == NULL) {
        return ENOMEM;
    }

    int error = pthread_create(&t->thread, NULL, run, t);

    t->started = error == 0;
    return error;
}


void
change_thread_join(struct change_thread *t)
{
    if (t->started) {
        pthread_join(t->thread, NULL);
    }

    redis_close(&t->redis);
    args_free(&t->args);
    buffer_free(&t->sql);
    buffer_free(&t->told);
    change_batch_free(t->batch);
}
