#include "redis/reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>


int64_t
reply_number(const redisReply *reply, int64_t missing)
{
    if (reply == NULL) {
        return missing;
    }

    if (reply->type == REDIS_REPLY_INTEGER) {
        return reply->integer;
    }

    if (reply->type != REDIS_REPLY_STRING || reply->len == 0) {
        return missing;
    }

    char *end;

    errno = 0;

    int64_t value = strtoll(reply->str, &end, 10);

    return errno == 0 && *end == '\0' ? value : missing;
}


const redisReply *
reply_field(const redisReply *pairs, const char *name)
{
    for (size_t i = 0; i + 1 < pairs->elements; i += 2) {
        if (pairs->element[i]->type == REDIS_REPLY_STRING && strcmp(pairs->element[i]->str, name) == 0
            && pairs->element[i + 1]->type == REDIS_REPLY_STRING)
        {
            return pairs->element[i + 1];
        }
    }

    return NULL;
}
