#include "repair/recovery.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/random_hex.h"
#include "base/stop.h"
#include "failpoint.h"
#include "redis/keys.h"
#include "redis/loss.h"
#include "repair/recovery_products.h"
#include "repair/recovery_records.h"

#define IDLE_MS 1000


/* gate.compare and gate.compared. Returns 0, or -1 when Redis failed. */
static int
read_wanted(struct recovery *r, int64_t *wanted, int64_t *done)
{
    struct redis_args args = { 0 };

    args_text(&args, "HMGET");
    key_gate(&args);
    args_text(&args, "compare");
    args_text(&args, "compared");

    redisReply *reply = EFFECT("recovery.read_wanted", redis_call(&r->redis, &args, 0));

    args_free(&args);

    if (reply == NULL) {
        return -1;
    }

    *wanted = reply->elements == 2 ? reply_number(reply->element[0], 0) : 0;
    *done = reply->elements == 2 ? reply_number(reply->element[1], 0) : 0;
    freeReplyObject(reply);
    return 0;
}


/* What was wanted when the pass began is done; what was found meanwhile is not. */
static enum recovery_result
note_done(struct recovery *r, int64_t done)
{
    struct redis_args args = { 0 };

    args_text(&args, "HSET");
    key_gate(&args);
    args_text(&args, "compared");
    args_signed(&args, done);

    redisReply *reply = EFFECT("recovery.done", redis_call(&r->redis, &args, 0));

    args_free(&args);

    if (reply == NULL) {
        return RECOVERY_FAILED;
    }

    freeReplyObject(reply);
    return RECOVERY_DONE;
}


static enum recovery_result
pass(struct recovery *r, int64_t wanted)
{
    enum recovery_result result;
    char random[9];

    r->read = r->remade = r->changed = r->rewritten = 0;
    r->records = 0;
    random_hex(random, 8);
    snprintf(r->owner, sizeof(r->owner), "%.48s.%s", r->lease.owner, random);

    if ((result = recovery_claim(r)) != RECOVERY_DONE) {
        return result;
    }

    log_info("event=recovery_pass products=%zu", r->count);

    if ((result = recovery_compare(r)) != RECOVERY_DONE || (result = recovery_open_products(r)) != RECOVERY_DONE) {
        return result;
    }

    /* Who lost the lease meanwhile must not say that the pass is done: another one is at it. */
    int held = lease_hold(&r->lease, &r->redis);

    if (held != 1) {
        return held == 0 ? RECOVERY_LEFT : RECOVERY_FAILED;
    }

    if ((result = note_done(r, wanted)) != RECOVERY_DONE) {
        return result;
    }

    log_line(r->remade + r->changed + r->rewritten > 0 ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
             "event=recovery_ended products=%zu records=%" PRIu64 " orders_made_again=%" PRIu64
             " orders_moved_on=%" PRIu64 " failures_written_again=%" PRIu64,
             r->count, r->read, r->remade, r->changed, r->rewritten);
    return RECOVERY_DONE;
}


/*
 * Also where nobody sells, a server that is another one must become known. Only a session that was just opened says on
 * which it is: one that is older may be on a server that was replaced.
 */
static enum recovery_result
see_server(struct recovery *r)
{
    if (db_open(&r->db) != DB_OK || db_check_writable(&r->db) != DB_OK) {
        db_close(&r->db);
        return RECOVERY_FAILED;
    }

    return loss_announce_session(&r->redis, &r->db) == DB_OK ? RECOVERY_DONE : RECOVERY_FAILED;
}


/* Returns RECOVERY_LEFT where nothing is due, or another process has the lease. */
static enum recovery_result
tick(struct recovery *r)
{
    int64_t wanted, done;

    if (see_server(r) != RECOVERY_DONE || read_wanted(r, &wanted, &done) == -1) {
        return RECOVERY_FAILED;
    }

    if (wanted == done) {
        return RECOVERY_LEFT;
    }

    int held = lease_hold(&r->lease, &r->redis);

    if (held != 1) {
        return held == 0 ? RECOVERY_LEFT : RECOVERY_FAILED;
    }

    enum recovery_result result = pass(r, wanted);

    db_rollback(&r->db);
    lease_give_back(&r->lease, &r->redis);
    return result;
}


static void *
run(void *data)
{
    struct recovery_thread *t = data;
    struct recovery *r = &t->recovery;
    unsigned wait = 0;

    while (!stop_wait(wait)) {
        r->db.error[0] = r->redis.error[0] = '\0';

        if (tick(r) == RECOVERY_FAILED) {
            wait = backoff_next(&t->backoff);
            log_warn("event=recovery_failed mysql=\"%s\" redis=\"%s\" wait_ms=%u", r->db.error, r->redis.error, wait);
            db_rollback(&r->db);
            continue;
        }

        backoff_reset(&t->backoff);
        wait = IDLE_MS;
    }

    db_close(&r->db);
    db_thread_end();
    atomic_store(&t->ended, 1);
    return NULL;
}


int
recovery_start(struct recovery_thread *t, const struct config *config)
{
    *t = (struct recovery_thread) { 0 };
    t->recovery.config = t->recovery.redis.config = config;
    t->recovery.db.server = &config->db;
    t->recovery.batch = change_batch_create(2 * RECOVERY_PAGE);

    if (t->recovery.batch == NULL) {
        return ENOMEM;
    }

    lease_init(&t->recovery.lease, "recovery", config->worker.name);
    return pthread_create(&t->thread, NULL, run, t);
}


void
recovery_join(struct recovery_thread *t)
{
    pthread_join(t->thread, NULL);
    redis_close(&t->recovery.redis);
    change_batch_free(t->recovery.batch);
    free(t->recovery.products);
}
