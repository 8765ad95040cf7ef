#include "repair/rebuild.h"

#include <stdio.h>

#include "failpoint.h"
#include "repair/rebuild_buyers.h"
#include "repair/rebuild_gate.h"
#include "repair/rebuild_products.h"
#include "repair/rebuild_records.h"

typedef enum rebuild_result (*rebuild_step)(struct rebuild *r);


/* One after the other, as long as each is done. */
static enum rebuild_result
run_steps(struct rebuild *r, const rebuild_step *steps, size_t n)
{
    enum rebuild_result result = REBUILD_DONE;

    for (size_t i = 0; i < n && result == REBUILD_DONE; i++) {
        result = steps[i](r);
    }

    return result;
}

#define RUN(r, steps) run_steps(r, steps, sizeof(steps) / sizeof(*(steps)))


static enum rebuild_result
read_queue(struct rebuild *r)
{
    return EFFECT("rebuild.read_queue", queue_view_read(r->redis, &r->waiting)) == -1
               ? REBUILD_REDIS_FAILED
               : REBUILD_DONE;
}


static enum rebuild_result
look(struct rebuild *r)
{
    static const rebuild_step steps[] = {
        read_queue, rebuild_records_scan, rebuild_records_look, rebuild_products_scan
    };

    return RUN(r, steps);
}


static enum rebuild_result
repair_fenced(struct rebuild *r)
{
    static const rebuild_step steps[] = {
        rebuild_products_read_units, rebuild_products_open_others, rebuild_gate_fence,
        rebuild_records_requeue,     rebuild_products_fenced,      rebuild_gate_unfence,
    };

    /* Where there is nothing to do, there may be the fence of one that died. */
    return r->lost_count > 0 || r->fenced_count > 0 ? RUN(r, steps) : rebuild_gate_unfence(r);
}


static enum rebuild_result
rebuild(struct rebuild *r)
{
    static const rebuild_step steps[] = {
        look, repair_fenced, rebuild_products_close_gone, rebuild_buyers, rebuild_gate_end
    };

    return RUN(r, steps);
}


static enum rebuild_result
try_out(struct rebuild *r)
{
    static const rebuild_step steps[] = { look, rebuild_products_close_gone };
    enum rebuild_result result = RUN(r, steps);

    r->enqueued = r->lost_count;
    r->products += r->loaded;
    return result;
}


/* A rebuild that failed leaves the gate open: what it has done is right, and what it has not was so before. */
static void
give_up(struct rebuild *r)
{
    char error[sizeof(r->redis->error)];

    snprintf(error, sizeof(error), "%s", r->redis->error);
    (void) rebuild_gate_end(r);
    snprintf(r->redis->error, sizeof(r->redis->error), "%s", error);
}


enum rebuild_result
rebuild_run(struct rebuild *r)
{
    /* MySQL first: without it there is nothing to begin. */
    if (db_open(r->db) != DB_OK) {
        return REBUILD_DB_FAILED;
    }

    if (r->dry_run) {
        return try_out(r);
    }

    enum rebuild_result result = rebuild_gate_begin(r);

    if (result != REBUILD_DONE) {
        return result;
    }

    result = rebuild(r);

    if (result == REBUILD_DB_FAILED || result == REBUILD_REDIS_FAILED) {
        give_up(r);
    }

    rebuild_gate_leave(r);
    return result;
}


int
rebuild_abort(struct redis_connection *redis)
{
    return rebuild_gate_abort(redis);
}


void
rebuild_free(struct rebuild *r)
{
    rebuild_context_free(r);
}
