/*
 * One connection to Redis: calls go out in one stream, replies come back in the same order. How it is opened
 * is in ngx_http_checkout_connect.c.
 *
 * nginx connects, writes, reads and times out; hiredis only reads the protocol. A worker process keeps one
 * connection for each distinct configuration, opened by the first call and again after a loss.
 *
 * Who owns what: a call belongs to its maker, who lends it from ngx_http_checkout_redis_call() until its
 * handler is called or ngx_http_checkout_redis_withdraw() succeeds. Its command is freed here. Replies are
 * freed here. Handlers may free their call, make new ones, end requests and ask for a drop; they never
 * close the connection themselves, so no function here is left with a connection that is gone.
 *
 * When the connection is lost, calls of which some byte was written get their handler without a reply:
 * Redis may have run them or not. The others stay and go out on the next connection.
 */
#include "redis/connection.h"

#include "redis/private.h"
#include "stats/counters.h"
#include <hiredis/hiredis.h>


#define NGX_HTTP_CHECKOUT_BACKOFF_MIN  50      /* ms */
#define NGX_HTTP_CHECKOUT_BACKOFF_MAX  1000


/* shared: the zone's memory, NULL where there is no zone */
void
ngx_http_checkout_redis_init(ngx_http_checkout_redis_t *redis, ngx_http_checkout_shared_t *shared)
{
    redis->state = NGX_HTTP_CHECKOUT_REDIS_CLOSED;

    ngx_queue_init(&redis->unsent);
    ngx_queue_init(&redis->sent);
    ngx_queue_init(&redis->waiters);

    redis->connect.handler = ngx_http_checkout_connect;
    redis->connect.data = redis;
    redis->connect.log = ngx_cycle->log;
    redis->connect.cancelable = 1;

    redis->gauge = ngx_http_checkout_zone_gauge(shared, redis->key);
}


static ngx_uint_t
ngx_http_checkout_redis_busy(ngx_http_checkout_redis_t *redis)
{
    return !ngx_queue_empty(&redis->unsent) || !ngx_queue_empty(&redis->sent);
}


/* Opens the connection at the end of this turn, unless it is open or a backoff is under way. */
static void
ngx_http_checkout_redis_want(ngx_http_checkout_redis_t *redis)
{
    if (redis->state == NGX_HTTP_CHECKOUT_REDIS_CLOSED) {
        redis->state = NGX_HTTP_CHECKOUT_REDIS_WAITING;
        ngx_post_event(&redis->connect, &ngx_posted_events);
    }
}


/* NGX_OK when a call would be written at once. */
ngx_int_t
ngx_http_checkout_redis_ready(ngx_http_checkout_redis_t *redis)
{
    ngx_connection_t  *c;

    if (redis->state != NGX_HTTP_CHECKOUT_REDIS_READY || redis->drop) {
        return NGX_AGAIN;
    }

    c = redis->peer.connection;

    return c->write->ready ? NGX_OK : NGX_AGAIN;
}


void
ngx_http_checkout_redis_wait(ngx_http_checkout_redis_t *redis, ngx_http_checkout_waiter_t *waiter)
{
    if (!waiter->waiting) {
        waiter->waiting = 1;
        ngx_queue_insert_tail(&redis->waiters, &waiter->queue);
    }

    ngx_http_checkout_redis_want(redis);
}


void
ngx_http_checkout_redis_wake(ngx_http_checkout_redis_t *redis)
{
    ngx_queue_t                 *q, woken;
    ngx_http_checkout_waiter_t  *waiter;

    if (ngx_queue_empty(&redis->waiters)) {
        return;
    }

    /* A waiter may wait again at once; that is for the next time. */
    ngx_queue_init(&woken);
    ngx_queue_add(&woken, &redis->waiters);
    ngx_queue_init(&redis->waiters);

    while (!ngx_queue_empty(&woken)) {
        q = ngx_queue_head(&woken);
        ngx_queue_remove(q);

        waiter = ngx_queue_data(q, ngx_http_checkout_waiter_t, queue);
        waiter->waiting = 0;
        waiter->handler(waiter);
    }
}


