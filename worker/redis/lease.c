#include "redis/lease.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/random_hex.h"
#include "failpoint.h"
#include "redis/keys.h"

#define SUFFIX_DIGITS 8


void
lease_init(struct lease *lease, const char *task, const char *name)
{
    char suffix[SUFFIX_DIGITS + 1];

    random_hex(suffix, SUFFIX_DIGITS);
    *lease = (struct lease) { .task = task };

    snprintf(lease->owner, sizeof(lease->owner), "%.*s.%s", LEASE_OWNER_LEN - SUFFIX_DIGITS - 1, name, suffix);

    for (char *c = lease->owner; *c != '\0'; c++) {
        *c = *c == ' ' ? '_' : *c;
    }
}


static redisReply *
call(struct lease *lease, struct redis_connection *conn, int give_back)
{
    struct redis_args args = { 0 };

    args_script(&args, &checkout_script_lease, 1);
    key_workers(&args);
    args_text(&args, lease->task);
    args_text(&args, lease->owner);

    if (give_back) {
        args_text(&args, "-");
    } else {
        args_number(&args, ++lease->calls);
    }

    int silent = lease->others.seen && clock_ms() - lease->others.since >= LEASE_SILENT_MS;

    args_text(&args, silent ? lease->others.value : "-");

    redisReply *reply = EFFECT("lease.call", redis_script(conn, &checkout_script_lease, &args));

    args_free(&args);
    return reply;
}


int
lease_hold(struct lease *lease, struct redis_connection *conn)
{
    redisReply *reply = call(lease, conn, 0);

    if (reply == NULL) {
        return -1;
    }

    int held = reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;

    if (!held && reply->type == REDIS_REPLY_STRING) {
        (void) silence_see(&lease->others, reply->str, clock_ms());
    }

    freeReplyObject(reply);
    return held;
}


void
lease_give_back(struct lease *lease, struct redis_connection *conn)
{
    redisReply *reply = call(lease, conn, 1);

    if (reply != NULL) {
        freeReplyObject(reply);
    }
}
