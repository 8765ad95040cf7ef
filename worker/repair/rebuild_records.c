/*
 * A step of the rebuild: the gate's records compared with the rows of MySQL.
 *
 *   record            row        then
 *   live, in a queue  -          none: the worker will decide
 *   queued            missing    lost: enqueued again (queue trimmed or lost)
 *   live, decided     missing    MySQL lost its last commits: left to repair/recovery.h, where the product is loaded;
 *                                else enqueued again
 *   failed, ended     missing    the row written again as it was, without items: that verdict was given
 *   paid, later       earlier    the payment is kept again (rebuild_payments.c)
 *   cancelled,        pending,   MySQL lost that change: the record stays, and a comparison is asked for, which makes
 *   completed, ...    paid       the row good (repair/recovery.h)
 *   other status      there      the record set to the row's status (queued, or a change that did not reach the gate);
 *                                not where it says paid and the payment is kept: it is right soon, and protects the
 *                                order from its time to pay until then
 *
 * All but the first is done at once, while the gate is open. It is right beside a sale, because
 *   - a record is written after the commit that it reports, and it is read before the row: what the row lacks, MySQL
 *     lost. What the record lacks is on its way or was lost; it is written only where the record still is what was
 *     read, and the units of the buyer move in the same step (requeue.lua);
 *   - an order is lost where its record was read first, then the queue and the dead letters, then the rows, and it was
 *     in none of them: record and entry were written in one step, an entry leaves the queue only after its row was
 *     committed, and it comes into the queue only once. The view of the queue is read on behind its end, so it holds
 *     every entry that stood there at any time since the rebuild began, but those that came and went in between, which
 *     have their rows. An order that somebody else (a recovery) enqueues at the same time is twice in the queue, and
 *     has one verdict all the same.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random_hex.h"
#include "failpoint.h"
#include "lifecycle/rules.h"
#include "order/order.h"
#include "order/order_sql.h"
#include "redis/keys.h"
#include "redis/loss.h"
#include "redis/order_records.h"
#include "redis/scan.h"
#include "repair/rebuild_payments.h"
#include "repair/rebuild_records.h"
#include "text/buffer.h"

#define PAGE 500 /* records compared at once; also the most orders of one entry */

struct compared {
    char identifier[CHECKOUT_IDENTIFIER_LEN + 1];
    char text[CHECKOUT_RECORD_MAX + 1]; /* the record as it was read */
    struct checkout_order order;
    uint64_t accepted_ms;
    char status[RECORD_STATUS_MAX + 1],
        reason[RECORD_REASON_MAX + 1]; /* of the row where there is one, else of the record */
    enum order_status gate, mysql;     /* status in the record, and in the row */
    int has_row;
    int is_left; /* to the recovery of its product */
    int differs; /* the record has another status than the row */
};

struct page {
    size_t day; /* of r->days */
    struct compared records[PAGE];
    size_t count;
    struct compared to_do[PAGE]; /* of them, what Redis has to change */
    int is_compared;             /* 1: records of it are later than their rows, so a comparison is to be asked for */
    struct identifier_table by_identifier;
};


static int
is_ended(const struct compared *l)
{
    return l->gate != ORDER_UNKNOWN && !order_is_live(l->gate);
}


static int
read_record(struct compared *l)
{
    struct checkout_record record;

    if (checkout_record_parse(&record, l->text, strlen(l->text)) == -1 || record.status_len > RECORD_STATUS_MAX
        || record.reason_len > RECORD_REASON_MAX)
    {
        return -1;
    }

    l->order = record.order;
    l->accepted_ms = record.accepted_ms;
    memcpy(l->status, record.status, record.status_len);
    memcpy(l->reason, record.reason, record.reason_len);
    l->gate = order_status_parse(record.status, record.status_len);
    return 0;
}


/* An identifier and its record become a line of the page, unless its order waits or it is no record. */
static void
add_record(struct rebuild *r, struct page *p, const redisReply *identifier, const redisReply *text)
{
    struct compared *l = &p->records[p->count];

    if ((size_t) text->len > CHECKOUT_RECORD_MAX
        || checkout_identifier_check(identifier->str, (size_t) identifier->len) == -1)
    {
        r->unreadable++;
        return;
    }

    *l = (struct compared) { 0 };
    memcpy(l->identifier, identifier->str, CHECKOUT_IDENTIFIER_LEN);
    memcpy(l->text, text->str, (size_t) text->len);

    if (read_record(l) == -1) {
        r->unreadable++;
    } else if (queue_view_find(&r->waiting, l->identifier) == NULL) {
        p->count++;
    }
}


