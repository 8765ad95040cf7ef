#include "redis/record_days.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis/keys.h"


static int
compare_days(const void *a, const void *b)
{
    return strcmp(a, b);
}


/* SCAN may give a key twice. */
static void
add_day(struct days *days, const char *day)
{
    for (size_t i = 0; i < days->count; i++) {
        if (strcmp(days->day[i], day) == 0) {
            return;
        }
    }

    if (days->count < DAYS_MOST) {
        snprintf(days->day[days->count++], sizeof(days->day[0]), "%.*s", CHECKOUT_DAY_LEN, day);
    }
}


static redisReply *
scan_page(struct redis_conn *conn, const char *cursor)
{
    struct redis_args args = { 0 };

    args_text(&args, "SCAN");
    args_text(&args, cursor);
    args_text(&args, "MATCH");
    key_bucket(&args, "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]");
    args_text(&args, "COUNT");
    args_number(&args, 1000);

    redisReply *reply = redis_call(conn, &args, 0);

    args_free(&args);
    return reply;
}


int
days_read(struct redis_conn *conn, struct days *days)
{
    char cursor[32] = "0";

    days->count = 0;

    do {
        redisReply *reply = scan_page(conn, cursor);

        if (reply == NULL) {
            return -1;
        }

        for (size_t i = 0; i < reply->element[1]->elements; i++) {
            const redisReply *key = reply->element[1]->element[i];

            add_day(days, key->str + key->len - CHECKOUT_DAY_LEN);
        }

        snprintf(cursor, sizeof(cursor), "%s", reply->element[0]->str);
        freeReplyObject(reply);
    } while (strcmp(cursor, "0") != 0);

    qsort(days->day, days->count, sizeof(days->day[0]), compare_days);
    return 0;
}


redisReply *
days_find_record(struct redis_conn *conn, const struct days *days, const char *identifier, const char **day)
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
