#include "redis/scan.h"

#include <stdio.h>
#include <string.h>

#include "failpoint.h"

#define KEYS_IN_PAGE 1000


/* key: NULL for SCAN; pattern: NULL for all. */
static redisReply *
read_page(struct redis_connection *conn, const char *command, const struct redis_args *key, const char *cursor,
          const struct redis_args *pattern, unsigned count)
{
    struct redis_args args = { 0 };

    args_text(&args, command);

    if (key != NULL) {
        args_add(&args, key->text.data, key->text.len);
    }

    args_text(&args, cursor);

    if (pattern != NULL) {
        args_text(&args, "MATCH");
        args_add(&args, pattern->text.data, pattern->text.len);
    }

    args_text(&args, "COUNT");
    args_number(&args, count);

    redisReply *reply = EFFECT("scan.page", redis_call(conn, &args, 0));

    args_free(&args);
    return reply;
}


static int
scan(struct redis_connection *conn, const char *command, const struct redis_args *key, const struct redis_args *pattern,
     unsigned count, scan_visit visit, void *data)
{
    char cursor[32] = "0";
    int result;

    do {
        redisReply *reply = read_page(conn, command, key, cursor, pattern, count);

        if (reply == NULL) {
            return -1;
        }

        result = visit(reply->element[1], data);
        snprintf(cursor, sizeof(cursor), "%s", reply->element[0]->str);
        freeReplyObject(reply);
    } while (result == 0 && strcmp(cursor, "0") != 0);

    return result;
}


int
scan_keys(struct redis_connection *conn, const struct redis_args *pattern, scan_visit visit, void *data)
{
    return scan(conn, "SCAN", NULL, pattern, KEYS_IN_PAGE, visit, data);
}


int
scan_fields(struct redis_connection *conn, const struct redis_args *key, unsigned count, scan_visit visit, void *data)
{
    return scan(conn, "HSCAN", key, NULL, count, visit, data);
}


int
scan_members(struct redis_connection *conn, const struct redis_args *key, unsigned count, scan_visit visit, void *data)
{
    return scan(conn, "SSCAN", key, NULL, count, visit, data);
}