static enum rebuild_result
find_rows(struct rebuild *r, struct page *p)
{
    struct buffer sql = { 0 };
    MYSQL_RES *rows;

    identifier_table_prepare(&p->by_identifier, p->count);
    buffer_text(&sql, "SELECT order_identifier, status, COALESCE(failure_code, '') FROM orders"
                      " WHERE order_identifier IN (");

    for (size_t i = 0; i < p->count; i++) {
        (void) identifier_table_add(&p->by_identifier, p->records[i].identifier, i);
        buffer_format(&sql, "%s'%s'", i > 0 ? "," : "", p->records[i].identifier);
    }

    buffer_text(&sql, ")");

    enum db_result result = EFFECT("rebuild.find_rows", db_rows(r->db, &sql, &rows));

    buffer_free(&sql);

    if (result != DB_OK) {
        return REBUILD_DB_FAILED;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        size_t i = identifier_table_find(&p->by_identifier, row[0]);

        if (i != IDENTIFIER_TABLE_NONE) {
            p->records[i].has_row = 1;
            p->records[i].mysql = order_status_parse(row[1], strlen(row[1]));
            p->records[i].differs = strcmp(p->records[i].status, row[1]) != 0;
            snprintf(p->records[i].status, sizeof(p->records[i].status), "%s", row[1]);
            snprintf(p->records[i].reason, sizeof(p->records[i].reason), "%s", row[2]);
        }
    }

    mysql_free_result(rows);
    return REBUILD_DONE;
}


/* Status and reason come from a record, which holds no spaces; they are quoted because anybody may write there. */
static enum rebuild_result
write_tombstone(struct rebuild *r, const struct compared *l)
{
    struct buffer sql = { 0 };

    r->tombstones++;

    if (r->dry_run) {
        return REBUILD_DONE;
    }

    buffer_text(&sql, ORDER_SQL_INSERT);
    order_sql_add_tombstone(
        &sql,
        &(struct tombstone) {
            .identifier = l->identifier,
            .status = l->status,
            .failure_code = l->reason,
            .user = l->order.user_id,
            .product = l->order.product_id,
            .quantity = l->order.quantity });
    buffer_text(&sql, ORDER_SQL_KEEP);

    enum db_result result = EFFECT("rebuild.tombstone", db_run(r->db, &sql));

    buffer_free(&sql);

    /* One row that MySQL does not take must not keep the gate closed. */
    if (result == DB_POISON) {
        r->tombstones--;
        r->refused++;
        return REBUILD_DONE;
    }

    return result == DB_OK ? REBUILD_DONE : REBUILD_DB_FAILED;
}


/* Does the record show a payment, or a refund, that the row lacks? */
static int
is_paid_later(const struct compared *l)
{
    int came = order_status_rank(l->gate) >= order_status_rank(ORDER_PAID)
               && order_status_rank(l->mysql) < order_status_rank(ORDER_PAID);
    int went_back = l->gate == ORDER_REFUNDED && l->mysql != ORDER_REFUNDED;

    /* The missing row of an order that ended is written again, as its record has it. */
    return (came || went_back) && (l->has_row || !is_ended(l));
}


static enum rebuild_result
keep_payment(struct rebuild *r, const struct compared *l)
{
    struct rebuild_payment p = {
        .product = l->order.product_id, .quantity = l->order.quantity, .gate = l->gate, .row = l->mysql
    };

    memcpy(p.identifier, l->identifier, sizeof(p.identifier));
    return rebuild_payment(r, &p);
}


static int
is_lost(const struct compared *l)
{
    return !l->has_row && !is_ended(l) && !l->is_left;
}


/* A change other than a payment that the record shows and the row lacks: MySQL lost it. */
static int
is_changed_later(const struct compared *l)
{
    return l->has_row && order_status_rank(l->gate) > order_status_rank(l->mysql) && !is_paid_later(l);
}


static int
is_to_refresh(const struct compared *l)
{
    return l->has_row && l->differs && !(is_paid_later(l) && order_is_live(l->mysql));
}


