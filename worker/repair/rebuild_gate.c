#include "repair/rebuild_gate.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/random_hex.h"
#include "base/stop.h"
#include "failpoint.h"
#include "redis/keys.h"
#include "redis/lease.h"

#define TASK    "rebuild"
#define WAIT_MS 1000


/*
 * A thread renews the lease, so that a rebuild counts as living as long as its process does, however long a step takes.
 * It has a connection of its own; the mutex guards `ended`.
 */
struct rebuild_beat {
    struct lease lease;
    struct redis_connection redis;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int ended;
};


static void *
beat(void *data)
{
    struct rebuild_beat *b = data;

    pthread_mutex_lock(&b->lock);

    while (!b->ended) {
        struct timespec until = clock_after(LEASE_RENEW_MS);

        if (pthread_cond_timedwait(&b->wake, &b->lock, &until) == ETIMEDOUT) {
            pthread_mutex_unlock(&b->lock);
            (void) lease_hold(&b->lease, &b->redis);
            pthread_mutex_lock(&b->lock);
        }
    }

    pthread_mutex_unlock(&b->lock);
    return NULL;
}


/* Takes the lease over. Returns 0, or -1. */
static int
begin_beat(struct rebuild *r, const struct lease *lease)
{
    struct rebuild_beat *b = memory_resize(NULL, 1, sizeof(*b));

    *b = (struct rebuild_beat) { .lease = *lease, .redis.config = r->redis->config };
    pthread_mutex_init(&b->lock, NULL);
    clock_cond_init(&b->wake);

    int error = pthread_create(&b->thread, NULL, beat, b);

    if (error != 0) {
        snprintf(r->redis->error, sizeof(r->redis->error), "no thread: error %d", error);
        free(b);
        return -1;
    }

    r->beat = b;
    return 0;
}


static void
end_beat(struct rebuild *r)
{
    struct rebuild_beat *b = r->beat;

    if (b == NULL) {
        return;
    }

    pthread_mutex_lock(&b->lock);
    b->ended = 1;
    pthread_cond_signal(&b->wake);
    pthread_mutex_unlock(&b->lock);
    pthread_join(b->thread, NULL);
    lease_give_back(&b->lease, &b->redis);
    redis_close(&b->redis);
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->wake);
    free(b);
    r->beat = NULL;
}


/* An owner that renews its lease while we look lives. */
static enum rebuild_result
wait_for_silence(struct rebuild *r, struct lease *lease)
{
    char name[LEASE_OWNER_LEN] = "checkoutctl", seen[SILENCE_VALUE_MOST + 1] = "";
    int held;

    (void) gethostname(name, sizeof(name) - 1);
    lease_init(lease, TASK, name);

    while ((held = lease_hold(lease, r->redis)) == 0) {
        if (seen[0] != '\0' && strcmp(seen, lease->others.value) != 0) {
            snprintf(r->redis->error, sizeof(r->redis->error), "%s", lease->others.value);
            return REBUILD_BUSY;
        }

        snprintf(seen, sizeof(seen), "%s", lease->others.value);
        (void) stop_wait(WAIT_MS);
    }

    return held == 1 ? REBUILD_DONE : REBUILD_REDIS_FAILED;
}


static enum rebuild_result
take_gate(struct rebuild *r)
{
    struct redis_args args = { 0 };

    random_hex(r->token, REBUILD_TOKEN_LEN);
    args_script(&args, &checkout_script_rebuild_begin, 1);
    key_gate(&args);
    args_text(&args, r->token);

    redisReply *reply = EFFECT("rebuild.begin", redis_script(r->redis, &checkout_script_rebuild_begin, &args));

    args_free(&args);

    if (reply == NULL) {
        return REBUILD_REDIS_FAILED;
    }

    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
        int64_t done = reply_number(reply->element[1], 0);

        r->resumed = reply_number(reply->element[0], 0) == 1;
        r->buyers_done = r->resumed && done > 0 ? (uint64_t) done : 0;
    }

    freeReplyObject(reply);
    return REBUILD_DONE;
}


enum rebuild_result
rebuild_gate_begin(struct rebuild *r)
{
    struct lease lease;
    enum rebuild_result result = wait_for_silence(r, &lease);

    if (result != REBUILD_DONE) {
        return result;
    }

    if (begin_beat(r, &lease) == -1 || take_gate(r) != REBUILD_DONE) {
        end_beat(r);
        return REBUILD_REDIS_FAILED;
    }

    return REBUILD_DONE;
}


enum rebuild_result
rebuild_gate_fence(struct rebuild *r)
{
    struct redis_args args = { 0 };
    int64_t answer;

    args_script(&args, &checkout_script_rebuild_fence, 1);
    key_gate(&args);
    args_text(&args, r->token);

    redisReply *reply = EFFECT("rebuild.fence", redis_script(r->redis, &checkout_script_rebuild_fence, &args));

    args_free(&args);
    return rebuild_context_answer(r, reply, &answer);
}


enum rebuild_result
rebuild_gate_note_buyers(struct rebuild *r, uint64_t product)
{
    struct redis_args args = { 0 };
    int64_t answer;

    args_script(&args, &checkout_script_rebuild_note, 1);
    key_gate(&args);
    args_text(&args, r->token);
    args_number(&args, product);

    redisReply *reply = EFFECT("rebuild.note", redis_script(r->redis, &checkout_script_rebuild_note, &args));

    args_free(&args);
    return rebuild_context_answer(r, reply, &answer);
}


static redisReply *
end(struct redis_connection *conn, const char *token, const char *what)
{
    struct redis_args args = { 0 };

    args_script(&args, &checkout_script_rebuild_end, 1);
    key_gate(&args);
    args_text(&args, token);
    args_text(&args, what);

    redisReply *reply = EFFECT("rebuild.end", redis_script(conn, &checkout_script_rebuild_end, &args));

    args_free(&args);
    return reply;
}


enum rebuild_result
rebuild_gate_unfence(struct rebuild *r)
{
    int64_t answer;

    return rebuild_context_answer(r, end(r->redis, r->token, "fence"), &answer);
}


enum rebuild_result
rebuild_gate_end(struct rebuild *r)
{
    int64_t answer;

    return rebuild_context_answer(r, end(r->redis, r->token, "all"), &answer);
}


void
rebuild_gate_leave(struct rebuild *r)
{
    end_beat(r);
}


int
rebuild_gate_abort(struct redis_connection *conn)
{
    struct redis_args args = { 0 };
    redisReply *reply = end(conn, "*", "all");

    if (reply == NULL) {
        return -1;
    }

    int given_up = reply_number(reply, 0) == 1;

    freeReplyObject(reply);
    args_text(&args, "HDEL");
    key_workers(&args);
    args_text(&args, "lease:" TASK);
    reply = EFFECT("rebuild_abort.forget_lease", redis_call(conn, &args, 0));
    args_free(&args);

    if (reply == NULL) {
        return -1;
    }

    freeReplyObject(reply);
    return given_up;
}
