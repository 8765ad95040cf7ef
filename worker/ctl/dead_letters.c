/*
 * checkoutctl dlq list | show | retry | drop
 *
 * Retry: the letter becomes an entry of the queue again, in one script; its units stay in flight. Drop: MySQL gets a
 * failed order with the reason "dropped" for each order that has no row, and once that is committed the letter goes and
 * its units come back, by the one call that deleted it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "intake/batch.h"
#include "text/buffer.h"
#include "ctl/ctl.h"
#include "intake/failed_event.h"
#include "redis/gate.h"
#include "redis/keys.h"
#include "redis/push_words.h"
#include "redis/queue_entry.h"
#include "redis/queue_view.h"
#include "base/random_hex.h"
#include "text/number.h"

#define LIST_STANDARD 100
#define LIST_MOST     1000000


static cJSON *
letter_head(const redisReply *entry)
{
    static const char *const names[] = { "reason", "product", "units", "count", "entry" };
    cJSON *o = cJSON_CreateObject();

    json_text(o, "id", queue_entry_id(entry));

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        json_digits(o, names[i], queue_entry_field(entry, names[i]));
    }

    return o;
}


struct listing {
    cJSON *letters;
    uint64_t left, all;
};


static int
list_letter(const redisReply *entry, void *data)
{
    struct listing *l = data;

    l->all++;

    if (l->left > 0) {
        l->left--;
        cJSON_AddItemToArray(l->letters, letter_head(entry));
    }

    return 0;
}


int
ctl_dlq_list(struct ctl *ctl, int argc, char **argv)
{
    struct listing l = { .left = LIST_STANDARD };

    if (ctl_take_number(&argc, argv, "--limit", LIST_MOST, &l.left) == -1) {
        return CTL_ERROR;
    }

    if (argc > 0) {
        return ctl_fail("dlq list takes nothing but --limit N");
    }

    cJSON *o = cJSON_CreateObject();

    l.letters = cJSON_CreateArray();

    if (queue_view_walk(&ctl->redis, key_dead_letters, list_letter, &l) == -1) {
        cJSON_Delete(o);
        cJSON_Delete(l.letters);
        return ctl_redis_failed(ctl);
    }

    json_uint(o, "dead_letters", l.all);
    cJSON_AddItemToObject(o, "letters", l.letters);
    return ctl_print(ctl, o);
}


/* "1763…-0": what XRANGE takes as an id, and nothing that it takes as a range. */
static int
is_letter_id(const char *word)
{
    size_t ms = strspn(word, "0123456789");
    size_t sequence = word[ms] == '-' ? strspn(word + ms + 1, "0123456789") : 0;

    return ms > 0 && ms < 20 && sequence > 0 && sequence < 20 && word[ms + 1 + sequence] == '\0';
}


/* The reply that holds the one letter (its element[0]), or NULL with *code and a message. */
static redisReply *
read_letter(struct ctl *ctl, const char *id, int *code)
{
    struct redis_args args = { 0 };

    if (!is_letter_id(id)) {
        *code = ctl_fail("%s is no id of a dead letter, such as 1763700000123-0; see \"dlq list\"", id);
        return NULL;
    }

    args_text(&args, "XRANGE");
    key_dead_letters(&args);
    args_text(&args, id);
    args_text(&args, id);

    redisReply *reply = redis_call(&ctl->redis, &args, 0);

    args_free(&args);

    if (reply == NULL) {
        *code = ctl_redis_failed(ctl);
        return NULL;
    }

    if (reply->elements == 0) {
        freeReplyObject(reply);
        *code = ctl_not_found("there is no dead letter %s", id);
        return NULL;
    }

    return reply;
}


int
ctl_dlq_show(struct ctl *ctl, int argc, char **argv)
{
    int code;

    if (argc != 1) {
        return ctl_fail("dlq show takes the id of one dead letter");
    }

    redisReply *reply = read_letter(ctl, argv[0], &code);

    if (reply == NULL) {
        return code;
    }

    const redisReply *fields = reply->element[0]->element[1];
    struct batch batch = { 0 };
    const char *why = "";
    int readable = batch_add(&batch, reply->element[0], &why) == 0;
    cJSON *o = cJSON_CreateObject();

    json_text(o, "id", argv[0]);

    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        json_digits(o, fields->element[i]->str, fields->element[i + 1]->str);
    }

    cJSON_AddBoolToObject(o, "reads_as_a_job", readable);
    json_text(o, "why_not", readable ? NULL : why);
    batch_free(&batch);
    freeReplyObject(reply);
    return ctl_print(ctl, o);
}