static int
compare_changes(const void *a, const void *b)
{
    const struct compared *x = a, *y = b;
    uint64_t p = x->order.product_id, q = y->order.product_id;

    return p != q ? (p < q ? -1 : 1) : (x->accepted_ms > y->accepted_ms) - (x->accepted_ms < y->accepted_ms);
}


static void
add_order(struct redis_args *args, const struct compared *l)
{
    char record[CHECKOUT_RECORD_MAX];
    size_t len = checkout_record_write(record, l->has_row ? l->status : "queued", l->has_row ? l->reason : "",
                                       &l->order, l->accepted_ms);

    args_text(args, l->identifier);
    args_text(args, l->text);
    args_add(args, record, len);
    args_number(args, l->order.quantity);
}


/* One past the last of the group that begins at `first`: the orders of one product. */
static size_t
group_end(const struct compared *orders, size_t n, size_t first)
{
    size_t end = first + 1;

    while (end < n && orders[end].order.product_id == orders[first].order.product_id) {
        end++;
    }

    return end;
}


static void
add_groups(struct redis_args *args, const struct compared *orders, size_t n, int enqueue)
{
    char nonce[17];

    for (size_t first = 0, end; first < n; first = end) {
        end = group_end(orders, n, first);
        random_hex(nonce, 16);
        args_number(args, orders[first].order.product_id);
        args_text(args, nonce);
        args_text(args, enqueue ? "1" : "0");
        args_number(args, end - first);

        for (size_t i = first; i < end; i++) {
            add_order(args, &orders[i]);
        }
    }
}


static void
add_keys(struct redis_args *args, const struct compared *orders, size_t n)
{
    for (size_t first = 0; first < n; first = group_end(orders, n, first)) {
        key_stock(args, orders[first].order.product_id);
        key_register(args, orders[first].order.product_id);
        key_buyers(args, orders[first].order.product_id);
    }
}


/* orders[0 .. n): of one bucket, all to enqueue or all to refresh; sorted here, so that each product is one group. */
static enum rebuild_result
requeue(struct rebuild *r, const char *day, struct compared *orders, size_t n, int enqueue)
{
    struct redis_args args = { 0 };
    unsigned groups = 0;
    int64_t answer;

    qsort(orders, n, sizeof(*orders), compare_changes);

    for (size_t first = 0; first < n; first = group_end(orders, n, first)) {
        groups++;
    }

    args_script(&args, &checkout_script_requeue, 3 + 3 * groups);
    key_queue(&args);
    key_gate(&args);
    key_bucket(&args, day);
    add_keys(&args, orders, n);
    args_text(&args, r->token);
    args_text(&args, day);
    add_groups(&args, orders, n, enqueue);

    redisReply *reply = EFFECT("rebuild.requeue", redis_script(r->redis, &checkout_script_requeue, &args));

    args_free(&args);

    if (reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
        int64_t enqueued = reply_number(reply->element[0], 0);

        r->enqueued += (uint64_t) enqueued;
        r->refreshed += (uint64_t) (reply_number(reply->element[1], 0) - enqueued);
        freeReplyObject(reply);
        return REBUILD_DONE;
    }

    return rebuild_context_answer(r, reply, &answer);
}


/* An order that has its verdict in the record and no row: MySQL lost it. What it took of the stock is not in flight. */
static enum rebuild_result
leave_to_recovery(struct rebuild *r, struct compared *l)
{
    if (l->has_row || l->gate == ORDER_UNKNOWN || is_ended(l) || r->dry_run) {
        return REBUILD_DONE;
    }

    if (loss_by_records(r->db, r->redis, l->order.product_id, &l->is_left) != DB_OK) {
        return r->db->code == 0 ? REBUILD_REDIS_FAILED : REBUILD_DB_FAILED;
    }

    r->left += (uint64_t) l->is_left;
    return REBUILD_DONE;
}


/* day: an index of r->days. */
static void
add_lost(struct rebuild *r, const struct compared *l, size_t day)
{
    if (r->lost_count == r->lost_capacity) {
        r->lost_capacity = r->lost_capacity == 0 ? 256 : 2 * r->lost_capacity;
        r->lost = memory_resize(r->lost, r->lost_capacity, sizeof(*r->lost));
    }

    struct rebuild_lost *lost = &r->lost[r->lost_count++];

    *lost = (struct rebuild_lost) { .product = l->order.product_id, .day = (unsigned char) day };
    memcpy(lost->identifier, l->identifier, sizeof(lost->identifier));
}


