/*
 * checkoutctl dlq drop
 *
 * MySQL gets a failed order with the reason "dropped" for each order of the letter that has no row. Once that is
 * committed, one script deletes the letter and returns its units: only the call that deletes it returns them, so the
 * command can be repeated after any failure.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/dead_letters.h"
#include "ctl/json.h"
#include "ctl/report.h"
#include "intake/batch.h"
#include "intake/failed_event.h"
#include "lifecycle/outgoing_event.h"
#include "order/order_sql.h"
#include "redis/keys.h"
#include "redis/loss.h"
#include "redis/push_words.h"
#include "redis/queue_entry.h"
#include "text/buffer.h"
#include "text/number.h"


/* Writes a failed order, unless the order has a row already, and its event for the shop where the row is new. */
static enum db_result
write_tombstone(struct ctl *ctl, const struct order *o)
{
    struct buffer sql = { 0 };

    buffer_text(&sql, ORDER_SQL_INSERT);
    order_sql_add_tombstone(
        &sql,
        &(struct tombstone) {
            .identifier = o->identifier,
            .status = "failed",
            .failure_code = "dropped",
            .user = o->asked.user_id,
            .product = o->asked.product_id,
            .quantity = o->asked.quantity });
    buffer_text(&sql, ORDER_SQL_KEEP);

    if (config_sends_events(&ctl->config)) {
        buffer_text(&sql, ";" OUTGOING_EVENTS_INSERT "SELECT ");
        failed_event_values(&sql, &ctl->config, o, "dropped");
        buffer_text(&sql, " FROM DUAL WHERE ROW_COUNT() = 1");
    }

    enum db_result result = db_run(&ctl->db, &sql);

    buffer_free(&sql);
    return result;
}


/* Reads the order's row into o: the one just written, or the verdict that stood before. */
static enum db_result
read_verdict(struct db *db, struct order *o)
{
    struct buffer sql = { 0 };
    MYSQL_RES *rows;

    buffer_format(&sql,
                  "SELECT status, COALESCE(failure_code, ''), user_id, product_id, quantity"
                  " FROM orders WHERE order_identifier = '%.36s'",
                  o->identifier);

    enum db_result result = db_rows(db, &sql, &rows);

    buffer_free(&sql);

    if (result != DB_OK) {
        return result;
    }

    MYSQL_ROW row = mysql_fetch_row(rows);

    if (row != NULL) {
        int same = number_of_column(row[2]) == o->asked.user_id && number_of_column(row[3]) == o->asked.product_id
                   && number_of_column(row[4]) == o->asked.quantity;

        /* Another order under the same identifier: that one stands, and its record stays as it is. */
        o->verdict = same ? VERDICT_EXISTS : VERDICT_CONFLICT;
        snprintf(o->status, sizeof(o->status), "%s", row[0]);
        snprintf(o->reason, sizeof(o->reason), "%s", row[1]);
    }

    mysql_free_result(rows);
    return row != NULL ? DB_OK : DB_RETRY;
}


/* Locks the product first, as the worker does. row->id 0: the letter names no product. Fills in verdicts and *row. */
static enum db_result
write_failed_orders(struct ctl *ctl, struct batch *b, struct product_row *row)
{
    struct db *db = &ctl->db;
    enum db_result result = db_open(db);

    if (result != DB_OK || (result = db_text(db, "START TRANSACTION")) != DB_OK
        || (result = product_rows_read(db, row, 1, ROW_FOR_UPDATE)) != DB_OK)
    {
        return result;
    }

    for (size_t i = 0; i < b->order_count; i++) {
        if ((result = write_tombstone(ctl, &b->orders[i])) != DB_OK
            || (result = read_verdict(db, &b->orders[i])) != DB_OK)
        {
            return result;
        }
    }

    return db_text(db, "COMMIT");
}


/* Returns 0 where another order stands under the identifier: the record is then that one's. */
static int
has_record(const struct order *o)
{
    return o->verdict != VERDICT_CONFLICT;
}


static void
add_records(struct redis_args *args, const struct batch *b)
{
    char record[CHECKOUT_RECORD_MAX];
    size_t records = 0;

    for (size_t i = 0; i < b->order_count; i++) {
        records += (size_t) has_record(&b->orders[i]);
    }

    args_number(args, records);

    for (size_t i = 0; i < b->order_count; i++) {
        const struct order *o = &b->orders[i];

        if (has_record(o)) {
            args_add(args, o->identifier, CHECKOUT_IDENTIFIER_LEN);
            args_add(args, record, checkout_record_write(record, o->status, o->reason, &o->asked, o->accepted_ms));
        }
    }
}