/* Returns orders enqueued, 0 no such letter (any more), or below zero after a message, with *code. */
static int64_t
retry_one(struct ctl *ctl, const char *id, int *code)
{
    struct redis_args args = { 0 };
    char nonce[17];

    random_hex(nonce, 16);
    args_script(&args, &checkout_script_dead_retry, 3);
    key_queue(&args);
    key_dead_letters(&args);
    key_gate(&args);
    args_text(&args, id);
    args_text(&args, nonce);

    redisReply *reply = redis_script(&ctl->redis, &checkout_script_dead_retry, &args);

    args_free(&args);

    if (reply == NULL) {
        *code = ctl_redis_failed(ctl);
        return -1;
    }

    int64_t orders = reply_number(reply, 0);

    freeReplyObject(reply);

    if (orders == -1) {
        *code = ctl_fail("dead letter %s does not read as a job; \"dlq drop\" takes it away", id);
    } else if (orders == -2) {
        *code = ctl_fail("a rebuild is under way; try again when it has ended");
    }

    return orders;
}


struct ids {
    char (*ids)[48];
    size_t count, capacity;
};


static int
note_id(const redisReply *entry, void *data)
{
    struct ids *all = data;

    if (all->count == all->capacity) {
        all->capacity = all->capacity == 0 ? 64 : 2 * all->capacity;
        all->ids = memory_resize(all->ids, all->capacity, sizeof(*all->ids));
    }

    snprintf(all->ids[all->count++], sizeof(*all->ids), "%s", queue_entry_id(entry));
    return 0;
}


/* Those that were there when it began: what dies again meanwhile is not tried for ever. */
static int
retry_all(struct ctl *ctl)
{
    struct ids all = { 0 };
    int code = CTL_OK;
    uint64_t letters = 0, orders = 0;

    if (queue_view_walk(&ctl->redis, key_dead_letters, note_id, &all) == -1) {
        free(all.ids);
        return ctl_redis_failed(ctl);
    }

    for (size_t i = 0; i < all.count && !ctl->dry_run; i++) {
        int64_t enqueued = retry_one(ctl, all.ids[i], &code);

        letters += enqueued > 0;
        orders += enqueued > 0 ? (uint64_t) enqueued : 0;

        if (enqueued == -2) {
            break;
        }
    }

    size_t found = all.count;
    cJSON *o = cJSON_CreateObject();

    free(all.ids);
    json_uint(o, "dead_letters", found);
    json_uint(o, "letters_retried", letters);
    json_uint(o, "orders", orders);
    (void) ctl_say(ctl, o, "%" PRIu64 " of %zu dead letters are back in the queue, with %" PRIu64 " orders",
                   letters, found, orders);
    return code;
}


int
ctl_dlq_retry(struct ctl *ctl, int argc, char **argv)
{
    int code = CTL_OK;

    if (argc != 1) {
        return ctl_fail("dlq retry takes the id of one dead letter, or --all");
    }

    if (strcmp(argv[0], "--all") == 0) {
        return retry_all(ctl);
    }

    redisReply *letter = read_letter(ctl, argv[0], &code);

    if (letter == NULL) {
        return code;
    }

    freeReplyObject(letter);

    int64_t orders = ctl->dry_run ? 0 : retry_one(ctl, argv[0], &code);

    if (orders < 0) {
        return code;
    }

    cJSON *o = cJSON_CreateObject();

    json_uint(o, "letters_retried", orders > 0);
    json_int(o, "orders", orders);
    return ctl_say(ctl, o, ctl->dry_run ? "dead letter %s would go back to the queue" : "dead letter %s is back in the queue",
                   argv[0]);
}


/* --- drop ---------------------------------------------------------------------------------------------------- */

/* One row, unless there is a verdict already; the shop is told of a row that is new. */
static enum db_result
write_tombstone(struct ctl *ctl, const struct order *o)
{
    struct buffer sql = { 0 };

    buffer_format(&sql, "INSERT INTO orders (order_identifier, user_id, status, failure_code, product_id, quantity)"
                  " VALUES ('%.36s', %" PRIu64 ", 'failed', 'dropped', %" PRIu64 ", %" PRIu32 ")"
                  " ON DUPLICATE KEY UPDATE order_identifier = orders.order_identifier",
                  o->identifier, o->asked.user_id, o->asked.product_id, o->asked.quantity);

    if (config_sends_events(&ctl->config)) {
        buffer_text(&sql, ";" FAILED_EVENT_INSERT "SELECT ");
        failed_event_values(&sql, &ctl->config, o, "dropped");
        buffer_text(&sql, " FROM DUAL WHERE ROW_COUNT() = 1");
    }

    enum db_result result = db_run(&ctl->db, &sql);

    buffer_free(&sql);
    return result;
}


