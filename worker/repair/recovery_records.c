#include "repair/recovery_records.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "failpoint.h"
#include "redis/keys.h"
#include "redis/loss.h"
#include "redis/scan.h"
#include "repair/recovery_orders.h"
#include "text/buffer.h"

#define PAUSE_MOST_MS 1000 /* after a page, at most; else as long as the page took */


/* A pair of HSCAN becomes a line of the page, where it is the record of an order that has its verdict. */
static void
add_record(struct recovery *r, const redisReply *identifier, const redisReply *text)
{
    struct later_record *l = &r->page[r->records];
    struct checkout_record record;

    r->read++;

    if (checkout_identifier_check(identifier->str, (size_t) identifier->len) == -1
        || checkout_record_parse(&record, text->str, (size_t) text->len) == -1 || record.status_len > RECORD_STATUS_MAX
        || record.reason_len > RECORD_REASON_MAX)
    {
        return;
    }

    *l = (struct later_record) { .order = record.order };
    memcpy(l->identifier, identifier->str, CHECKOUT_IDENTIFIER_LEN);
    memcpy(l->status_text, record.status, record.status_len);
    memcpy(l->reason, record.reason, record.reason_len);
    l->gate = order_status_parse(record.status, record.status_len);
    l->product = recovery_find(r, l->order.product_id);

    /* "queued": the queue has it, or will have it. */
    r->records += l->gate != ORDER_UNKNOWN;
}


/* The records were read before; so what is missing in a row now was lost. Takes no lock. */
static enum recovery_result
read_rows(struct recovery *r)
{
    struct buffer sql = { 0 };
    MYSQL_RES *rows;

    buffer_text(&sql, "SELECT order_identifier, status FROM orders WHERE order_identifier IN (");

    for (size_t i = 0; i < r->records; i++) {
        buffer_format(&sql, "%s'%s'", i > 0 ? "," : "", r->page[i].identifier);
    }

    buffer_text(&sql, ")");

    enum db_result result = db_open(&r->db);

    result = result == DB_OK ? EFFECT("recovery.find_rows", db_rows(&r->db, &sql, &rows)) : result;
    buffer_free(&sql);

    if (result != DB_OK) {
        return RECOVERY_FAILED;
    }

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        for (size_t i = 0; i < r->records; i++) {
            if (strcmp(row[0], r->page[i].identifier) == 0) {
                r->page[i].row = order_status_parse(row[1], strlen(row[1]));
                r->page[i].seen = 1;
            }
        }
    }

    mysql_free_result(rows);
    return RECOVERY_DONE;
}


/* Would it move units of the product's stock to make that record good? */
static int
moves_units(const struct later_record *l)
{
    int is_late = l->row == ORDER_FAILED || l->row == ORDER_FAILED_PAYMENT || l->row == ORDER_CANCELLED;

    if (!l->seen) {
        return l->gate == ORDER_PENDING_PAYMENT || l->gate == ORDER_PAID || l->gate == ORDER_COMPLETED;
    }

    return is_late || l->gate == ORDER_CANCELLED || l->gate == ORDER_FAILED_PAYMENT || l->gate == ORDER_REFUNDED;
}


static int
is_later(const struct later_record *l)
{
    return !l->seen || order_status_rank(l->gate) > order_status_rank(l->row);
}


/*
 * Keeps of the page what is later than its row. A product whose units would move is recovered under `recovering` alone:
 * where it was not found by its version (others have written over the loss), it is closed now, and the next pass has
 * it. One that is not loaded sells nothing, and cannot be closed: its records are made good at once.
 */
static enum recovery_result
keep_later(struct recovery *r)
{
    size_t kept = 0;

    for (size_t i = 0; i < r->records; i++) {
        struct later_record *l = &r->page[i];

        if (!is_later(l)) {
            continue;
        }

        int waits = 0;

        if (l->product == NULL && moves_units(l)
            && loss_by_records(&r->db, &r->redis, l->order.product_id, &waits) != DB_OK)
        {
            return RECOVERY_FAILED;
        }

        if (!waits) {
            r->page[kept++] = *l;
        }
    }

    r->records = kept;
    return RECOVERY_DONE;
}


static enum recovery_result
compare_page(struct recovery *r)
{
    enum recovery_result result = r->records > 0 ? read_rows(r) : RECOVERY_DONE;

    if (result == RECOVERY_DONE) {
        result = keep_later(r);
    }

    if (result == RECOVERY_DONE) {
        result = recovery_apply(r);
    }

    r->records = 0;
    return result;
}


static enum recovery_result
hold_lease(struct recovery *r)
{
    int held = lease_hold(&r->lease, &r->redis);

    return held == 1 ? RECOVERY_DONE : held == 0 ? RECOVERY_LEFT : RECOVERY_FAILED;
}


/* One page of HSCAN, which may hold more pairs than were asked for. Returns enum recovery_result. */
static int
visit(const redisReply *pairs, void *data)
{
    struct recovery *r = data;
    uint64_t begun = clock_ms();
    enum recovery_result result = RECOVERY_DONE;

    for (size_t i = 0; i + 1 < pairs->elements && result == RECOVERY_DONE; i += 2) {
        add_record(r, pairs->element[i], pairs->element[i + 1]);

        if (r->records == RECOVERY_PAGE) {
            result = compare_page(r);
        }
    }

    if (result == RECOVERY_DONE) {
        result = compare_page(r);
    }

    if (result == RECOVERY_DONE) {
        result = hold_lease(r);
    }

    uint64_t took = clock_ms() - begun;

    if (result == RECOVERY_DONE && stop_wait(took < PAUSE_MOST_MS ? (unsigned) took : PAUSE_MOST_MS)) {
        result = RECOVERY_LEFT;
    }

    return (int) result;
}


enum recovery_result
recovery_compare(struct recovery *r)
{
    struct record_days days;

    if (order_records_read_days(&r->redis, &days) == -1) {
        return RECOVERY_FAILED;
    }

    int result = RECOVERY_DONE;

    for (size_t i = 0; i < days.count && result == RECOVERY_DONE; i++) {
        struct redis_args key = { 0 };

        key_bucket(&key, days.day[i]);
        result = scan_fields(&r->redis, &key, RECOVERY_PAGE, visit, r);
        args_free(&key);
    }

    return result == -1 ? RECOVERY_FAILED : (enum recovery_result) result;
}
