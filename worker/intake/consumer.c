#include "intake/consumer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/pause.h"
#include "base/stop.h"
#include "failpoint.h"
#include "intake/batch_check.h"
#include "intake/settle.h"
#include "observe/stats.h"

#define BLOCK_MS     500   /* longest wait for a new entry; bounds the time that a stop takes */
#define FIRST_GUESS  64    /* orders in one entry, before any was seen */
#define TAKE_OVER_MS 1000  /* time between two heartbeats, which also take over what dead consumers left */
#define HURRY_MS     250   /* the same while somebody is known to be dead */
#define SILENT_MOST  16    /* dead consumers in one call */
#define SUSPECT_MS   100   /* from one suspect to the next while there are other entries */
#define GRACE_MS     2000  /* after the start, before the first suspect */
#define HAND_BACK_MS 10000 /* without MySQL, after which another one gets what this consumer holds */
#define OWN_AGAIN_MS 5000  /* from the end of one pass over own entries to the next */
#define HELD_LOOK_MS 1000  /* from one look at which products were recovered to the next */
#define PENDING_PAGE 256   /* ids of own entries looked at in one call */


static void
drop_reply(struct consumer *c)
{
    if (c->reply != NULL) {
        freeReplyObject(c->reply);
        c->reply = NULL;
    }

    c->entries = (struct stream_entries) { NULL, 0 };
    c->next = c->first = c->alone_until = 0;
}


/* Waits after a failure of `server`. The state goes on as `again`, or ends when the stop is requested. */
static enum consumer_state
wait_after(struct consumer *c, const char *what, enum consumer_wait server, const char *error, unsigned code,
           enum consumer_state again)
{
    unsigned ms = backoff_next(&c->backoff);

    atomic_store(&c->status->waits_for, server);
    log_warn("event=%s consumer=%s code=%u error=\"%s\" wait_ms=%u", what, c->status->name, code, error, ms);
    return stop_wait(ms) ? CONSUMER_END : again;
}


static enum consumer_state
redis_failed(struct consumer *c)
{
    stats_redis_retry(0);
    return wait_after(c, "redis_failed", CONSUMER_WAITS_FOR_REDIS, c->redis.error, 0, CONSUMER_JOIN);
}


/* MySQL answered. */
static void
note_answer(struct consumer *c)
{
    atomic_store(&c->status->mysql_answered, clock_ms());
    atomic_store(&c->status->mysql_failed, 0);
}


/*
 * For order_transaction.h. MySQL answered, so what happens from here on is not its outage: the batch in hand is marked,
 * once. Where Redis fails the worst is that a death is not counted.
 */
static void
mark_batch(void *data)
{
    struct consumer *c = data;

    note_answer(c);

    if (c->is_marked) {
        return;
    }

    buffer_clear(&c->in_hand);

    for (size_t i = 0; i < c->batch.entry_count; i++) {
        buffer_text(&c->in_hand, i > 0 ? " " : "");
        buffer_text(&c->in_hand, c->batch.entries[i].id);
    }

    c->is_marked = 1;
    (void) stream_hold(&c->redis, c->status->name, &c->in_hand);
}


/* The batch in hand stays pending, and is no longer worked on. */
static void
let_go(struct consumer *c)
{
    if (c->is_marked) {
        c->is_marked = 0;
        buffer_clear(&c->in_hand);
        (void) stream_hold(&c->redis, c->status->name, &c->in_hand);
    }
}


/* A call succeeded: waits are short again, and the monitor sees no outage. */
static void
clear_failure(struct consumer *c)
{
    backoff_reset(&c->backoff);
    atomic_store(&c->status->waits_for, CONSUMER_WAITS_NOT);
}


static void
start_with_own(struct consumer *c)
{
    c->own_pending = 1;
    c->own_stopped = 0;
    strcpy(c->own_after, "0");
}


static void
end_own(struct consumer *c)
{
    c->own_pending = 0;
    c->own_ended_ms = clock_ms();
}


