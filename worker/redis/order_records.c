#include "redis/order_records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failpoint.h"
#include "redis/keys.h"
#include "redis/scan.h"

#define DAY_MS 86400000


static int
compare_days(const void *a, const void *b)
{
    return strcmp(a, b);
}


/* SCAN may give a key twice. */
static void
add_day(struct record_days *days, const char *day)
{
    for (size_t i = 0; i < days->count; i++) {
        if (strcmp(days->day[i], day) == 0) {
            return;
        }
    }

    if (days->count < RECORD_DAYS_MOST) {
        snprintf(days->day[days->count++], sizeof(days->day[0]), "%.*s", CHECKOUT_DAY_LEN, day);
    }
}


static int
add_page(const redisReply *keys, void *data)
{
    for (size_t i = 0; i < keys->elements; i++) {
        add_day(data, keys->element[i]->str + keys->element[i]->len - CHECKOUT_DAY_LEN);
    }

    return 0;
}


int
order_records_read_days(struct redis_connection *conn, struct record_days *days)
{
    struct redis_args pattern = { 0 };

    days->count = 0;
    key_bucket(&pattern, "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]");

    int result = scan_keys(conn, &pattern, add_page, days);

    args_free(&pattern);

    if (result == 0) {
        qsort(days->day, days->count, sizeof(days->day[0]), compare_days);
    }

    return result;
}


redisReply *
order_records_find(struct redis_connection *conn, const struct record_days *days, const char *identifier,
                   const char **day)
{
    redisReply *reply = NULL;

    /* The newest bucket wins, and there is at least one call, so that a failure shows. */
    for (size_t i = days->count; i > 0; i--) {
        struct redis_args args = { 0 };

        *day = days->day[i - 1];
        args_text(&args, "HGET");
        key_bucket(&args, *day);
        args_text(&args, identifier);
        reply = redis_call(conn, &args, 0);
        args_free(&args);

        if (reply == NULL || reply->type == REDIS_REPLY_STRING || i == 1) {
            return reply;
        }

        freeReplyObject(reply);
    }

    return NULL;
}


static void
add_bucket(struct redis_args *args, uint64_t ms)
{
    char day[CHECKOUT_DAY_LEN + 1];

    checkout_day(day, ms);
    day[CHECKOUT_DAY_LEN] = '\0';
    key_bucket(args, day);
}


redisReply *
order_records_find_all(struct redis_connection *conn, const char *const *identifiers, size_t n, uint64_t now_ms)
{
    struct redis_args args = { 0 };

    args_script(&args, &checkout_script_find_orders, 3);
    add_bucket(&args, now_ms);
    add_bucket(&args, now_ms - DAY_MS);
    add_bucket(&args, now_ms + DAY_MS);

    for (size_t i = 0; i < n; i++) {
        args_add(&args, identifiers[i], CHECKOUT_IDENTIFIER_LEN);
    }

    redisReply *reply = EFFECT("records.find_all", redis_script(conn, &checkout_script_find_orders, &args));

    args_free(&args);

    if (reply != NULL && (reply->type != REDIS_REPLY_ARRAY || reply->elements != n)) {
        snprintf(conn->error, sizeof(conn->error), "find_orders gave a reply of another form");
        freeReplyObject(reply);
        return NULL;
    }

    return reply;
}
