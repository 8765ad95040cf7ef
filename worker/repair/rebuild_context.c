#include "repair/rebuild_context.h"

#include <stdio.h>
#include <stdlib.h>


enum rebuild_result
rebuild_context_answer(const struct rebuild *r, redisReply *reply, int64_t *answer)
{
    if (reply == NULL) {
        return REBUILD_REDIS_FAILED;
    }

    *answer = reply_number(reply, 0);
    freeReplyObject(reply);

    if (*answer == -1) {
        snprintf(r->redis->error, sizeof(r->redis->error), "the gate is not held by this rebuild any more");
        return REBUILD_TAKEN_OVER;
    }

    return REBUILD_DONE;
}


void
rebuild_context_free(struct rebuild *r)
{
    queue_view_free(&r->waiting);
    in_flight_free(&r->units);
    free(r->lost);
    free(r->ids);
    free(r->fenced);
}