/* As time for it has come: from the first, or from where the last pass stopped. */
static void
begin_own(struct consumer *c)
{
    if (c->own_stopped) {
        c->own_pending = 1;
        c->own_stopped = 0;
    } else {
        start_with_own(c);
    }
}


static enum consumer_state
take_reply(struct consumer *c, redisReply *reply, struct stream_entries entries)
{
    drop_reply(c);
    c->reply = reply;
    c->entries = entries;
    c->is_own = 0;
    c->is_suspect = 0;
    return entries.count > 0 ? CONSUMER_FILL : CONSUMER_READ;
}


/* About as many entries as one batch needs, by the size of the last ones: this bounds the memory of one reply. */
static uint64_t
entries_wanted(const struct consumer *c)
{
    double wanted = c->config->worker.batch_orders / c->orders_per_entry;

    return wanted < 1 ? 1 : (uint64_t) wanted;
}


/*
 * Before entries are read, so that these are settled under this epoch or a later one's batch runs again. A session from
 * before the epoch may be on a server that was replaced: under the new epoch there is a new one (redis/loss.h).
 */
static int
read_epoch(struct consumer *c)
{
    int64_t epoch;

    if (loss_read_epoch(&c->redis, &epoch) == -1) {
        return -1;
    }

    if (epoch != c->epoch) {
        db_close(&c->db);
    }

    c->epoch = epoch;
    return 0;
}


static enum consumer_state
send_heartbeat(struct consumer *c)
{
    if (read_epoch(c) == -1) {
        return redis_failed(c);
    }

    struct silent_consumer silent[SILENT_MOST];
    struct heartbeat_call call = {
        .consumer = c->status->name,
        .reaches_mysql = consumer_reaches_mysql(c->status, clock_ms()),
        .joins = !c->has_joined,
        .most = entries_wanted(c),
        .strays_after = c->strays_after,
        .silent = silent,
        .silent_count = peers_silent(c->peers, c->config->worker.dead_after, silent, SILENT_MOST)
    };
    redisReply *reply = stream_heartbeat(&c->redis, &call);

    if (reply == NULL) {
        return redis_failed(c);
    }

    c->last_heartbeat_ms = clock_ms();
    c->has_joined = 1;
    c->paused = reply->type == REDIS_REPLY_STATUS;
    suspects_take(&c->suspects, stream_deaths(reply));
    clear_failure(c);

    const char *strays_after = stream_strays_after(reply);
    struct stream_entries entries = stream_entries_of_heartbeat(reply);

    if (strays_after != NULL) {
        snprintf(c->strays_after, sizeof(c->strays_after), "%s", strays_after);
    }

    if (entries.count > 0) {
        stats_add(STATS_TAKEN_OVER, entries.count);
        log_info("event=taken_over consumer=%s entries=%zu", c->status->name, entries.count);
    }

    return take_reply(c, reply, entries);
}


static enum consumer_state
on_join(struct consumer *c)
{
    start_with_own(c);
    return send_heartbeat(c);
}


/* NULL: not of the form that begins with an id. */
static const char *
id_of(const redisReply *entry)
{
    int has_id = entry->type == REDIS_REPLY_ARRAY && entry->elements > 0
                 && entry->element[0]->type == REDIS_REPLY_STRING;

    return has_id ? entry->element[0]->str : NULL;
}


/*
 * Passes over own entries that were set aside: own_after becomes the entry before the first that was not. Returns how
 * many entries to read from there, so that as many as wanted of them were not set aside; 0: none was found.
 */
static size_t
skip_set_aside(struct consumer *c, const redisReply *pending)
{
    size_t span = 0, to_read = 0;
    uint64_t found = 0, wanted = entries_wanted(c);

    for (size_t i = 0; i < pending->elements && found < wanted; i++) {
        const char *id = id_of(pending->element[i]);
        int is_set_aside = id == NULL || set_aside_see(&c->set_aside, id) || suspects_deaths(&c->suspects, id) > 0;

        if (!is_set_aside) {
            to_read = ++span;
            found++;
        } else if (span > 0) {
            span++;
        } else if (id != NULL) {
            snprintf(c->own_after, sizeof(c->own_after), "%s", id);
        }
    }

    return to_read;
}