/* All calls of a turn are written together at its end. */
void
ngx_http_checkout_redis_call(ngx_http_checkout_redis_t *redis, ngx_http_checkout_call_t *call)
{
    ngx_queue_insert_tail(&redis->unsent, &call->queue);

    if (redis->state == NGX_HTTP_CHECKOUT_REDIS_READY) {
        ngx_post_event(redis->peer.connection->write, &ngx_posted_events);

    } else {
        ngx_http_checkout_redis_want(redis);
    }
}


static void
ngx_http_checkout_call_free_command(ngx_http_checkout_call_t *call)
{
    if (call->command != NULL) {
        redisFreeCommand(call->command);
        call->command = NULL;
    }
}


static ngx_uint_t
ngx_http_checkout_call_begun(ngx_http_checkout_call_t *call)
{
    return call->begun || call->buf.pos != call->buf.start;
}


/* call->command holds len bytes, to be written. */
void
ngx_http_checkout_call_prepare(ngx_http_checkout_call_t *call, size_t len)
{
    ngx_memzero(&call->buf, sizeof(ngx_buf_t));
    call->buf.start = (u_char *) call->command;
    call->buf.pos = call->buf.start;
    call->buf.last = call->buf.start + len;
    call->buf.end = call->buf.last;
    call->buf.memory = 1;
    call->begun = 0;
}


/* Takes a call back of which no byte was written; NGX_DECLINED when it is too late for that. */
ngx_int_t
ngx_http_checkout_redis_withdraw(ngx_http_checkout_call_t *call)
{
    if (ngx_http_checkout_call_begun(call)) {
        return NGX_DECLINED;
    }

    ngx_queue_remove(&call->queue);
    ngx_http_checkout_call_free_command(call);

    return NGX_OK;
}


/*
 * Closes the connection once the replies that are on their way have come, or have not come in time; nothing
 * more is written. For the handlers of replies.
 */
void
ngx_http_checkout_redis_drop(ngx_http_checkout_redis_t *redis)
{
    redis->drop = 1;
}


/* Is the reply an error whose first word is this one? */
ngx_int_t
ngx_http_checkout_redis_error_is(redisReply *reply, const char *word)
{
    size_t  len;

    len = ngx_strlen(word);

    return reply->type == REDIS_REPLY_ERROR && (size_t) reply->len >= len
           && ngx_strncmp(reply->str, word, len) == 0
           && ((size_t) reply->len == len || reply->str[len] == ' ');
}


/* The connection is open: calls may go out. */
void
ngx_http_checkout_redis_opened(ngx_http_checkout_redis_t *redis)
{
    redis->state = NGX_HTTP_CHECKOUT_REDIS_READY;

    ngx_http_checkout_count(connects, 1);
    ngx_http_checkout_zone_connections(1);

    if (!ngx_queue_empty(&redis->unsent)) {
        ngx_post_event(redis->peer.connection->write, &ngx_posted_events);
    }

    ngx_http_checkout_redis_wake(redis);
}


/* What may be written now, as a chain: only SELECT until it is answered. */
static ngx_chain_t *
ngx_http_checkout_redis_chain(ngx_http_checkout_redis_t *redis)
{
    ngx_queue_t               *q;
    ngx_chain_t               *chain, **last;
    ngx_http_checkout_call_t  *call;

    last = &chain;

    for (q = ngx_queue_head(&redis->unsent);
         q != ngx_queue_sentinel(&redis->unsent);
         q = ngx_queue_next(q))
    {
        call = ngx_queue_data(q, ngx_http_checkout_call_t, queue);

        if (redis->state != NGX_HTTP_CHECKOUT_REDIS_READY && call != &redis->start) {
            break;
        }

        if (redis->drop && !ngx_http_checkout_call_begun(call)) {
            break;
        }

        call->link.buf = &call->buf;
        *last = &call->link;
        last = &call->link.next;
    }

    *last = NULL;

    return chain;
}