static void
add_buyers(struct redis_args *args, const struct batch *b)
{
    for (size_t i = 0; i < b->order_count; i++) {
        enum gives_back back = batch_order_gives_back(&b->orders[i]);

        if (back != GIVES_NOTHING_BACK) {
            args_number(args, b->orders[i].asked.user_id);
            args_number(args, b->orders[i].asked.quantity);
            args_add(args, back == GIVES_BACK ? "-" : b->orders[i].identifier,
                     back == GIVES_BACK ? 1 : CHECKOUT_IDENTIFIER_LEN);
        }
    }
}


/*
 * Deletes the letter and returns its units. Returns 1, 0: the letter was gone already, -1: Redis failed, or -2: MySQL
 * was replaced meanwhile.
 */
static int64_t
release(struct ctl *ctl, int64_t epoch, const char *id, const redisReply *letter, const struct batch *b,
        const struct product_row *row)
{
    struct redis_args args = { 0 };
    const char *units = queue_entry_field(letter, "units"), *day = queue_entry_field(letter, "day");
    uint64_t released = 0;

    if (units != NULL) {
        (void) number_parse(&released, units, strlen(units), INT64_MAX);
    }

    args_script(&args, &checkout_script_dead_drop, 6);
    key_dead_letters(&args);
    key_bucket(&args, day != NULL ? day : "");
    key_stock(&args, row->id);
    key_register(&args, row->id);
    key_buyers(&args, row->id);
    key_gate(&args);
    args_text(&args, id);
    args_number(&args, released);
    args_signed(&args, epoch);
    push_words_add(&args, row);
    add_records(&args, b);
    add_buyers(&args, b);

    redisReply *reply = redis_script(&ctl->redis, &checkout_script_dead_drop, &args);

    args_free(&args);

    int64_t dropped = reply == NULL ? -1 : reply_number(reply, 0) < 0 ? -2 : reply_number(reply, 0);

    if (reply != NULL) {
        freeReplyObject(reply);
    }

    return dropped;
}


static int
drop(struct ctl *ctl, const char *id, const redisReply *letter)
{
    const char *product = queue_entry_field(letter, "product"), *why;
    struct batch b = { 0 };
    struct product_row row = { 0 };

    if (product != NULL) {
        (void) number_parse(&row.id, product, strlen(product), INT64_MAX);
    }

    int readable = batch_add(&b, letter, &why) == 0;
    int64_t epoch;
    int code;

    /* What is committed over this session is brought to the gate under this epoch alone (redis/loss.h). */
    if (db_open(&ctl->db) != DB_OK || loss_announce(&ctl->redis, &ctl->db, &epoch) == -1) {
        batch_free(&b);
        return ctl->db.mysql == NULL ? report_db_failed(ctl) : report_redis_failed(ctl);
    }

    enum db_result result = write_failed_orders(ctl, &b, &row);

    if (result != DB_OK) {
        db_rollback(&ctl->db);
        code = report_error("MySQL does not take the failed order, so its units are not given back: %s (error %u)",
                            ctl->db.error, ctl->db.code);
        batch_free(&b);
        return code;
    }

    int64_t dropped = release(ctl, epoch, id, letter, &b, &row);
    size_t orders = b.order_count;

    batch_free(&b);

    if (dropped == -2) {
        return report_error("MySQL was replaced meanwhile; run the same command again to give its units back");
    }

    if (dropped < 0) {
        (void) report_redis_failed(ctl);
        return report_error("MySQL knows that it was dropped; run the same command again to give its units back");
    }

    cJSON *o = cJSON_CreateObject();

    json_text(o, "id", id);
    cJSON_AddBoolToObject(o, "dropped", dropped == 1);
    json_uint(o, "orders", orders);
    cJSON_AddBoolToObject(o, "read_as_a_job", readable);
    return report_result(ctl, o,
                         dropped == 1 ? "dead letter %s dropped, %zu orders, its units are back%s"
                                      : "dead letter %s was gone already, %zu orders%s",
                         id, orders, readable ? "" : "; it did not read as a job, so no order was written down");
}


int
ctl_dlq_drop(struct ctl *ctl, int argc, char **argv)
{
    int code;

    if (argc != 1) {
        return report_error("dlq drop takes the id of one dead letter");
    }

    redisReply *reply = dead_letters_read(ctl, argv[0], &code);

    if (reply == NULL) {
        return code;
    }

    if (ctl->dry_run) {
        cJSON *o = dead_letters_head(reply->element[0]);

        code = report_result(ctl, o, "dead letter %s would be dropped", argv[0]);
    } else if (!ctl->yes) {
        code = report_error("dlq drop ends orders that were accepted; --yes if you mean it (--dry-run shows what)");
    } else {
        code = drop(ctl, argv[0], reply->element[0]);
    }

    freeReplyObject(reply);
    return code;
}
