#include "observe/rebuild_watch.h"

#include "base/clock.h"
#include "base/log.h"
#include "failpoint.h"
#include "redis/keys.h"
#include "redis/lease.h"


static redisReply *
ask(const struct rebuild_watch *w, struct redis_connection *conn)
{
    struct redis_args args = { 0 };

    args_script(&args, &checkout_script_rebuild_watch, 2);
    key_gate(&args);
    key_workers(&args);
    args_text(&args, w->seen == REBUILD_ABANDONED ? w->lease.value : "-");

    redisReply *reply = EFFECT("rebuild_watch.look", redis_script(conn, &checkout_script_rebuild_watch, &args));

    args_free(&args);
    return reply;
}


int
rebuild_watch_look(struct rebuild_watch *w, struct redis_connection *conn)
{
    redisReply *reply = ask(w, conn);

    if (reply == NULL) {
        return -1;
    }

    enum rebuild_seen before = w->seen;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply_number(reply->element[0], 0) == 0) {
        *w = (struct rebuild_watch) { 0 };
    } else {
        int silent = silence_see(&w->lease, reply->element[1]->str, clock_ms()) >= LEASE_SILENT_MS;

        w->seen = silent ? REBUILD_ABANDONED : REBUILD_UNDER_WAY;
    }

    freeReplyObject(reply);

    if (w->seen == REBUILD_ABANDONED && before != REBUILD_ABANDONED) {
        log_error(
            "event=rebuild_abandoned lease=\"%s\" why=\"a rebuild did not end, and its process is silent; products"
            " that it closed answer 503 until checkoutctl rebuild, or rebuild --abort\"",
            w->lease.value);
    }

    return 0;
}