/* What can be said of one record without looking at the queue again is done. */
static enum rebuild_result
compare_record(struct rebuild *r, struct page *p, struct compared *l, size_t *to_refresh)
{
    enum rebuild_result result = leave_to_recovery(r, l);

    if (result == REBUILD_DONE && !l->is_left && is_paid_later(l)) {
        result = keep_payment(r, l);
    }

    if (result != REBUILD_DONE || l->is_left) {
        return result;
    }

    if (is_lost(l)) {
        add_lost(r, l, p->day);
    } else if (!l->has_row) {
        return write_tombstone(r, l);
    } else if (is_changed_later(l)) {
        r->left++;
        p->is_compared = 1;
    } else if (is_to_refresh(l)) {
        r->refreshed += (uint64_t) r->dry_run;
        p->to_do[(*to_refresh)++] = *l;
    }

    return REBUILD_DONE;
}


static enum rebuild_result
compare_records(struct rebuild *r, struct page *p)
{
    enum rebuild_result result = p->count > 0 ? find_rows(r, p) : REBUILD_DONE;
    size_t n = 0;

    p->is_compared = 0;

    for (size_t i = 0; i < p->count && result == REBUILD_DONE; i++) {
        /* HSCAN may give a pair twice. */
        if (identifier_table_find(&p->by_identifier, p->records[i].identifier) == i) {
            result = compare_record(r, p, &p->records[i], &n);
        }
    }

    p->count = 0;

    if (result == REBUILD_DONE && p->is_compared && !r->dry_run && loss_ask_for_comparison(r->redis) == -1) {
        return REBUILD_REDIS_FAILED;
    }

    if (result != REBUILD_DONE || n == 0 || r->dry_run) {
        return result;
    }

    return requeue(r, r->days.day[p->day], p->to_do, n, 0);
}


struct bucket_scan {
    struct rebuild *rebuild;
    struct page *page;
};


/* Compares one page of HSCAN, which may hold more pairs than were asked for. Returns enum rebuild_result. */
static int
compare_page(const redisReply *pairs, void *data)
{
    struct bucket_scan *b = data;
    enum rebuild_result result = REBUILD_DONE;

    for (size_t i = 0; i + 1 < pairs->elements && result == REBUILD_DONE; i += 2) {
        b->rebuild->records++;
        add_record(b->rebuild, b->page, pairs->element[i], pairs->element[i + 1]);

        if (b->page->count == PAGE) {
            result = compare_records(b->rebuild, b->page);
        }
    }

    return (int) (result == REBUILD_DONE ? compare_records(b->rebuild, b->page) : result);
}


static enum rebuild_result
compare_bucket(struct rebuild *r, struct page *p)
{
    struct bucket_scan bucket = { r, p };
    struct redis_args key = { 0 };

    key_bucket(&key, r->days.day[p->day]);

    int result = scan_fields(r->redis, &key, PAGE, compare_page, &bucket);

    args_free(&key);
    return result == -1 ? REBUILD_REDIS_FAILED : (enum rebuild_result) result;
}


enum rebuild_result
rebuild_records_scan(struct rebuild *r)
{
    enum rebuild_result result = order_records_read_days(r->redis, &r->days) == -1
                                     ? REBUILD_REDIS_FAILED
                                     : REBUILD_DONE;
    struct page *p = memory_resize(NULL, 1, sizeof(*p));

    *p = (struct page) { 0 };

    for (; p->day < r->days.count && result == REBUILD_DONE; p->day++) {
        result = compare_bucket(r, p);
    }

    identifier_table_free(&p->by_identifier);
    free(p);
    return result;
}


static int
compare_lost(const void *a, const void *b)
{
    const struct rebuild_lost *x = a, *y = b;

    if (x->day != y->day) {
        return x->day - y->day;
    }

    return x->product != y->product ? (x->product < y->product ? -1 : 1) : strcmp(x->identifier, y->identifier);
}