/* What the row says now: ours, or the verdict that was there. */
static enum db_result
read_verdict(struct db *db, struct order *o)
{
    struct buffer sql = { 0 };
    MYSQL_RES *rows;

    buffer_format(&sql, "SELECT status, COALESCE(failure_code, ''), user_id, product_id, quantity"
                  " FROM orders WHERE order_identifier = '%.36s'", o->identifier);

    enum db_result result = db_rows(db, &sql, &rows);

    buffer_free(&sql);

    if (result != DB_OK) {
        return result;
    }

    MYSQL_ROW row = mysql_fetch_row(rows);

    if (row != NULL) {
        int same = number_of_column(row[2]) == o->asked.user_id && number_of_column(row[3]) == o->asked.product_id
                   && number_of_column(row[4]) == o->asked.quantity;

        /* Another order under the same identifier: that one stands, and its record is its own. */
        o->verdict = same ? VERDICT_EXISTS : VERDICT_CONFLICT;
        snprintf(o->status, sizeof(o->status), "%s", row[0]);
        snprintf(o->reason, sizeof(o->reason), "%s", row[1]);
    }

    mysql_free_result(rows);
    return row != NULL ? DB_OK : DB_RETRY;
}


/* The product's lock comes first, as in the worker. row->id 0: the letter names no product. */
static enum db_result
bury_in_mysql(struct ctl *ctl, struct batch *b, struct product_row *row)
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


/* Where another order stands under the identifier, the record is that one's. */
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


static int64_t
release(struct ctl *ctl, const char *id, const redisReply *letter, const struct batch *b, const struct product_row *row)
{
    struct redis_args args = { 0 };
    const char *units = queue_entry_field(letter, "units"), *day = queue_entry_field(letter, "day");
    uint64_t released = 0;

    if (units != NULL) {
        (void) number_parse(&released, units, strlen(units), INT64_MAX);
    }

    args_script(&args, &checkout_script_dead_drop, 5);
    key_dead_letters(&args);
    key_bucket(&args, day != NULL ? day : "");
    key_stock(&args, row->id);
    key_register(&args, row->id);
    key_buyers(&args, row->id);
    args_text(&args, id);
    args_number(&args, released);
    push_words_add(&args, row);
    add_records(&args, b);
    add_buyers(&args, b);

    redisReply *reply = redis_script(&ctl->redis, &checkout_script_dead_drop, &args);

    args_free(&args);

    int64_t dropped = reply != NULL ? reply_number(reply, 0) : -1;

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
    enum db_result result = bury_in_mysql(ctl, &b, &row);
    int code;

    if (result != DB_OK) {
        db_rollback(&ctl->db);
        code = ctl_fail("MySQL does not take the failed order, so its units are not given back: %s (error %u)",
                        ctl->db.error, ctl->db.code);
        batch_free(&b);
        return code;
    }

    int64_t dropped = release(ctl, id, letter, &b, &row);
    size_t orders = b.order_count;

    batch_free(&b);

    if (dropped < 0) {
        (void) ctl_redis_failed(ctl);
        return ctl_fail("MySQL knows that it was dropped; run the same command again to give its units back");
    }

    cJSON *o = cJSON_CreateObject();

    json_text(o, "id", id);
    cJSON_AddBoolToObject(o, "dropped", dropped == 1);
    json_uint(o, "orders", orders);
    cJSON_AddBoolToObject(o, "read_as_a_job", readable);
    return ctl_say(ctl, o, dropped == 1 ? "dead letter %s dropped, %zu orders, its units are back%s"
                                        : "dead letter %s was gone already, %zu orders%s",
                   id, orders, readable ? "" : "; it did not read as a job, so no order was written down");
}


int
ctl_dlq_drop(struct ctl *ctl, int argc, char **argv)
{
    int code;

    if (argc != 1) {
        return ctl_fail("dlq drop takes the id of one dead letter");
    }

    redisReply *reply = read_letter(ctl, argv[0], &code);

    if (reply == NULL) {
        return code;
    }

    if (ctl->dry_run) {
        cJSON *o = letter_head(reply->element[0]);

        code = ctl_say(ctl, o, "dead letter %s would be dropped", argv[0]);
    } else if (!ctl->yes) {
        code = ctl_fail("dlq drop ends orders that were accepted; --yes if you mean it (--dry-run shows what)");
    } else {
        code = drop(ctl, argv[0], reply->element[0]);
    }

    freeReplyObject(reply);
    return code;
}