static enum consumer_state
read_own(struct consumer *c)
{
    redisReply *pending = stream_pending_own(&c->redis, c->status->name, PENDING_PAGE, c->own_after);

    if (pending == NULL) {
        return redis_failed(c);
    }

    size_t count = skip_set_aside(c, pending);
    int is_last = pending->elements < PENDING_PAGE;

    freeReplyObject(pending);

    if (count == 0) {
        if (is_last) {
            set_aside_end_pass(&c->set_aside);
            atomic_store(&c->status->set_aside, (unsigned) set_aside_broken(&c->set_aside));
            end_own(c);
        }

        return CONSUMER_READ;
    }

    redisReply *reply = stream_read_own(&c->redis, c->status->name, count, c->own_after);

    if (reply == NULL) {
        return redis_failed(c);
    }

    struct stream_entries entries = stream_entries_of_read(reply);

    const char *last = entries.count > 0 ? id_of(entries.entries[entries.count - 1]) : NULL;

    if (last != NULL) {
        snprintf(c->own_after, sizeof(c->own_after), "%s", last);
    }

    enum consumer_state state = take_reply(c, reply, entries);

    c->is_own = 1;
    return state;
}


static enum consumer_state
read_new(struct consumer *c)
{
    redisReply *reply = stream_read_new(&c->redis, c->status->name, entries_wanted(c), BLOCK_MS);

    /* NOGROUP among others: the queue was deleted, and joining makes it again. */
    if (reply == NULL) {
        return redis_failed(c);
    }

    enum consumer_state state = take_reply(c, reply, stream_entries_of_read(reply));

    c->is_idle = state == CONSUMER_READ;
    return state;
}


/*
 * A suspect is tried once nothing else is there, or from time to time. A worker that was just started goes on with
 * others first: it may be its end.
 */
static int
suspect_is_due(const struct consumer *c)
{
    return c->suspects.count > 0 && (clock_ms() >= c->suspect_ms || c->is_idle);
}


/* Reads the next suspect, where it is pending for this consumer. */
static enum consumer_state
read_suspect(struct consumer *c)
{
    const struct suspect *suspect = suspects_next(&c->suspects);
    char before[ENTRY_ID_SIZE];
    struct entry_id id;

    c->suspect_ms = clock_ms() + SUSPECT_MS;

    if (suspect == NULL) {
        c->is_idle = 0;
        c->suspect_ms = clock_ms() + OWN_AGAIN_MS;
        return CONSUMER_READ;
    }

    entry_id_before(&suspect->id, before);

    redisReply *reply = stream_read_own(&c->redis, c->status->name, 1, before);

    if (reply == NULL) {
        return redis_failed(c);
    }

    struct stream_entries entries = stream_entries_of_read(reply);
    const char *found = entries.count > 0 ? id_of(entries.entries[0]) : NULL;

    if (found == NULL || entry_id_read(&id, found) == -1 || entry_id_compare(&id, &suspect->id) != 0) {
        entries.count = 0;
    }

    enum consumer_state state = take_reply(c, reply, entries);

    c->is_suspect = 1;
    return state;
}


/* Lines that were left out of the log. */
static void
log_rest(struct consumer *c)
{
    uint64_t left_out;

    if (log_limit_rest(&c->locked_lines, clock_ms(), &left_out)) {
        log_warn("event=product_locked consumer=%s left_out=%" PRIu64 " why=\"lines like the last one\"",
                 c->status->name, left_out);
    }

    if (log_limit_rest(&c->set_aside_lines, clock_ms(), &left_out)) {
        log_error("event=entry_set_aside consumer=%s left_out=%" PRIu64 " why=\"lines like the last one\"",
                  c->status->name, left_out);
    }
}