/* Moves the calls that were written whole to those that await their reply. */
static void
ngx_http_checkout_redis_move_sent(ngx_http_checkout_redis_t *redis)
{
    ngx_queue_t               *q;
    ngx_http_checkout_call_t  *call;

    while (!ngx_queue_empty(&redis->unsent)) {
        q = ngx_queue_head(&redis->unsent);
        call = ngx_queue_data(q, ngx_http_checkout_call_t, queue);

        if (call->buf.pos != call->buf.last) {
            return;
        }

        ngx_http_checkout_call_free_command(call);
        ngx_queue_remove(q);
        ngx_queue_insert_tail(&redis->sent, q);
    }
}


void
ngx_http_checkout_redis_write(ngx_event_t *wev)
{
    ngx_chain_t                *chain;
    ngx_connection_t           *c;
    ngx_http_checkout_redis_t  *redis;

    c = wev->data;
    redis = c->data;

    if (wev->timedout) {
        ngx_http_checkout_redis_lost(redis, "writing timed out");
        return;
    }

    chain = ngx_http_checkout_redis_chain(redis);

    if (chain != NULL) {
        chain = c->send_chain(c, chain, 0);

        if (chain == NGX_CHAIN_ERROR) {
            ngx_http_checkout_redis_lost(redis, "writing failed");
            return;
        }

        ngx_http_checkout_redis_move_sent(redis);
    }

#if (NGX_HTTP_SSL)
    if (chain != NULL && c->ssl) {
        /* OpenSSL may hold a part of it, and wants the same bytes again. */
        ((ngx_http_checkout_call_t *) ngx_queue_data(ngx_queue_head(&redis->unsent), ngx_http_checkout_call_t,
                                                     queue))->begun = 1;
    }
#endif

    c->idle = !ngx_http_checkout_redis_busy(redis);

    if (chain != NULL) {
        ngx_add_timer(wev, redis->settings.send_timeout);

    } else if (wev->timer_set) {
        ngx_del_timer(wev);
    }

    if (!ngx_queue_empty(&redis->sent) && !c->read->timer_set) {
        ngx_add_timer(c->read, redis->settings.read_timeout);
    }

    if (ngx_handle_write_event(wev, 0) != NGX_OK) {
        ngx_http_checkout_redis_lost(redis, "waiting to write failed");
        return;
    }

    if (chain == NULL && redis->state == NGX_HTTP_CHECKOUT_REDIS_READY) {
        ngx_http_checkout_redis_wake(redis);
    }
}


/* Hands the oldest call its reply. */
static ngx_int_t
ngx_http_checkout_redis_answer(ngx_http_checkout_redis_t *redis, redisReply *reply)
{
    ngx_queue_t               *q;
    ngx_http_checkout_call_t  *call;

    if (ngx_queue_empty(&redis->sent)) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "checkout: Redis %V sent a reply that nothing asked for%s%s",
                      &redis->settings.server->name, reply->type == REDIS_REPLY_ERROR ? ": " : "",
                      reply->type == REDIS_REPLY_ERROR ? reply->str : "");
        return NGX_ERROR;
    }

    q = ngx_queue_head(&redis->sent);
    ngx_queue_remove(q);
    call = ngx_queue_data(q, ngx_http_checkout_call_t, queue);

    /* A server that refuses everything is no better than one that is away: the backoff goes on. */
    if (call != &redis->start && reply->type != REDIS_REPLY_ERROR) {
        redis->failures = 0;
    }

    call->handler(call, reply);

    return redis->drop && ngx_queue_empty(&redis->sent) ? NGX_ERROR : NGX_OK;
}


