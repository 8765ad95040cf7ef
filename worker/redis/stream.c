#include "redis/stream.h"

#include <stdio.h>
#include <string.h>

#include "failpoint.h"
#include "redis/beats.h"
#include "redis/keys.h"

#define HEARTBEAT_PARTS 4 /* of the reply of heartbeat.lua */


static void
add_read_words(struct redis_args *args, const char *consumer, uint64_t count)
{
    args_text(args, "XREADGROUP");
    args_text(args, "GROUP");
    args_text(args, CONSUMER_GROUP);
    args_text(args, consumer);
    args_text(args, "COUNT");
    args_number(args, count);
}


static redisReply *
read_from(struct redis_connection *conn, struct redis_args *args, const char *from, unsigned block_ms)
{
    args_text(args, "STREAMS");
    key_queue(args);
    args_text(args, from);

    redisReply *reply = EFFECT("stream.read", redis_call(conn, args, block_ms));

    args_free(args);
    return reply;
}


redisReply *
stream_read_new(struct redis_connection *conn, const char *consumer, uint64_t count, unsigned block_ms)
{
    struct redis_args args = { 0 };

    add_read_words(&args, consumer, count);
    args_text(&args, "BLOCK");
    args_number(&args, block_ms);
    return read_from(conn, &args, ">", block_ms);
}


redisReply *
stream_pending_own(struct redis_connection *conn, const char *consumer, uint64_t count, const char *after)
{
    struct redis_args args = { 0 };
    char start[64];

    snprintf(start, sizeof(start), "(%s", after);
    args_text(&args, "XPENDING");
    key_queue(&args);
    args_text(&args, CONSUMER_GROUP);
    args_text(&args, start);
    args_text(&args, "+");
    args_number(&args, count);
    args_text(&args, consumer);

    redisReply *reply = EFFECT("stream.pending", redis_call(conn, &args, 0));

    args_free(&args);
    return reply;
}


redisReply *
stream_read_own(struct redis_connection *conn, const char *consumer, uint64_t count, const char *after)
{
    struct redis_args args = { 0 };

    add_read_words(&args, consumer, count);
    return read_from(conn, &args, after, 0);
}


static redisReply *
heartbeat(struct redis_connection *conn, const struct heartbeat_call *call, const char *what)
{
    struct redis_args args = { 0 };

    args_script(&args, &checkout_script_heartbeat, 2);
    key_queue(&args);
    key_workers(&args);
    args_text(&args, CONSUMER_GROUP);
    args_text(&args, call->consumer);
    args_format(&args, "%d%d", BEAT_RELEASE, call->reaches_mysql != 0);
    args_number(&args, call->most);
    args_text(&args, what);
    args_text(&args, call->strays_after);

    for (size_t i = 0; i < call->silent_count; i++) {
        args_text(&args, call->silent[i].name);
        args_text(&args, call->silent[i].value);
    }

    redisReply *reply = EFFECT("stream.heartbeat", redis_script(conn, &checkout_script_heartbeat, &args));

    args_free(&args);
    return reply;
}


redisReply *
stream_heartbeat(struct redis_connection *conn, const struct heartbeat_call *call)
{
    return heartbeat(conn, call, call->joins ? "join" : "");
}


redisReply *
stream_look(struct redis_connection *conn, const char *consumer, int reaches_mysql)
{
    struct heartbeat_call call = { .consumer = consumer, .reaches_mysql = reaches_mysql, .strays_after = "-" };

    return heartbeat(conn, &call, "look");
}


static int
end_reply(redisReply *reply)
{
    if (reply == NULL) {
        return -1;
    }

    freeReplyObject(reply);
    return 0;
}


int
stream_leave(struct redis_connection *conn, const char *consumer)
{
    struct heartbeat_call call = { .consumer = consumer, .strays_after = "-" };

    return end_reply(heartbeat(conn, &call, "leave"));
}


int
stream_hold(struct redis_connection *conn, const char *consumer, const struct buffer *ids)
{
    struct redis_args args = { 0 };

    args_text(&args, ids->len > 0 ? "HSET" : "HDEL");
    key_workers(&args);
    args_format(&args, "batch:%s", consumer);

    if (ids->len > 0) {
        args_add(&args, ids->data, ids->len);
    }

    redisReply *reply = EFFECT("stream.hold", redis_call(conn, &args, 0));

    args_free(&args);
    return end_reply(reply);
}


int
stream_bury(struct redis_connection *conn, const char *id, const char *reason)
{
    struct redis_args args = { 0 };

    args_script(&args, &checkout_script_bury, 3);
    key_queue(&args);
    key_gate(&args);
    key_dead_letters(&args);
    args_text(&args, CONSUMER_GROUP);
    args_text(&args, id);
    args_text(&args, reason);

    redisReply *reply = EFFECT("stream.bury", redis_script(conn, &checkout_script_bury, &args));

    args_free(&args);
    return end_reply(reply);
}


int
stream_forget(struct redis_connection *conn, const char *id)
{
    struct redis_args args = { 0 };

    args_text(&args, "XACK");
    key_queue(&args);
    args_text(&args, CONSUMER_GROUP);
    args_text(&args, id);

    redisReply *reply = EFFECT("stream.forget", redis_call(conn, &args, 0));

    args_free(&args);
    return end_reply(reply);
}


static struct stream_entries
entries_of(const redisReply *list)
{
    if (list->type != REDIS_REPLY_ARRAY) {
        return (struct stream_entries) { NULL, 0 };
    }

    return (struct stream_entries) { list->element, list->elements };
}


struct stream_entries
stream_entries_of_heartbeat(const redisReply *reply)
{
    /* { id, { entry, … }, … }, or a status. */
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != HEARTBEAT_PARTS) {
        return (struct stream_entries) { NULL, 0 };
    }

    return entries_of(reply->element[1]);
}


const redisReply *
stream_beats(const redisReply *look)
{
    return look->type == REDIS_REPLY_ARRAY && look->elements == HEARTBEAT_PARTS ? look->element[2] : NULL;
}


const redisReply *
stream_deaths(const redisReply *heartbeat)
{
    return heartbeat->type == REDIS_REPLY_ARRAY && heartbeat->elements == HEARTBEAT_PARTS
               ? heartbeat->element[3]
               : NULL;
}


const char *
stream_strays_after(const redisReply *heartbeat)
{
    int has_id = heartbeat->type == REDIS_REPLY_ARRAY && heartbeat->elements == HEARTBEAT_PARTS
                 && heartbeat->element[0]->type == REDIS_REPLY_STRING;

    return has_id ? heartbeat->element[0]->str : NULL;
}


struct stream_entries
stream_entries_of_read(const redisReply *reply)
{
    /* One stream was asked for: { { key, { entry, … } } }, or nil. */
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 1 || reply->element[0]->type != REDIS_REPLY_ARRAY
        || reply->element[0]->elements != 2)
    {
        return (struct stream_entries) { NULL, 0 };
    }

    return entries_of(reply->element[0]->element[1]);
}
