#include "repair/expiring.h"

#include "failpoint.h"
#include "order/identifier.h"
#include "redis/keys.h"

#define DAY_MS       86400000ULL
#define BUCKETS_BACK 4 /* days; a bucket expires two days and an hour after its first record */


/* Runs the script with the keys of `keys`, as many as `needed` has times. Frees neither. */
static int
unlink_expiring(struct redis_connection *conn, const struct redis_args *keys, const uint64_t *needed)
{
    struct redis_args args = { 0 };

    args_script(&args, &checkout_script_unlink_expiring, (unsigned) keys->count);

    for (size_t i = 0, from = 0; i < keys->count; from = keys->ends[i++]) {
        args_add(&args, keys->text.data + from, keys->ends[i] - from);
    }

    args_number(&args, EXPIRING_MS);

    for (size_t i = 0; i < keys->count; i++) {
        args_number(&args, needed[i]);
    }

    redisReply *reply = EFFECT("expiring.unlink", redis_script(conn, &checkout_script_unlink_expiring, &args));
    int gone = reply == NULL ? -1 : (int) reply_number(reply, 0);

    args_free(&args);

    if (reply != NULL) {
        freeReplyObject(reply);
    }

    return gone;
}


int
expiring_buckets(struct redis_connection *conn, uint64_t unix_ms)
{
    struct redis_args keys = { 0 };
    uint64_t needed[BUCKETS_BACK] = { 0 }, today = unix_ms / DAY_MS * DAY_MS;
    size_t n = 0;

    /* Today's, yesterday's and tomorrow's are looked up, the last by a clock that is behind. */
    for (unsigned back = 2; back <= BUCKETS_BACK; back++) {
        char day[CHECKOUT_DAY_LEN + 1] = "";

        checkout_day(day, unix_ms - back * DAY_MS);
        key_bucket(&keys, day);
        needed[n++] = today - (back - 2) * DAY_MS;
    }

    int gone = unlink_expiring(conn, &keys, needed);

    args_free(&keys);
    return gone;
}


int
expiring_buyers(struct redis_connection *conn, const struct product_row *rows, size_t n, uint64_t unix_ms)
{
    struct redis_args keys = { 0 };
    uint64_t needed[256] = { 0 };
    int gone = 0;

    for (size_t i = 0; i < n && keys.count < sizeof(needed) / sizeof(*needed); i++) {
        const struct sale_terms *terms = &rows[i].terms;

        if (rows[i].found && terms->per_user_limit > 0 && terms->closes_at > 0 && terms->closes_at < unix_ms) {
            needed[keys.count] = terms->closes_at;
            key_buyers(&keys, rows[i].id);
        }
    }

    if (keys.count > 0) {
        gone = unlink_expiring(conn, &keys, needed);
    }

    args_free(&keys);
    return gone;
}