/* Rows that are free again: their entries are own ones, and read anew. */
static void
ask_for_locked(struct consumer *c)
{
    uint64_t free_ids[LOCKED_PRODUCTS_MOST];
    size_t n = locked_products_ask(&c->locked, &c->db, free_ids, clock_ms());

    for (size_t i = 0; i < n; i++) {
        log_info("event=product_unlocked consumer=%s product=%" PRIu64, c->status->name, free_ids[i]);
        set_aside_release(&c->set_aside, free_ids[i]);
    }

    if (n > 0) {
        atomic_store(&c->status->locked_products, (unsigned) c->locked.count);
        start_with_own(c);
    }
}


/* Returns 1 where MySQL answers, or did a moment ago; else 0 with db.error. */
static int
mysql_answers(struct consumer *c)
{
    if (clock_ms() - atomic_load(&c->status->mysql_answered) < CONSUMER_ASKS_MS
        && !atomic_load(&c->status->mysql_failed))
    {
        return 1;
    }

    enum db_result result = db_open(&c->db);

    if (result == DB_OK) {
        result = EFFECT("consumer.ask", db_text(&c->db, "DO 0"));
    }

    if (result == DB_OK) {
        note_answer(c);
    } else {
        atomic_store(&c->status->mysql_failed, 1);
    }

    return result == DB_OK;
}


/* Others may take at once what this consumer holds. */
static enum consumer_state
hand_back(struct consumer *c)
{
    log_warn("event=handed_back consumer=%s why=\"MySQL is not reached from here, but by another worker\"",
             c->status->name);
    atomic_store(&c->status->is_away, 1);
    drop_reply(c);
    batch_clear(&c->batch);
    c->is_marked = 0;
    c->set_aside.count = c->locked.count = 0;
    atomic_store(&c->status->set_aside, 0);
    atomic_store(&c->status->locked_products, 0);

    if (stream_leave(&c->redis, c->status->name) == -1) {
        log_warn("event=leave_failed consumer=%s error=\"%s\"", c->status->name, c->redis.error);
    }

    return CONSUMER_AWAY;
}


/* MySQL failed. The state goes on as `again`, after a pause, or what it holds is handed back. */
static enum consumer_state
mysql_failed(struct consumer *c, enum consumer_state again)
{
    uint64_t passed = clock_ms() - atomic_load(&c->status->mysql_answered);

    let_go(c);

    if (error_is_unreachable(c->db.code)) {
        atomic_store(&c->status->mysql_failed, 1);
    }

    if (again != CONSUMER_AWAY && passed >= HAND_BACK_MS && error_is_unreachable(c->db.code)
        && peers_reach_mysql(c->peers, c->status->name, c->config->worker.dead_after))
    {
        return hand_back(c);
    }

    return wait_after(c, "mysql_failed", CONSUMER_WAITS_FOR_MYSQL, c->db.error, c->db.code, again);
}


static enum consumer_state
on_away(struct consumer *c)
{
    if (!mysql_answers(c)) {
        return mysql_failed(c, CONSUMER_AWAY);
    }

    log_info("event=joins_again consumer=%s", c->status->name);
    atomic_store(&c->status->is_away, 0);
    return CONSUMER_JOIN;
}


static int
heartbeat_is_due(struct consumer *c)
{
    uint64_t passed = clock_ms() - c->last_heartbeat_ms;
    struct silent_consumer one;

    return passed >= TAKE_OVER_MS
           || (passed >= HURRY_MS && peers_silent(c->peers, c->config->worker.dead_after, &one, 1) > 0);
}


/* --- products that are being recovered ---------------------------------------------------------------------------- */


static int
compare_ids(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

    return x < y ? -1 : x > y;
}


static int
is_held(const struct consumer *c, uint64_t product)
{
    return c->held_count > 0 && bsearch(&product, c->held, c->held_count, sizeof(product), compare_ids) != NULL;
}


static void
hold(struct consumer *c, uint64_t product)
{
    if (is_held(c, product)) {
        return;
    }

    if (c->held_count == c->held_capacity) {
        c->held_capacity = c->held_capacity == 0 ? 16 : 2 * c->held_capacity;
        c->held = memory_resize(c->held, c->held_capacity, sizeof(*c->held));
    }

    c->held[c->held_count++] = product;
    qsort(c->held, c->held_count, sizeof(*c->held), compare_ids);
}


