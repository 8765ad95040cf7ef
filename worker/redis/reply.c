#include "redis/reply.h"

#include <errno.h>
#include <stdlib.h>


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
