#include "redis/beats.h"

#include <stdio.h>
#include <string.h>

#include "redis/keys.h"


int
beat_is_field(const char *field)
{
    return strcmp(field, "paused") != 0 && strcmp(field, "deaths") != 0
           && strncmp(field, "lease:", strlen("lease:")) != 0 && strncmp(field, "batch:", strlen("batch:")) != 0;
}


struct beat
beat_read(const char *value)
{
    size_t digits = strspn(value, "0123456789");
    const char *rest = value + digits;

    if (digits == 0 || strcmp(value, "0") == 0) {
        return (struct beat) { 0 };
    }

    if (rest[0] != '.') {
        return (struct beat) { .release = rest[0] == '\0' };
    }

    size_t said = strspn(rest + 1, "0123456789");

    return (struct beat) { .release = said > 0 ? rest[1] - '0' : 0, .reaches_mysql = said > 1 && rest[2] == '1' };
}


int
beats_is_old(const char *name, const char *value)
{
    return beat_is_field(name) && beat_read(value).release == 1;
}


int
beats_read_old(struct redis_connection *conn, struct beats *beats)
{
    struct redis_args args = { 0 };

    args_text(&args, "HGETALL");
    key_workers(&args);

    redisReply *reply = redis_call(conn, &args, 0);

    args_free(&args);
    beats->count = 0;

    if (reply == NULL) {
        return -1;
    }

    for (size_t i = 0; i + 1 < reply->elements && beats->count < BEATS_MOST; i += 2) {
        const redisReply *name = reply->element[i], *value = reply->element[i + 1];

        if (name->type == REDIS_REPLY_STRING && value->type == REDIS_REPLY_STRING
            && beats_is_old(name->str, value->str))
        {
            snprintf(beats->beats[beats->count].name, sizeof(beats->beats[0].name), "%.*s", BEATS_NAME_LEN, name->str);
            snprintf(beats->beats[beats->count].value, sizeof(beats->beats[0].value), "%.31s", value->str);
            beats->count++;
        }
    }

    freeReplyObject(reply);
    return 0;
}


const char *
beats_find_changed(const struct beats *first, const struct beats *now)
{
    for (size_t i = 0; i < now->count; i++) {
        size_t same = 0;

        for (size_t j = 0; j < first->count; j++) {
            same += strcmp(now->beats[i].name, first->beats[j].name) == 0
                    && strcmp(now->beats[i].value, first->beats[j].value) == 0;
        }

        if (same == 0) {
            return now->beats[i].name;
        }
    }

    return NULL;
}
