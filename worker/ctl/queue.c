/*
 * checkoutctl queue stats | pause | resume
 *
 * The pause is a field "paused" of the hash `workers`, with the time since when. Consumers read it at each heartbeat.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/json.h"
#include "ctl/report.h"
#include "redis/keys.h"
#include "redis/queue_entry.h"
#include "redis/queue_view.h"
#include "text/number.h"


/* Runs COMMAND [sub] key [last]; sub and last may be NULL. Returns the reply, which the caller frees, or NULL. */
static redisReply *
call_key(struct ctl *ctl, const char *command, const char *sub, key_maker key, const char *last)
{
    struct redis_args args = { 0 };

    args_text(&args, command);

    if (sub != NULL) {
        args_text(&args, sub);
    }

    key(&args);

    if (last != NULL) {
        args_text(&args, last);
    }

    redisReply *reply = redis_call(&ctl->redis, &args, 0);

    args_free(&args);
    return reply;
}


/* Redis's clock, in milliseconds; 0 when it cannot be had. */
static int64_t
redis_now(struct ctl *ctl)
{
    struct redis_args args = { 0 };
    int64_t now = 0;

    args_text(&args, "TIME");

    redisReply *reply = redis_call(&ctl->redis, &args, 0);

    args_free(&args);

    if (reply != NULL && reply->elements == 2) {
        now = reply_number(reply->element[0], 0) * 1000 + reply_number(reply->element[1], 0) / 1000;
    }

    if (reply != NULL) {
        freeReplyObject(reply);
    }

    return now;
}


static const redisReply *
find_value(const redisReply *pairs, const char *name)
{
    for (size_t i = 0; i + 1 < pairs->elements; i += 2) {
        if (pairs->element[i]->type == REDIS_REPLY_STRING && strcmp(pairs->element[i]->str, name) == 0) {
            return pairs->element[i + 1];
        }
    }

    return NULL;
}


static void
add_number(cJSON *object, const char *as, const redisReply *pairs, const char *name)
{
    const redisReply *value = find_value(pairs, name);

    if (value == NULL || value->type == REDIS_REPLY_NIL) {
        cJSON_AddNullToObject(object, as);
    } else {
        json_int(object, as, reply_number(value, 0));
    }
}


/* Adds one field of a hash. standard: its value where it is missing. Returns 0, or -1 when Redis failed. */
static int
add_field(struct ctl *ctl, cJSON *o, const char *as, key_maker key, const char *field, const char *standard)
{
    redisReply *reply = call_key(ctl, "HGET", NULL, key, field);

    if (reply == NULL) {
        return -1;
    }

    json_digits(o, as, reply->type == REDIS_REPLY_STRING ? reply->str : standard);
    freeReplyObject(reply);
    return 0;
}


static int
add_length(struct ctl *ctl, cJSON *o, const char *as, key_maker key)
{
    redisReply *reply = call_key(ctl, "XLEN", NULL, key, NULL);

    if (reply == NULL) {
        return -1;
    }

    json_int(o, as, reply_number(reply, 0));
    freeReplyObject(reply);
    return 0;
}


static int
first_entry(const redisReply *entry, void *data)
{
    *(int64_t *) data = strtoll(queue_entry_id(entry), NULL, 10);
    return 1;
}


/* Errors add nothing: a queue that does not exist has no group, and Redis then answers with an error. */
static void
add_group(struct ctl *ctl, cJSON *o)
{
    redisReply *groups = call_key(ctl, "XINFO", "GROUPS", key_queue, NULL);

    for (size_t i = 0; groups != NULL && i < groups->elements; i++) {
        const redisReply *name = find_value(groups->element[i], "name");

        if (name != NULL && strcmp(name->str, CONSUMER_GROUP) == 0) {
            add_number(o, "entries_read_not_settled", groups->element[i], "pending");
        }
    }

    if (groups != NULL) {
        freeReplyObject(groups);
    }
}


/* The time of a heartbeat; behind a point stands the release of its worker. */
static int64_t
beat_ms(const redisReply *beat, int64_t standard)
{
    uint64_t ms;

    if (beat->type != REDIS_REPLY_STRING || number_parse(&ms, beat->str, strcspn(beat->str, "."), INT64_MAX) == -1) {
        return standard;
    }

    return (int64_t) ms;
}