/* Products that were recovered are held no longer, and own entries are read again. Returns 0, or -1: Redis failed. */
static int
release(struct consumer *c)
{
    unsigned char recovering[LOSS_LOOK_MOST];
    size_t left = 0, before = c->held_count;

    if (c->held_count == 0 || clock_ms() - c->held_looked_ms < HELD_LOOK_MS) {
        return 0;
    }

    for (size_t i = 0; i < c->held_count; i += LOSS_LOOK_MOST) {
        size_t n = c->held_count - i < LOSS_LOOK_MOST ? c->held_count - i : LOSS_LOOK_MOST;

        if (loss_recovering(&c->redis, c->held + i, n, recovering) == -1) {
            return -1;
        }

        for (size_t k = 0; k < n; k++) {
            if (recovering[k]) {
                c->held[left++] = c->held[i + k];
            } else {
                set_aside_release(&c->set_aside, c->held[i + k]);
            }
        }
    }

    c->held_count = left;
    c->held_looked_ms = clock_ms();

    if (left < before) {
        start_with_own(c);
    }

    return 0;
}


/* The entries in hand again, but for those of the products that were just found to be recovering. */
static enum consumer_state
hold_closed(struct consumer *c)
{
    for (size_t i = 0; i < c->batch.product_count; i++) {
        if (c->tx.closed[i]) {
            hold(c, c->batch.products[i].id);
            log_warn("event=product_held consumer=%s product=%" PRIu64
                     " why=\"it is being recovered: its orders wait\"",
                     c->status->name, c->batch.products[i].id);
        }
    }

    let_go(c);
    c->held_looked_ms = clock_ms();
    c->next = c->first;
    return CONSUMER_FILL;
}


static enum consumer_state
on_read(struct consumer *c)
{
    drop_reply(c);

    if (stop_requested()) {
        return CONSUMER_END;
    }

    if (pause_requested()) {
        return pause_wait(BLOCK_MS) ? CONSUMER_END : CONSUMER_READ;
    }

    if (c->paused) {
        return stop_wait(TAKE_OVER_MS) ? CONSUMER_END : send_heartbeat(c);
    }

    log_rest(c);

    if (!mysql_answers(c)) {
        return mysql_failed(c, CONSUMER_READ);
    }

    if (locked_products_is_due(&c->locked, clock_ms())) {
        ask_for_locked(c);
    }

    /* No batch is in hand here, so what is pending for this consumer was not settled, for whatever reason. */
    if (release(c) == -1) {
        return redis_failed(c);
    }

    if (!c->own_pending && clock_ms() - c->own_ended_ms >= OWN_AGAIN_MS) {
        begin_own(c);
    }

    if (c->own_pending) {
        return read_own(c);
    }

    if (heartbeat_is_due(c)) {
        return send_heartbeat(c);
    }

    return suspect_is_due(c) ? read_suspect(c) : read_new(c);
}


/* Ends an entry that was deleted while pending, or that the gate did not write. Returns 0, or -1 when Redis failed. */
static int
bury(struct consumer *c, const redisReply *entry, const char *why)
{
    const char *id = id_of(entry);

    if (id == NULL || entry->elements != 2) {
        return 0;
    }

    if (entry->element[1]->type == REDIS_REPLY_NIL) {
        stats_add(STATS_LOST, 1);
        log_error("event=entry_lost entry=%s why=\"deleted from the queue before it was settled\"", id);
        return stream_forget(&c->redis, id);
    }

    stats_add(STATS_BURIED, 1);
    log_error("event=entry_buried entry=%s why=\"%s\"", id, why);
    return stream_bury(&c->redis, id, why);
}


/* Larger entries count at once, smaller ones little by little. */
static void
update_entry_size(struct consumer *c)
{
    double size = (double) c->batch.order_count / (double) c->batch.entry_count;

    c->orders_per_entry = size > c->orders_per_entry / 2 ? size : c->orders_per_entry / 2;
}


