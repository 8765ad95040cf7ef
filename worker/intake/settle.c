#include "intake/settle.h"

#include "failpoint.h"
#include "intake/settle_words.h"


int64_t
settle_batch(struct redis_connection *conn, struct redis_args *args, const struct batch *batch, int64_t epoch)
{
    settle_words(args, batch, epoch);

    redisReply *reply = EFFECT("settle.script", redis_script(conn, &checkout_script_settle, args));

    if (reply == NULL) {
        return -1;
    }

    int64_t settled = reply_number(reply, 0);

    freeReplyObject(reply);
    return settled < 0 ? SETTLE_STALE : settled;
}