/* Every whole reply among the bytes read so far. */
static ngx_int_t
ngx_http_checkout_redis_answers(ngx_http_checkout_redis_t *redis, u_char *data, size_t len)
{
    void       *reply;
    ngx_int_t   rc;

    if (redisReaderFeed(redis->reader, (char *) data, len) != REDIS_OK) {
        return NGX_ERROR;
    }

    redis->unread += len;

    for ( ;; ) {
        reply = NULL;

        if (redisReaderGetReply(redis->reader, &reply) != REDIS_OK) {
            ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "checkout: Redis %V broke the protocol: %s",
                          &redis->settings.server->name, redis->reader->errstr);
            return NGX_ERROR;
        }

        if (reply == NULL) {
            return redis->unread <= NGX_HTTP_CHECKOUT_REPLY_MAX ? NGX_OK : NGX_ERROR;
        }

        redis->unread = 0;
        rc = ngx_http_checkout_redis_answer(redis, reply);
        freeReplyObject(reply);

        if (rc != NGX_OK) {
            return rc;
        }
    }
}


/* After something was read: the read time-out runs from the last byte, while a reply is awaited. */
static void
ngx_http_checkout_redis_rest(ngx_http_checkout_redis_t *redis)
{
    ngx_connection_t  *c;

    c = redis->peer.connection;
    c->idle = !ngx_http_checkout_redis_busy(redis);

    if (c->idle && ngx_exiting) {
        ngx_http_checkout_redis_lost(redis, NULL);
        return;
    }

    if (!ngx_queue_empty(&redis->sent)) {
        ngx_add_timer(c->read, redis->settings.read_timeout);

    } else if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_http_checkout_redis_lost(redis, "waiting to read failed");
    }
}


void
ngx_http_checkout_redis_read(ngx_event_t *rev)
{
    ssize_t                     n;
    ngx_connection_t           *c;
    ngx_http_checkout_redis_t  *redis;
    static u_char               data[16384];

    c = rev->data;
    redis = c->data;

    if (rev->timedout) {
        ngx_http_checkout_redis_lost(redis, "no reply in time");
        return;
    }

    if (c->close) {
        ngx_http_checkout_redis_lost(redis, NULL);
        return;
    }

    do {
        n = c->recv(c, data, sizeof(data));

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == 0 || n == NGX_ERROR) {
            ngx_http_checkout_redis_lost(redis, n == 0 ? "closed by Redis" : "reading failed");
            return;
        }

        if (ngx_http_checkout_redis_answers(redis, data, n) != NGX_OK) {
            ngx_http_checkout_redis_lost(redis, "dropped");
            return;
        }

    } while (rev->ready);

    ngx_http_checkout_redis_rest(redis);
}


/*
 * Calls without a reply are sent again on the next connection, to be told what became of them. What the kernel
 * still holds of the first attempt must not reach Redis after the second: it is thrown away.
 */
static void
ngx_http_checkout_redis_reset(ngx_connection_t *c)
{
    struct linger  linger;

    linger.l_onoff = 1;
    linger.l_linger = 0;

    if (setsockopt(c->fd, SOL_SOCKET, SO_LINGER, (const void *) &linger, sizeof(struct linger)) == -1) {
        ngx_log_error(NGX_LOG_ALERT, c->log, ngx_socket_errno, "checkout: setsockopt(SO_LINGER) failed");
    }
}


static void
ngx_http_checkout_redis_close(ngx_http_checkout_redis_t *redis)
{
    ngx_pool_t        *pool;
    ngx_connection_t  *c;

    c = redis->peer.connection;

    if (redis->state == NGX_HTTP_CHECKOUT_REDIS_READY) {
        ngx_http_checkout_zone_connections(-1);
    }

    if (c != NULL) {
        if (ngx_http_checkout_redis_busy(redis)) {
            ngx_http_checkout_redis_reset(c);
        }

#if (NGX_HTTP_SSL)
        if (c->ssl) {
            c->ssl->no_wait_shutdown = 1;
            c->ssl->no_send_shutdown = 1;
            (void) ngx_ssl_shutdown(c);
        }
#endif

        pool = c->pool;
        ngx_close_connection(c);
        redis->peer.connection = NULL;

        if (pool != NULL) {
            ngx_destroy_pool(pool);
        }
    }

    if (redis->reader != NULL) {
        redisReaderFree(redis->reader);
        redis->reader = NULL;
    }
}