/* A beat of before the clock stepped back, or that is no beat, counts as one of now. */
static int64_t
beat_age(const redisReply *beat, int64_t now)
{
    int64_t at = beat_ms(beat, now);

    return at < now ? now - at : 0;
}


static void
add_consumers(struct ctl *ctl, cJSON *o, int64_t now)
{
    cJSON *list = cJSON_AddArrayToObject(o, "consumers");
    redisReply *consumers = call_key(ctl, "XINFO", "CONSUMERS", key_queue, CONSUMER_GROUP);
    redisReply *beats = call_key(ctl, "HGETALL", NULL, key_workers, NULL);

    for (size_t i = 0; consumers != NULL && i < consumers->elements; i++) {
        const redisReply *name = find_value(consumers->element[i], "name");
        const redisReply *beat = beats != NULL && name != NULL ? find_value(beats, name->str) : NULL;
        cJSON *one = cJSON_CreateObject();

        json_text(one, "name", name != NULL ? name->str : NULL);
        add_number(one, "pending", consumers->element[i], "pending");

        if (beat != NULL) {
            json_int(one, "last_beat_ms_ago", beat_age(beat, now));
        } else {
            cJSON_AddNullToObject(one, "last_beat_ms_ago");
        }

        cJSON_AddItemToArray(list, one);
    }

    if (consumers != NULL) {
        freeReplyObject(consumers);
    }

    if (beats != NULL) {
        freeReplyObject(beats);
    }
}


int
ctl_queue_stats(struct ctl *ctl, int argc, char **argv)
{
    cJSON *o = cJSON_CreateObject();
    int64_t oldest = 0, now = redis_now(ctl);

    (void) argv;

    if (argc > 0) {
        cJSON_Delete(o);
        return report_error("queue stats takes no words");
    }

    if (now == 0 || add_field(ctl, o, "gate", key_gate, "state", "open") == -1
        || add_field(ctl, o, "products_loaded", key_gate, "products", "0") == -1
        || add_field(ctl, o, "orders", key_gate, "queued", "0") == -1 || add_length(ctl, o, "entries", key_queue) == -1
        || add_length(ctl, o, "dead_letters", key_dead_letters) == -1
        || add_field(ctl, o, "paused_since_ms", key_workers, "paused", NULL) == -1
        || queue_view_walk(&ctl->redis, key_queue, first_entry, &oldest) == -1)
    {
        cJSON_Delete(o);
        return report_redis_failed(ctl);
    }

    json_int(o, "oldest_entry_ms", oldest > 0 ? now - oldest : 0);
    add_group(ctl, o);
    add_consumers(ctl, o, now);
    return report_object(ctl, o);
}


static int
set_pause(struct ctl *ctl, int paused)
{
    struct redis_args args = { 0 };
    int64_t now = redis_now(ctl);
    cJSON *o = cJSON_CreateObject();

    cJSON_AddBoolToObject(o, "paused", paused);

    if (ctl->dry_run) {
        return report_result(ctl, o, "the workers would %s", paused ? "pause" : "go on");
    }

    args_text(&args, paused ? "HSETNX" : "HDEL");
    key_workers(&args);
    args_text(&args, "paused");

    if (paused) {
        args_signed(&args, now);
    }

    redisReply *reply = now > 0 ? redis_call(&ctl->redis, &args, 0) : NULL;

    args_free(&args);

    if (reply == NULL) {
        cJSON_Delete(o);
        return report_redis_failed(ctl);
    }

    freeReplyObject(reply);
    return report_result(ctl, o,
                         paused ? "workers pause within a second or two; the gate goes on accepting orders"
                                : "workers go on within a second or two");
}


int
ctl_queue_pause(struct ctl *ctl, int argc, char **argv)
{
    (void) argv;
    return argc > 0 ? report_error("queue pause takes no words") : set_pause(ctl, 1);
}


int
ctl_queue_resume(struct ctl *ctl, int argc, char **argv)
{
    (void) argv;
    return argc > 0 ? report_error("queue resume takes no words") : set_pause(ctl, 0);
}