/*
 * A pass over own entries that finds one which cannot be remembered as set aside stops behind it, and the next pass
 * goes on there: else it would read such entries without an end.
 */
static void
stop_own(struct consumer *c, const char *id)
{
    if (c->is_own && c->own_pending) {
        snprintf(c->own_after, sizeof(c->own_after), "%s", id);
        c->own_stopped = 1;
        end_own(c);
    }
}


/* Moves an entry that is read well away: it may be what kills the worker. Returns 0, or -1 when Redis failed. */
static int
bury_suspect(struct consumer *c, const char *id, unsigned deaths)
{
    stats_add(STATS_BURIED, 1);
    log_error("event=entry_buried entry=%s why=\"%u workers died with it in hand\"", id, deaths);
    return stream_bury(&c->redis, id, "worker_died");
}


/* Takes the last entry out of the batch again where its product's row is locked, or the product is being recovered. */
static void
leave_out_locked(struct consumer *c)
{
    const struct entry *e = &c->batch.entries[c->batch.entry_count - 1];

    if (!locked_products_has(&c->locked, e->product_id) && !is_held(c, e->product_id)) {
        return;
    }

    if (set_aside_add(&c->set_aside, e->id, e->product_id) == -1) {
        stop_own(c, e->id);
    }

    batch_drop_last(&c->batch);
}


/*
 * Adds an entry to the batch; not one that was set aside, or whose product's row is locked. Returns 0, or -1 when Redis
 * failed.
 */
static int
add_entry(struct consumer *c, const redisReply *entry)
{
    const char *id = id_of(entry), *why = NULL;

    if (id != NULL && entry->elements == 2 && entry->element[1]->type != REDIS_REPLY_NIL
        && set_aside_see(&c->set_aside, id))
    {
        return 0;
    }

    unsigned deaths = suspects_deaths(&c->suspects, id);

    if (deaths > 0 && !c->is_suspect) {
        return 0;
    }

    if (deaths >= SUSPECT_BURIED) {
        return bury_suspect(c, id, deaths);
    }

    if (batch_add(&c->batch, entry, &why) == 0) {
        leave_out_locked(c);
        return 0;
    }

    /* Before alone_until, what does not read was buried when these entries were one batch. */
    return c->next < c->alone_until ? 0 : bury(c, entry, why);
}


static int
is_full(const struct consumer *c)
{
    return c->batch.entry_count > 0
           && (c->first < c->alone_until || c->batch.order_count >= c->config->worker.batch_orders);
}


static enum consumer_state
on_fill(struct consumer *c)
{
    batch_clear(&c->batch);
    c->is_marked = 0;
    c->first = c->next;

    while (c->next < c->entries.count && !is_full(c)) {
        /* Joining again reads all that is pending anew, also what stands in this batch already. */
        if (add_entry(c, c->entries.entries[c->next]) == -1) {
            return redis_failed(c);
        }

        c->next++;
    }

    if (c->batch.entry_count == 0) {
        return CONSUMER_READ;
    }

    batch_complete(&c->batch);
    update_entry_size(c);
    return CONSUMER_COMMIT;
}


/* To the rest of the reply. At a stop it stays pending: as this consumer leaves, others take it over. */
static enum consumer_state
go_on(const struct consumer *c)
{
    return c->next < c->entries.count && !stop_requested() ? CONSUMER_FILL : CONSUMER_READ;
}


/* The entry that makes the batch in hand failed alone. */
static enum consumer_state
set_aside(struct consumer *c)
{
    const struct entry *e = &c->batch.entries[0];
    int is_full = set_aside_add(&c->set_aside, e->id, 0) == -1;
    uint64_t left_out;

    let_go(c);
    atomic_store(&c->status->set_aside, (unsigned) set_aside_broken(&c->set_aside));

    if (log_limit_pass(&c->set_aside_lines, clock_ms(), &left_out)) {
        log_error("event=entry_set_aside consumer=%s entry=%s product=%" PRIu64 " orders=%zu left_out=%" PRIu64
                  " why=\"a check failed: it stays pending\"",
                  c->status->name, e->id, e->product_id, c->batch.order_count, left_out);
    }

    if (!is_full || !c->is_own) {
        return go_on(c);
    }

    stop_own(c, e->id);
    return CONSUMER_READ;
}