/* When to connect again: at once after a connection that had worked, then later and later, with jitter. */
static void
ngx_http_checkout_redis_back_off(ngx_http_checkout_redis_t *redis)
{
    ngx_msec_t  delay;

    redis->next_addr++;

    if (redis->failures++ == 0) {
        redis->state = NGX_HTTP_CHECKOUT_REDIS_CLOSED;
        return;
    }

    delay = NGX_HTTP_CHECKOUT_BACKOFF_MIN << ngx_min(redis->failures - 2, 8);
    delay = ngx_min(delay, NGX_HTTP_CHECKOUT_BACKOFF_MAX);
    delay = delay / 2 + (ngx_msec_t) ngx_random() % (delay / 2 + 1);

    redis->state = NGX_HTTP_CHECKOUT_REDIS_WAITING;
    ngx_add_timer(&redis->connect, delay);
}


/* The calls of which something was written, in order, with the start-up call left out. */
static void
ngx_http_checkout_redis_take_begun(ngx_http_checkout_redis_t *redis, ngx_queue_t *begun)
{
    ngx_queue_t               *q;
    ngx_http_checkout_call_t  *call;

    ngx_queue_init(begun);

    if (!ngx_queue_empty(&redis->sent)) {
        ngx_queue_add(begun, &redis->sent);
        ngx_queue_init(&redis->sent);
    }

    if (!ngx_queue_empty(&redis->unsent)) {
        q = ngx_queue_head(&redis->unsent);
        call = ngx_queue_data(q, ngx_http_checkout_call_t, queue);

        if (call == &redis->start || ngx_http_checkout_call_begun(call)) {
            ngx_http_checkout_call_free_command(call);
            ngx_queue_remove(q);
            ngx_queue_insert_tail(begun, q);
        }
    }
}


/* reason: for the log; NULL when it is logged already, or the connection is closed on purpose. */
void
ngx_http_checkout_redis_lost(ngx_http_checkout_redis_t *redis, const char *reason)
{
    ngx_queue_t               *q, begun;
    ngx_http_checkout_call_t  *call;

    if (reason != NULL
        && (redis->failures > 0 || ngx_http_checkout_redis_busy(redis) || !ngx_queue_empty(&redis->waiters)))
    {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "checkout: connection to Redis %V lost: %s",
                      &redis->settings.server->name, reason);
    }

    if (!ngx_exiting || reason != NULL) {
        ngx_http_checkout_count(losses, 1);
    }

    ngx_http_checkout_redis_close(redis);
    ngx_http_checkout_redis_take_begun(redis, &begun);
    ngx_http_checkout_redis_back_off(redis);

    /* Each goes to the head of its gate's line, so the newest is the first. */
    while (!ngx_queue_empty(&begun)) {
        q = ngx_queue_last(&begun);
        ngx_queue_remove(q);

        call = ngx_queue_data(q, ngx_http_checkout_call_t, queue);
        call->handler(call, NULL);
    }

    if (!ngx_queue_empty(&redis->unsent) || !ngx_queue_empty(&redis->waiters)) {
        ngx_http_checkout_redis_want(redis);
    }
}


/* The process ends: what is still lent is left to its makers. */
void
ngx_http_checkout_redis_exit(ngx_http_checkout_redis_t *redis)
{
    if (redis->resolve != NULL) {
        ngx_resolve_name_done(redis->resolve);
        redis->resolve = NULL;
    }

    ngx_http_checkout_redis_close(redis);
}
