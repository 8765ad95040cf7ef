#include "redis/connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "base/log.h"
#include "base/memory.h"
#include "failpoint.h"


static struct timeval
to_timeval(unsigned ms)
{
    return (struct timeval) { .tv_sec = ms / 1000, .tv_usec = (suseconds_t) (ms % 1000) * 1000 };
}


void
redis_close(struct redis_connection *conn)
{
    if (conn->context != NULL) {
        FAILPOINT_REDIS_SOCKET(-1);
        redisFree(conn->context);
        conn->context = NULL;
    }
}


static redisContext *
dial(const struct config *config)
{
    const char *address = config->redis.address;
    struct timeval timeout = to_timeval(config->redis.connect_timeout);
    char host[256];

    if (strncmp(address, "unix:", 5) == 0) {
        return redisConnectUnixWithTimeout(address + 5, timeout);
    }

    const char *colon = strrchr(address, ':');
    size_t len = colon != NULL ? (size_t) (colon - address) : strlen(address);
    int port = colon != NULL ? atoi(colon + 1) : 6379;

    if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    }

    snprintf(host, sizeof(host), "%.*s", (int) len, address);
    return redisConnectWithTimeout(host, port, timeout);
}


/* Frees the reply. Returns 0 for a reply that is no error, else 1 with conn->error set. */
static int
check(struct redis_connection *conn, redisReply *reply)
{
    int failed = 1;

    if (reply == NULL) {
        log_clean(conn->error, sizeof(conn->error),
                  conn->context->err == REDIS_ERR_IO && errno == EAGAIN ? "no reply in time" : conn->context->errstr);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        log_clean(conn->error, sizeof(conn->error), reply->str);
    } else {
        failed = 0;
    }

    if (reply != NULL) {
        freeReplyObject(reply);
    }

    return failed;
}


static int
log_in(struct redis_connection *conn)
{
    const char *user = conn->config->redis.user, *password = conn->config->redis.password;

    if (password == NULL) {
        return 0;
    }

    return check(conn, user[0] != '\0' ? redisCommand(conn->context, "AUTH %s %s", user, password)
                                       : redisCommand(conn->context, "AUTH %s", password));
}


/* Sets user and database. Returns 0, or 1 with conn->error set. */
static int
authenticate(struct redis_connection *conn)
{
    unsigned database = conn->config->redis.database;

    return log_in(conn) || check(conn, redisCommand(conn->context, "SELECT %u", database));
}


static int
open_conn(struct redis_connection *conn)
{
    if (conn->context != NULL) {
        return 0;
    }

    conn->context = EFFECT("redis.connect", dial(conn->config));

    if (conn->context == NULL || conn->context->err) {
        log_clean(conn->error, sizeof(conn->error), conn->context != NULL ? conn->context->errstr : "out of memory");
        redis_close(conn);
        return -1;
    }

    FAILPOINT_REDIS_SOCKET(conn->context->fd);
    (void) redisSetTimeout(conn->context, to_timeval(conn->config->redis.timeout));

    /* On a unix socket the call itself would be an error. */
    if (conn->context->connection_type == REDIS_CONN_TCP) {
        (void) redisEnableKeepAlive(conn->context);
    }

    if (EFFECT("redis.enter", authenticate(conn))) {
        redis_close(conn);
        return -1;
    }

    return 0;
}


static int
begins_with(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}


/* This server is not the primary, or not ready, or wants a password: connect anew, perhaps to another one. */
static int
wrong_server(const char *error)
{
    return begins_with(error, "READONLY") || begins_with(error, "LOADING") || begins_with(error, "MASTERDOWN")
           || begins_with(error, "NOAUTH");
}


/* first and second, where given, replace the command's own first words. */
static redisReply *
send_words(struct redis_connection *conn, const struct redis_args *args, const char *first, const char *second)
{
    const char **words = memory_resize(NULL, args->count, sizeof(char *));
    size_t *lengths = memory_resize(NULL, args->count, sizeof(size_t));

    for (size_t i = 0, from = 0; i < args->count; from = args->ends[i++]) {
        words[i] = args->text.data + from;
        lengths[i] = args->ends[i] - from;
    }

    if (first != NULL) {
        words[0] = first;
        lengths[0] = strlen(first);
        words[1] = second;
        lengths[1] = strlen(second);
    }

    redisReply *reply = redisCommandArgv(conn->context, (int) args->count, words, lengths);

    free(words);
    free(lengths);
    return reply;
}


/* Returns the reply, or frees an error and returns NULL with conn->error set. */
static redisReply *
take_reply(struct redis_connection *conn, redisReply *reply)
{
    if (reply != NULL && reply->type != REDIS_REPLY_ERROR) {
        return reply;
    }

    int lost = reply == NULL;

    (void) check(conn, reply);

    if (lost || wrong_server(conn->error)) {
        redis_close(conn);
    }

    return NULL;
}


redisReply *
redis_call(struct redis_connection *conn, const struct redis_args *args, unsigned extra_ms)
{
    if (open_conn(conn) == -1) {
        return NULL;
    }

    if (extra_ms > 0) {
        (void) redisSetTimeout(conn->context, to_timeval(conn->config->redis.timeout + extra_ms));
    }

    redisReply *reply = take_reply(conn, send_words(conn, args, NULL, NULL));

    if (extra_ms > 0 && conn->context != NULL) {
        (void) redisSetTimeout(conn->context, to_timeval(conn->config->redis.timeout));
    }

    return reply;
}


redisReply *
redis_script(struct redis_connection *conn, const struct checkout_script *script, const struct redis_args *args)
{
    if (open_conn(conn) == -1) {
        return NULL;
    }

    redisReply *reply = send_words(conn, args, NULL, NULL);

    if (reply != NULL && reply->type == REDIS_REPLY_ERROR && begins_with(reply->str, "NOSCRIPT")) {
        freeReplyObject(reply);
        reply = send_words(conn, args, "EVAL", script->source);
    }

    return take_reply(conn, reply);
}