/* The batch is filled again without the products that others hold locked. */
static enum consumer_state
leave_locked(struct consumer *c)
{
    const struct product_row *rows = c->tx.after;
    uint64_t left_out;

    if (locked_products_add(&c->locked, rows, c->tx.waited_for) == -1) {
        let_go(c);
        return wait_after(c, "mysql_failed", CONSUMER_WAITS_FOR_MYSQL, "too many rows are locked", ERROR_LOCK_WAIT,
                          CONSUMER_COMMIT);
    }

    let_go(c);

    c->locked.ask_ms = clock_ms() + LOCK_WAIT_S * 1000;
    atomic_store(&c->status->locked_products, (unsigned) c->locked.count);

    if (log_limit_pass(&c->locked_lines, clock_ms(), &left_out)) {
        log_warn("event=product_locked consumer=%s product=%" PRIu64 " of_products=%zu left_out=%" PRIu64
                 " why=\"another session holds its row: its orders wait, others go on\"",
                 c->status->name, rows[0].id, c->tx.waited_for, left_out);
    }

    clear_failure(c);
    c->next = c->first;
    return go_on(c);
}


/*
 * A check failed, so nothing more of this batch is written or settled. Its entries run again one by one; one that fails
 * alone is left pending. What was committed of it already is found as a verdict by whoever runs it next.
 */
static enum consumer_state
divide(struct consumer *c)
{
    uint64_t left_out;

    if (c->batch.entry_count == 1) {
        return set_aside(c);
    }

    if (log_limit_pass(&c->divided_lines, clock_ms(), &left_out)) {
        log_error("event=batch_divided consumer=%s entries=%zu left_out=%" PRIu64
                  " why=\"a check failed: they run again one by one\"",
                  c->status->name, c->batch.entry_count, left_out);
    }

    c->alone_until = c->next;
    c->next = c->first;
    return go_on(c);
}


/*
 * A small batch failed with an unlisted error. Whether its orders are at fault or MySQL is, only other orders can show:
 * this reads new ones, and CONSUMER_JOIN then reads all own entries again as one batch.
 */
static enum consumer_state
widen(struct consumer *c)
{
    redisReply *reply = stream_read_new(&c->redis, c->status->name, entries_wanted(c), BLOCK_MS);

    if (reply == NULL) {
        return redis_failed(c);
    }

    freeReplyObject(reply);
    return CONSUMER_JOIN;
}


static enum consumer_state
on_commit(struct consumer *c)
{
    c->tx.epoch = c->epoch;

    switch (order_transaction_run(&c->tx, &c->batch)) {
    case ORDERS_COMMITTED:
        clear_failure(c);
        return CONSUMER_SETTLE;
    case ORDERS_HELD:
        return hold_closed(c);
    case ORDERS_INCONSISTENT:
        return divide(c);
    case ORDERS_LOCKED:
        return leave_locked(c);
    default:
        break;
    }

    enum consumer_state state = mysql_failed(c, CONSUMER_COMMIT);
    int small = c->batch.order_count < c->config->worker.batch_orders;

    return state == CONSUMER_COMMIT && small && order_transaction_is_suspicious(&c->tx) ? widen(c) : state;
}


/* The name of an order's verdict in the metrics. */
static const char *
verdict_word(const struct order *o)
{
    switch (o->verdict) {
    case VERDICT_SOLD:
        return "pending_payment";
    case VERDICT_EXISTS:
        return "repeated";
    case VERDICT_DEAD:
        return "dead_letter";
    case VERDICT_CONFLICT:
        return "idempotency_conflict";
    default:
        return o->reason;
    }
}