/* Sorted, each once: HSCAN may have given a record in two pages. */
static void
sort_lost(struct rebuild *r)
{
    size_t n = 0;

    if (r->lost_count > 0) {
        qsort(r->lost, r->lost_count, sizeof(*r->lost), compare_lost);
    }

    for (size_t i = 0; i < r->lost_count; i++) {
        if (n == 0 || compare_lost(&r->lost[n - 1], &r->lost[i]) != 0) {
            r->lost[n++] = r->lost[i];
        }
    }

    r->lost_count = n;
}


/* The records of lost[0 .. n), of one bucket, as they are now. Those that changed their minds are not in the page. */
static enum rebuild_result
read_again(struct rebuild *r, struct page *p, const struct rebuild_lost *lost, size_t n)
{
    struct redis_args args = { 0 };

    args_text(&args, "HMGET");
    key_bucket(&args, r->days.day[lost[0].day]);

    for (size_t i = 0; i < n; i++) {
        args_text(&args, lost[i].identifier);
    }

    redisReply *reply = EFFECT("rebuild.read_again", redis_call(r->redis, &args, 0));

    args_free(&args);

    if (reply == NULL) {
        return REBUILD_REDIS_FAILED;
    }

    p->count = 0;
    p->day = lost[0].day;

    for (size_t i = 0; i < n && i < reply->elements; i++) {
        redisReply identifier = { .str = (char *) lost[i].identifier, .len = CHECKOUT_IDENTIFIER_LEN };

        if (reply->element[i]->type == REDIS_REPLY_STRING) {
            add_record(r, p, &identifier, reply->element[i]);
        }
    }

    freeReplyObject(reply);
    return REBUILD_DONE;
}


/* Up to PAGE lost orders of one bucket, looked at again. Keeps in *kept those that are lost still. */
static enum rebuild_result
look_at_page(struct rebuild *r, struct page *p, const struct rebuild_lost *lost, size_t n, int enqueue, size_t *kept)
{
    enum rebuild_result result = read_again(r, p, lost, n);
    size_t to_do = 0, day = lost[0].day;

    if (result == REBUILD_DONE && p->count > 0) {
        result = find_rows(r, p);
    }

    for (size_t i = 0; i < p->count && result == REBUILD_DONE; i++) {
        if (is_lost(&p->records[i])) {
            p->to_do[to_do++] = p->records[i];
        }
    }

    if (result == REBUILD_DONE && to_do > 0 && enqueue) {
        return requeue(r, r->days.day[day], p->to_do, to_do, 1);
    }

    r->lost_count = *kept;

    for (size_t i = 0; i < to_do && result == REBUILD_DONE; i++) {
        add_lost(r, &p->to_do[i], day);
    }

    *kept = r->lost_count;
    return result;
}


/* One past the last of a page that begins at `first`. */
static size_t
page_end(const struct rebuild *r, size_t count, size_t first)
{
    size_t end = first;

    while (end < count && end - first < PAGE && r->lost[end].day == r->lost[first].day) {
        end++;
    }

    return end;
}


static enum rebuild_result
look_again(struct rebuild *r, int enqueue)
{
    size_t count = r->lost_count, kept = 0;
    enum rebuild_result result = REBUILD_DONE;
    struct page *p = memory_resize(NULL, 1, sizeof(*p));

    *p = (struct page) { 0 };

    for (size_t first = 0, end; first < count && result == REBUILD_DONE; first = end) {
        end = page_end(r, count, first);
        result = look_at_page(r, p, r->lost + first, end - first, enqueue, &kept);
    }

    r->lost_count = enqueue || result != REBUILD_DONE ? r->lost_count : kept;
    identifier_table_free(&p->by_identifier);
    free(p);
    return result;
}


enum rebuild_result
rebuild_records_look(struct rebuild *r)
{
    sort_lost(r);

    if (r->lost_count == 0) {
        return REBUILD_DONE;
    }

    if (EFFECT("rebuild.read_queue_on", queue_view_read_on(r->redis, &r->waiting)) == -1) {
        return REBUILD_REDIS_FAILED;
    }

    return look_again(r, 0);
}


enum rebuild_result
rebuild_records_requeue(struct rebuild *r)
{
    if (EFFECT("rebuild.read_queue_on", queue_view_read_on(r->redis, &r->waiting)) == -1) {
        return REBUILD_REDIS_FAILED;
    }

    return look_again(r, 1);
}
