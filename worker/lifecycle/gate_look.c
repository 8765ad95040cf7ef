#include "lifecycle/gate_look.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "lifecycle/rules.h"
#include "order/order.h"
#include "redis/loss.h"
#include "redis/order_records.h"

#define ASK_AGAIN_MS  60000 /* from one comparison that this process asks for to the next */
#define PRODUCTS_MOST (2 * CHANGE_BATCH_MAX + CHANGE_ITEMS_MIN) /* of a batch; as change_batch_create() */


static int
needs_a_look(const struct changed_order *o)
{
    return o->moves_stock && !o->passed_over;
}


/* Redis cannot be read: whether MySQL is right about them cannot be known. */
static enum db_result
pass_over_all(struct change_batch *batch, const struct redis_connection *conn)
{
    for (size_t i = 0; i < batch->order_count; i++) {
        batch->orders[i].passed_over |= needs_a_look(&batch->orders[i]);
    }

    log_warn("event=changes_wait redis=\"%s\" why=\"what moves stock waits until Redis can be read\"", conn->error);
    return DB_OK;
}


static void
pass_over_closed(struct change_batch *batch, const unsigned char *closed)
{
    for (size_t i = 0; i < batch->item_count; i++) {
        const struct changed_item *item = &batch->items[i];
        struct changed_order *o = &batch->orders[item->order];

        o->passed_over |= item->place != PRODUCT_NOT_LOCKED && closed[item->place] && needs_a_look(o);
    }
}


static int
is_behind(const struct changed_order *o, const redisReply *record)
{
    struct checkout_record r;

    return record->type == REDIS_REPLY_STRING && checkout_record_parse(&r, record->str, (size_t) record->len) == 0
           && order_status_rank(order_status_parse(r.status, r.status_len)) > order_status_rank(o->status);
}


static void
report_behind(const struct changed_order *o, const char *record)
{
    static _Thread_local struct log_limit lines;
    uint64_t left_out;

    if (log_limit_pass(&lines, clock_ms(), &left_out)) {
        log_error("event=order_behind order=%s status=%s record=\"%s\" not_logged=%" PRIu64
                  " why=\"MySQL has lost a change of it; it waits for its recovery\"",
                  o->identifier, order_status_name(o->status), record, left_out);
    }
}


/* A comparison reads all records, and an order may stay behind: each round that meets it must not begin another one. */
static int
ask_for_comparison(struct redis_connection *conn)
{
    static atomic_uint_fast64_t asked_ms;
    uint64_t last = atomic_load(&asked_ms), now = clock_ms();

    if (last != 0 && now - last < ASK_AGAIN_MS) {
        return 0;
    }

    if (loss_ask_for_comparison(conn) == -1) {
        return -1;
    }

    atomic_store(&asked_ms, now);
    return 0;
}


/* Returns 0, or -1 with conn->error set. */
static int
pass_over_behind(struct change_batch *batch, struct redis_connection *conn)
{
    const char *identifiers[CHANGE_BATCH_MAX];
    struct changed_order *orders[CHANGE_BATCH_MAX];
    size_t n = 0;

    for (size_t i = 0; i < batch->order_count; i++) {
        if (needs_a_look(&batch->orders[i])) {
            orders[n] = &batch->orders[i];
            identifiers[n++] = batch->orders[i].identifier;
        }
    }

    redisReply *reply = n > 0 ? order_records_find_all(conn, identifiers, n, (uint64_t) time(NULL) * 1000) : NULL;

    if (reply == NULL) {
        return n > 0 ? -1 : 0;
    }

    for (size_t i = 0; i < n; i++) {
        if (is_behind(orders[i], reply->element[i])) {
            orders[i]->passed_over = 1;
            batch->behind++;
            report_behind(orders[i], reply->element[i]->str);
        }
    }

    freeReplyObject(reply);
    return batch->behind > 0 ? ask_for_comparison(conn) : 0;
}


enum db_result
gate_look(struct change_batch *batch, struct db *db, void *data)
{
    struct redis_connection *conn = data;
    unsigned char closed[PRODUCTS_MOST] = { 0 };
    size_t count;

    enum db_result result = loss_look(db, conn, batch->products, batch->product_count, closed, &count);

    if (result != DB_OK) {
        return db->code == 0 ? pass_over_all(batch, conn) : result;
    }

    pass_over_closed(batch, closed);
    return pass_over_behind(batch, conn) == -1 ? pass_over_all(batch, conn) : DB_OK;
}