static void
count_settled(const struct batch *batch)
{
    stats_batch(batch->order_count);

    for (size_t i = 0; i < batch->order_count; i++) {
        stats_verdict(verdict_word(&batch->orders[i]));
    }
}


/* MySQL may have lost what was committed: over a new session the transaction finds out. */
static enum consumer_state
run_again(struct consumer *c)
{
    if (read_epoch(c) == -1) {
        return redis_failed(c);
    }

    return wait_after(c, "settle_stale", CONSUMER_WAITS_FOR_MYSQL,
                      "MySQL was replaced, or a recovery began, after these entries were read", 0, CONSUMER_COMMIT);
}


static enum consumer_state
on_settle(struct consumer *c)
{
    if (!batch_check_committed(&c->batch)) {
        return divide(c);
    }

    int64_t settled = settle_batch(&c->redis, &c->args, &c->batch, c->epoch);

    if (settled == SETTLE_STALE) {
        return run_again(c);
    }


    if (settled < 0) {
        stats_redis_retry(1);
        start_with_own(c);
        return wait_after(c, "settle_failed", CONSUMER_WAITS_FOR_REDIS, c->redis.error, 0, CONSUMER_SETTLE);
    }

    /*
     * Entries that were not settled here were settled by another consumer, or Redis came back from an older state, in
     * which other entries may be pending for this consumer: read own entries again.
     */
    if ((size_t) settled != c->batch.entry_count) {
        start_with_own(c);
    }

    clear_failure(c);
    count_settled(&c->batch);
    stats_add(STATS_ENTRIES, (uint64_t) settled);
    log_debug("event=settled consumer=%s orders=%zu entries=%zu of_them_here=%" PRId64, c->status->name,
              c->batch.order_count, c->batch.entry_count, settled);

    return go_on(c);
}


static void *
run(void *data)
{
    static enum consumer_state (*const steps[])(struct consumer * c) = {
        [CONSUMER_JOIN] = on_join,     [CONSUMER_READ] = on_read,     [CONSUMER_FILL] = on_fill,
        [CONSUMER_COMMIT] = on_commit, [CONSUMER_SETTLE] = on_settle, [CONSUMER_AWAY] = on_away,
    };
    struct consumer *c = data;

    while (c->state != CONSUMER_END) {
        c->state = steps[c->state](c);
    }

    log_info("event=consumer_ended consumer=%s", c->status->name);
    db_close(&c->db);
    db_thread_end();
    atomic_store(&c->ended, 1);
    return NULL;
}


int
consumer_start(struct consumer *c, const struct config *config, unsigned number, struct consumer_status *status,
               struct peers *peers)
{
    *c = (struct consumer) {
        .config = config,
        .status = status,
        .peers = peers,
        .redis.config = config,
        .db = { .server = &config->db, .lock_wait = LOCK_WAIT_S },
        .state = CONSUMER_JOIN,
        .orders_per_entry = FIRST_GUESS,
        .strays_after = "-",
        .suspect_ms = clock_ms() + GRACE_MS,
    };
    c->tx.db = &c->db;
    c->tx.redis = &c->redis;
    c->tx.on_begun = mark_batch;
    c->tx.data = c;
    c->tx.config = config;
    snprintf(status->name, sizeof(status->name), "%s-%u", config->worker.name, number);
    atomic_init(&status->waits_for, CONSUMER_WAITS_NOT);
    atomic_init(&status->mysql_answered, clock_ms());
    atomic_init(&status->mysql_failed, 1); /* nothing is known: it asks first */
    atomic_init(&status->is_away, 0);
    atomic_init(&status->set_aside, 0);
    atomic_init(&status->locked_products, 0);
    return pthread_create(&c->thread, NULL, run, c);
}


void
consumer_free(struct consumer *c)
{
    drop_reply(c);
    redis_close(&c->redis);
    order_transaction_free(&c->tx);
    suspects_free(&c->suspects);
    buffer_free(&c->in_hand);
    batch_free(&c->batch);
    args_free(&c->args);
    free(c->held);
}
