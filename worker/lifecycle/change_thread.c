#include "lifecycle/change_thread.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "observe/stats.h"
#include "lifecycle/transition.h"

#define REST_MOST_MS 2000
#define AGAIN_MOST   20     /* looks at once after lost races; then a rest like after a failure */
#define STUCK_MOST   20     /* lost races running; a failure counts like half of them, and of a single one like all */

#define ERROR_LOCK_WAIT 1205


void
life_thread_begin(struct life_thread *t)
{
    life_clear(t->life);
    (void) money_currency(t->life->currency, t->config->payment.currency, strlen(t->config->payment.currency));
    t->life->tells = config_tells(t->config);
}


int
life_thread_is_stuck(struct life_thread *t, enum db_result result)
{
    int is_loss = result == DB_AGAIN;

    if (!is_loss && t->db.code != ERROR_LOCK_WAIT && db_is_environmental(t->db.code)) {
        return 0;
    }

    t->stuck += is_loss ? 1 : t->alone > 0 ? STUCK_MOST : STUCK_MOST / 2;

    if (t->stuck < STUCK_MOST) {
        return 0;
    }

    t->stuck = 0;
    return 1;
}


static void
log_change(const struct life *life, const struct life_change *c)
{
    const struct life_order *o = &life->orders[c->order];
    char payment[LIFE_PAYMENT_ID + 1];

    log_clean(payment, sizeof(payment), c->payment_id);

    if (c->outcome == LIFE_OUT_REFUND_PENDING) {
        log_error("event=refund_pending order=%s payment=\"%s\" why=\"paid too late, and no stock is left:"
                  " give the money back\"", c->identifier, payment);
    } else if (life_is_flagged(c->outcome)) {
        log_warn("event=payment_flagged order=%s outcome=%s status=%s payment=\"%s\"", c->identifier,
                 life_outcome_name(c->outcome), life_status_name(o->status), payment);
    }
}


void
life_thread_committed(struct life_thread *t)
{
    const struct life *life = t->life;
    size_t moved = 0;

    t->stuck = 0;

    for (size_t i = 0; i < life->count; i++) {
        stats_outcome(life->changes[i].event, life->changes[i].outcome);
        log_change(life, &life->changes[i]);
    }

    for (size_t i = 0; i < life->order_count; i++) {
        moved += (size_t) life_has_moved(&life->orders[i]);
    }

    if (moved == 0) {
        return;
    }

    log_debug("event=%s_batch changes=%zu orders_moved=%zu", t->kind->name, life->count, moved);

    struct transition told = { life->orders, life->order_count, life->products, life->product_count, 0 };

    if (transition_tell(&t->redis, &t->args, told) == -1) {
        log_warn("event=gate_not_told orders=%zu redis=\"%s\" why=\"their stock follows by the reconciler,"
                 " their records stay as they were\"", moved, t->redis.error);
    }
}


/* What is looked for is found often by somebody who comes late; what fails waits longer each time. */
static unsigned
rest_ms(struct life_thread *t, enum life_look look, uint64_t took_us, unsigned *lost)
{
    *lost = look == LIFE_LOOK_AGAIN ? *lost + 1 : 0;

    if (look == LIFE_LOOK_FAILED || *lost > AGAIN_MOST) {
        unsigned wait = backoff_next(&t->backoff);

        log_warn("event=%s_failed code=%u mysql=\"%s\" wait_ms=%u", t->kind->name, t->db.code, t->db.error, wait);
        return wait;
    }

    backoff_reset(&t->backoff);

    if (look == LIFE_LOOK_NOTHING) {
        return t->kind->idle_ms;
    }

    uint64_t sold = stats_read(STATS_BATCHES);
    uint64_t rest = sold != t->sold_batches ? took_us * t->kind->rest_factor / 1000 : 0;

    t->sold_batches = sold;
    return rest < REST_MOST_MS ? (unsigned) rest : REST_MOST_MS;
}


static void *
run(void *data)
{
    struct life_thread *t = data;
    unsigned wait = 0, lost = 0;

    while (!stop_wait(wait)) {
        uint64_t begun = clock_us();
        enum life_look look = t->kind->look(t);

        if (look == LIFE_LOOK_FAILED || look == LIFE_LOOK_AGAIN) {
            stats_mysql_retry(t->db.code);
            db_rollback(&t->db);
        }

        wait = rest_ms(t, look, clock_us() - begun, &lost);
    }

    db_close(&t->db);
    db_thread_end();
    atomic_store(&t->ended, 1);
    return NULL;
}


int
life_thread_start(struct life_thread *t, const struct life_kind *kind, const struct config *config)
{
    *t = (struct life_thread) {
        .kind = kind, .config = config, .redis.config = config, .db.server = &config->db,
        .life = life_create(LIFE_MOST)
    };

    if (t->life == NULL) {
        return ENOMEM;
    }

    int error = pthread_create(&t->thread, NULL, run, t);

    t->started = error == 0;
    return error;
}


void
life_thread_join(struct life_thread *t)
{
    if (t->started) {
        pthread_join(t->thread, NULL);
    }

    redis_close(&t->redis);
    args_free(&t->args);
    buffer_free(&t->sql);
    life_free(t->life);
}
