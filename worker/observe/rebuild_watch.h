/*
 * Is a rebuild under way, and does its process live? Nobody but an operator ends a rebuild that died
 * (`checkoutctl rebuild`, or `rebuild --abort`), so somebody has to say that there is one.
 */
#ifndef CHECKOUT_WORKER_OBSERVE_REBUILD_WATCH_H
#define CHECKOUT_WORKER_OBSERVE_REBUILD_WATCH_H

#include "base/silence.h"
#include "redis/connection.h"

enum rebuild_seen {
    REBUILD_NONE,
    REBUILD_UNDER_WAY,
    REBUILD_ABANDONED /* its lease has not changed for LEASE_SILENT_MS, by this process's clock */
};

/* Zero-initialised: nothing was seen. */
struct rebuild_watch {
    struct silence lease;
    enum rebuild_seen seen;
};

/*
 * Looks once; call it every second or so. One call of Redis, which blocks up to [redis] timeout. Logs when a rebuild
 * begins to count as abandoned. Returns 0 with w->seen set, or -1 with conn->error set.
 */
int rebuild_watch_look(struct rebuild_watch *w, struct redis_connection *conn);

#endif
