#include "repair/rebuild_context.h"

#include <stdio.h>


enum rebuild_result
rebuild_context_answer(const struct rebuild *r, redisReply *reply, int64_t *answer)
{
    if (reply == NULL) {
        return REBUILD_REDIS_FAILED;
    }

    *answer = reply_number(reply, 0);
    freeReplyObject(reply);

    if (*answer == -1) {
        snprintf(r->redis->error, sizeof(r->redis->error), "the fence of this rebuild is gone");
        return REBUILD_TAKEN_OVER;
    }

    return REBUILD_DONE;
}
