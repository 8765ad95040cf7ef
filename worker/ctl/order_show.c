/*
 * checkoutctl order show: everything that Redis and MySQL know of one order, in the order in which it happened.
 */
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/json.h"
#include "ctl/report.h"
#include "redis/keys.h"
#include "redis/order_records.h"
#include "redis/queue_entry.h"
#include "redis/queue_view.h"
#include "text/buffer.h"


struct search {
    const char *identifier;
    cJSON *found; /* an array */
};


static int
note_entry(const redisReply *entry, void *data)
{
    struct search *s = data;
    const char *orders = queue_entry_field(entry, "orders");

    if (orders == NULL || strstr(orders, s->identifier) == NULL) {
        return 0;
    }

    static const char *const names[] = { "product", "units", "count", "day", "reason" };
    cJSON *one = cJSON_CreateObject();

    json_text(one, "id", queue_entry_id(entry));

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (queue_entry_field(entry, names[i]) != NULL) {
            json_digits(one, names[i], queue_entry_field(entry, names[i]));
        }
    }

    cJSON_AddItemToArray(s->found, one);
    return 0;
}


/* Adds to an entry's object which consumer holds it, and since when. Returns 0, or -1 when Redis failed. */
static int
add_pending(struct ctl *ctl, cJSON *entry)
{
    struct redis_args args = { 0 };
    const char *id = cJSON_GetObjectItem(entry, "id")->valuestring;

    args_text(&args, "XPENDING");
    key_queue(&args);
    args_text(&args, CONSUMER_GROUP);
    args_text(&args, id);
    args_text(&args, id);
    args_text(&args, "1");

    redisReply *reply = redis_call(&ctl->redis, &args, 0);

    args_free(&args);

    /* NOGROUP: nobody has read it. */
    if (reply == NULL) {
        return strncmp(ctl->redis.error, "NOGROUP", 7) == 0 ? 0 : -1;
    }

    if (reply->elements == 1 && reply->element[0]->elements == 4) {
        json_text(entry, "consumer", reply->element[0]->element[1]->str);
        json_int(entry, "idle_ms", reply_number(reply->element[0]->element[2], 0));
        json_int(entry, "deliveries", reply_number(reply->element[0]->element[3], 0));
    }

    freeReplyObject(reply);
    return 0;
}


static int
add_record(struct ctl *ctl, cJSON *o, const char *identifier)
{
    struct record_days days;
    const char *day = NULL;

    if (order_records_read_days(&ctl->redis, &days) == -1) {
        return -1;
    }

    redisReply *reply = days.count > 0 ? order_records_find(&ctl->redis, &days, identifier, &day) : NULL;

    if (days.count > 0 && reply == NULL) {
        return -1;
    }

    int found = reply != NULL && reply->type == REDIS_REPLY_STRING;

    json_text(o, "record", found ? reply->str : NULL);
    json_text(o, "record_day", found ? day : NULL);

    if (reply != NULL) {
        freeReplyObject(reply);
    }

    return 0;
}


static int
add_waiting(struct ctl *ctl, cJSON *o, const char *identifier)
{
    struct search queue = { identifier, cJSON_AddArrayToObject(o, "queue") };
    struct search dead = { identifier, cJSON_AddArrayToObject(o, "dead_letters") };

    if (queue_view_walk(&ctl->redis, key_queue, note_entry, &queue) == -1
        || queue_view_walk(&ctl->redis, key_dead_letters, note_entry, &dead) == -1)
    {
        return -1;
    }

    for (cJSON *entry = queue.found->child; entry != NULL; entry = entry->next) {
        if (add_pending(ctl, entry) == -1) {
            return -1;
        }
    }

    return 0;
}


/* Adds the rows of a statement; %s in it stands for the identifier. Returns 0, or -1 when MySQL failed. */
static int
add_rows(struct ctl *ctl, cJSON *o, const char *as, const char *statement, const char *identifier)
{
    struct buffer sql = { 0 };
    MYSQL_RES *rows;

    buffer_format(&sql, statement, identifier);

    enum db_result result = db_rows(&ctl->db, &sql, &rows);

    buffer_free(&sql);

    if (result != DB_OK) {
        return -1;
    }

    json_rows(o, as, rows, JSON_NUMBERS_ALL);
    mysql_free_result(rows);
    return 0;
}


static int
add_mysql(struct ctl *ctl, cJSON *o, const char *identifier)
{
    if (db_open(&ctl->db) != DB_OK
        || add_rows(ctl, o, "orders",
                    "SELECT status, failure_code, user_id, product_id, quantity, total_price,"
                    " pay_by, payment_id, paid_at, created_at, updated_at, archived_at FROM orders"
                    " WHERE order_identifier = '%s'",
                    identifier)
               == -1
        || add_rows(ctl, o, "items",
                    "SELECT product_id, quantity, unit_price FROM order_items"
                    " WHERE order_identifier = '%s'",
                    identifier)
               == -1
        || add_rows(ctl, o, "movements",
                    "SELECT id, product_id, kind, units, stock_after, reason, actor, created_at"
                    " FROM stock_movements WHERE order_identifier = '%s' ORDER BY id",
                    identifier)
               == -1
        || add_rows(ctl, o, "payment_events",
                    "SELECT id, provider, type, received_at, processed_at, outcome,"
                    " tries, next_try_at FROM payment_events WHERE order_identifier = '%s' ORDER BY received_at"
                    " LIMIT 100",
                    identifier)
               == -1)
    {
        return -1;
    }

    return 0;
}


static int
is_known(const cJSON *o)
{
    return cJSON_IsString(cJSON_GetObjectItem(o, "record")) || cJSON_GetArraySize(cJSON_GetObjectItem(o, "queue")) > 0
           || cJSON_GetArraySize(cJSON_GetObjectItem(o, "dead_letters")) > 0
           || cJSON_GetArraySize(cJSON_GetObjectItem(o, "orders")) > 0
           || cJSON_GetArraySize(cJSON_GetObjectItem(o, "payment_events")) > 0;
}


int
ctl_order_show(struct ctl *ctl, int argc, char **argv)
{
    if (argc != 1 || checkout_identifier_check(argv[0], strlen(argv[0])) == -1) {
        return report_error("order show takes one order identifier, such as 019aa411-2f3b-7000-9c5e-0242ac120002");
    }

    cJSON *o = cJSON_CreateObject();

    json_text(o, "order_identifier", argv[0]);

    if (add_record(ctl, o, argv[0]) == -1 || add_waiting(ctl, o, argv[0]) == -1) {
        cJSON_Delete(o);
        return report_redis_failed(ctl);
    }

    if (add_mysql(ctl, o, argv[0]) == -1) {
        cJSON_Delete(o);
        return report_db_failed(ctl);
    }

    int code = is_known(o) ? CTL_OK : CTL_NOT_FOUND;

    (void) report_object(ctl, o);
    return code;
}
