#include "repair/rebuild.h"

#include "base/random_hex.h"
#include "failpoint.h"
#include "redis/keys.h"
#include "repair/rebuild_buyers.h"
#include "repair/rebuild_products.h"
#include "repair/rebuild_records.h"


static enum rebuild_result
begin(struct rebuild *r)
{
    struct redis_args args = { 0 };
    int64_t resumed;

    random_hex(r->token, sizeof(r->token) - 1);
    args_script(&args, &checkout_script_rebuild_begin, 1);
    key_gate(&args);
    args_text(&args, r->token);

    redisReply *reply = EFFECT("rebuild.begin", redis_script(r->redis, &checkout_script_rebuild_begin, &args));

    args_free(&args);

    enum rebuild_result result = rebuild_context_answer(r, reply, &resumed);

    r->resumed = result == REBUILD_DONE && resumed == 1;
    return result;
}


static enum rebuild_result
end(struct rebuild *r)
{
    struct redis_args args = { 0 };
    int64_t queued;

    args_script(&args, &checkout_script_rebuild_end, 2);
    key_queue(&args);
    key_gate(&args);
    args_text(&args, r->token);
    args_number(&args, r->products);

    redisReply *reply = EFFECT("rebuild.end", redis_script(r->redis, &checkout_script_rebuild_end, &args));

    args_free(&args);
    return rebuild_context_answer(r, reply, &queued);
}


enum rebuild_result
rebuild_run(struct rebuild *r)
{
    enum rebuild_result result;

    /* MySQL first: without it the gate must not be closed. */
    if (db_open(r->db) != DB_OK) {
        return REBUILD_DB_FAILED;
    }

    if (!r->dry_run && (result = begin(r)) != REBUILD_DONE) {
        return result;
    }

    if (EFFECT("rebuild.read_queue", queue_view_read(r->redis, &r->waiting)) == -1) {
        return REBUILD_REDIS_FAILED;
    }

    if ((result = rebuild_records(r)) != REBUILD_DONE || (result = rebuild_products(r)) != REBUILD_DONE
        || (result = rebuild_buyers(r)) != REBUILD_DONE)
    {
        return result;
    }

    return r->dry_run ? REBUILD_DONE : end(r);
}


void
rebuild_free(struct rebuild *r)
{
    queue_view_free(&r->waiting);
}
