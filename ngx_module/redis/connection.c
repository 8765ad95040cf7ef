/*
 * One connection to Redis: commands go out in one stream, replies come back
 * in the same order.
 *
 * nginx connects, writes, reads and times out; hiredis only reads the
 * protocol.
 *
 * A command belongs to its maker, who lends it from send() until its handler
 * is called or withdraw() succeeds.  Texts of commands and replies are freed
 * here.  Handlers may free their command, send others, end requests and ask
 * for a drop; they never close the connection themselves, so no function here
 * is left with a connection that is gone.
 *
 * When the connection is lost, commands of which some byte was written get
 * their handler without a reply: Redis may have run them or not.  The others
 * stay and go out on the next connection.
 */
#include "redis/connection.h"

#include "redis/login.h"
#include "text/reply_reader.h"


#define NGX_HTTP_CHECKOUT_REPLY_MAX    (16 * 1024 * 1024) /* bytes */
#define NGX_HTTP_CHECKOUT_BACKOFF_MIN  50                 /* ms */
#define NGX_HTTP_CHECKOUT_BACKOFF_MAX  1000


static void ngx_http_checkout_redis_connect(ngx_event_t *ev);
static void ngx_http_checkout_redis_opened(void *data, ngx_connection_t *c);
static void ngx_http_checkout_redis_failed(void *data, const char *reason);
static void ngx_http_checkout_redis_logged_in(
    ngx_http_checkout_command_t *command, redisReply *reply);
static void ngx_http_checkout_redis_read(ngx_event_t *rev);
static void ngx_http_checkout_redis_write(ngx_event_t *wev);
static void ngx_http_checkout_redis_lost(ngx_http_checkout_redis_t *redis,
    const char *reason);


static void
ngx_http_checkout_redis_set_state(ngx_http_checkout_redis_t *redis,
    ngx_http_checkout_redis_state_e state)
{
#if (NGX_DEBUG)
    static const char  *names[] = { "closed", "waiting to open", "opening",
                                    "login", "ready" };

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "checkout redis %V: %s", &redis->settings.server->name,
                   names[state]);
#endif

    redis->state = state;
}


void
ngx_http_checkout_redis_init(ngx_http_checkout_redis_t *redis,
    ngx_http_checkout_shared_t *shared)
{
    redis->state = NGX_HTTP_CHECKOUT_REDIS_CLOSED;

    ngx_queue_init(&redis->unsent);
    ngx_queue_init(&redis->sent);
    ngx_queue_init(&redis->waiters);

    redis->opening.settings = &redis->settings;
    redis->opening.data = redis;
    redis->opening.opened = ngx_http_checkout_redis_opened;
    redis->opening.failed = ngx_http_checkout_redis_failed;

    redis->login.handler = ngx_http_checkout_redis_logged_in;

    redis->connect.handler = ngx_http_checkout_redis_connect;
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


/*
 * Opens the connection at the end of this cycle of the event loop, unless it
 * is open or a back-off is under way.
 */
static void
ngx_http_checkout_redis_want(ngx_http_checkout_redis_t *redis)
{
    if (redis->state == NGX_HTTP_CHECKOUT_REDIS_CLOSED) {
        ngx_http_checkout_redis_set_state(redis,
                                          NGX_HTTP_CHECKOUT_REDIS_WAITING);
        ngx_post_event(&redis->connect, &ngx_posted_events);
    }
}


ngx_int_t
ngx_http_checkout_redis_ready(ngx_http_checkout_redis_t *redis)
{
    if (redis->state != NGX_HTTP_CHECKOUT_REDIS_READY || redis->drop) {
        return NGX_AGAIN;
    }

    return redis->connection->write->ready ? NGX_OK : NGX_AGAIN;
}


void
ngx_http_checkout_redis_wait(ngx_http_checkout_redis_t *redis,
    ngx_http_checkout_waiter_t *waiter)
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


void
ngx_http_checkout_redis_send(ngx_http_checkout_redis_t *redis,
    ngx_http_checkout_command_t *command)
{
    ngx_queue_insert_tail(&redis->unsent, &command->queue);

    if (redis->state == NGX_HTTP_CHECKOUT_REDIS_READY) {
        ngx_post_event(redis->connection->write, &ngx_posted_events);

    } else {
        ngx_http_checkout_redis_want(redis);
    }
}


ngx_int_t
ngx_http_checkout_redis_withdraw(ngx_http_checkout_command_t *command)
{
    if (ngx_http_checkout_command_begun(command)) {
        return NGX_DECLINED;
    }

    ngx_queue_remove(&command->queue);
    ngx_http_checkout_command_free(command);

    return NGX_OK;
}


void
ngx_http_checkout_redis_drop(ngx_http_checkout_redis_t *redis)
{
    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "checkout redis %V: is to be closed",
                   &redis->settings.server->name);

    redis->drop = 1;
}


/* It is time to open the connection, if anybody still wants it. */
static void
ngx_http_checkout_redis_connect(ngx_event_t *ev)
{
    ngx_http_checkout_redis_t  *redis;

    redis = ev->data;

    if (ngx_queue_empty(&redis->unsent) && ngx_queue_empty(&redis->waiters)) {
        ngx_http_checkout_redis_set_state(redis,
                                          NGX_HTTP_CHECKOUT_REDIS_CLOSED);
        return;
    }

    redis->drop = 0;
    redis->unread = 0;
    redis->authenticated = 0;

    ngx_http_checkout_redis_set_state(redis, NGX_HTTP_CHECKOUT_REDIS_OPENING);
    ngx_http_checkout_opening_start(&redis->opening);
}


static void
ngx_http_checkout_redis_failed(void *data, const char *reason)
{
    ngx_http_checkout_redis_lost(data, reason);
}


/*
 * Sends AUTH or SELECT, before all other commands.  Also for the reply to
 * AUTH, so it leaves the connection open when it fails.
 */
static ngx_int_t
ngx_http_checkout_redis_log_in(ngx_http_checkout_redis_t *redis)
{
    if (ngx_http_checkout_login_write(&redis->login, redis->settings.server,
                                      redis->authenticated)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_checkout_redis_set_state(redis, NGX_HTTP_CHECKOUT_REDIS_LOGIN);
    ngx_queue_insert_head(&redis->unsent, &redis->login.queue);
    ngx_post_event(redis->connection->write, &ngx_posted_events);

    return NGX_OK;
}


static void
ngx_http_checkout_redis_opened(void *data, ngx_connection_t *c)
{
    ngx_http_checkout_redis_t  *redis = data;

    redis->connection = c;
    redis->reader = checkout_reply_reader_create();

    c->data = redis;
    c->read->handler = ngx_http_checkout_redis_read;
    c->write->handler = ngx_http_checkout_redis_write;

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    if (redis->reader == NULL
        || ngx_http_checkout_redis_log_in(redis) != NGX_OK)
    {
        ngx_http_checkout_redis_lost(redis, "no memory");
    }
}


static void
ngx_http_checkout_redis_logged_in(ngx_http_checkout_command_t *command,
    redisReply *reply)
{
    ngx_int_t                   rc;
    ngx_http_checkout_redis_t  *redis;

    redis = ngx_queue_data(command, ngx_http_checkout_redis_t, login);

    if (reply == NULL) {
        return;
    }

    rc = ngx_http_checkout_login_read(reply, redis->settings.server,
                                      redis->authenticated);

    if (rc == NGX_AGAIN) {
        redis->authenticated = 1;
        rc = ngx_http_checkout_redis_log_in(redis);

        if (rc == NGX_OK) {
            return;
        }
    }

    if (rc != NGX_OK) {
        ngx_http_checkout_redis_drop(redis);
        return;
    }

    ngx_http_checkout_redis_set_state(redis, NGX_HTTP_CHECKOUT_REDIS_READY);
    ngx_http_checkout_count(connects, 1);
    ngx_http_checkout_zone_connections(1);

    if (!ngx_queue_empty(&redis->unsent)) {
        ngx_post_event(redis->connection->write, &ngx_posted_events);
    }

    ngx_http_checkout_redis_wake(redis);
}


/* What may be written now, as a chain: until the login is done, only that. */
static ngx_chain_t *
ngx_http_checkout_redis_chain(ngx_http_checkout_redis_t *redis)
{
    ngx_queue_t                  *q;
    ngx_chain_t                  *chain, **last;
    ngx_http_checkout_command_t  *command;

    last = &chain;

    for (q = ngx_queue_head(&redis->unsent);
         q != ngx_queue_sentinel(&redis->unsent); q = ngx_queue_next(q))
    {
        command = ngx_queue_data(q, ngx_http_checkout_command_t, queue);

        if (redis->state != NGX_HTTP_CHECKOUT_REDIS_READY
            && command != &redis->login)
        {
            break;
        }

        if (redis->drop && !ngx_http_checkout_command_begun(command)) {
            break;
        }

        command->link.buf = &command->buf;
        *last = &command->link;
        last = &command->link.next;
    }

    *last = NULL;

    return chain;
}


/* Commands that were written whole await their reply. */
static void
ngx_http_checkout_redis_move_sent(ngx_http_checkout_redis_t *redis)
{
    ngx_queue_t                  *q;
    ngx_http_checkout_command_t  *command;

    while (!ngx_queue_empty(&redis->unsent)) {
        q = ngx_queue_head(&redis->unsent);
        command = ngx_queue_data(q, ngx_http_checkout_command_t, queue);

        if (command->buf.pos != command->buf.last) {
            return;
        }

        ngx_http_checkout_command_free(command);
        ngx_queue_remove(q);
        ngx_queue_insert_tail(&redis->sent, q);
    }
}


static void
ngx_http_checkout_redis_write(ngx_event_t *wev)
{
    ngx_chain_t                *chain;
    ngx_connection_t           *c;
    ngx_http_checkout_redis_t  *redis;
#if (NGX_HTTP_SSL)
    ngx_http_checkout_command_t  *command;
#endif

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
        command = ngx_queue_data(ngx_queue_head(&redis->unsent),
                                 ngx_http_checkout_command_t, queue);
        command->begun = 1;
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


/*
 * Hands the oldest command its reply.  NGX_ERROR: the connection must be
 * closed.
 */
static ngx_int_t
ngx_http_checkout_redis_answer(ngx_http_checkout_redis_t *redis,
    redisReply *reply)
{
    ngx_uint_t                    is_error;
    ngx_queue_t                  *q;
    ngx_http_checkout_command_t  *command;

    if (ngx_queue_empty(&redis->sent)) {
        is_error = reply->type == REDIS_REPLY_ERROR;
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "checkout: Redis %V sent a reply that nothing asked "
                      "for%s%s",
                      &redis->settings.server->name, is_error ? ": " : "",
                      is_error ? reply->str : "");
        return NGX_ERROR;
    }

    q = ngx_queue_head(&redis->sent);
    ngx_queue_remove(q);
    command = ngx_queue_data(q, ngx_http_checkout_command_t, queue);

    /*
     * A server that refuses everything is no better than one that is away:
     * the back-off goes on.
     */
    if (command != &redis->login && reply->type != REDIS_REPLY_ERROR) {
        redis->failures = 0;
    }

    command->handler(command, reply);

    return redis->drop && ngx_queue_empty(&redis->sent) ? NGX_ERROR : NGX_OK;
}


/* Every whole reply among the bytes read so far.  NGX_ERROR as above. */
static ngx_int_t
ngx_http_checkout_redis_answers(ngx_http_checkout_redis_t *redis, u_char *data,
    size_t len)
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
            ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                          "checkout: Redis %V broke the protocol: %s",
                          &redis->settings.server->name,
                          redis->reader->errstr);
            return NGX_ERROR;
        }

        if (reply == NULL) {
            return redis->unread <= NGX_HTTP_CHECKOUT_REPLY_MAX
                       ? NGX_OK
                       : NGX_ERROR;
        }

        redis->unread = 0;
        rc = ngx_http_checkout_redis_answer(redis, reply);
        freeReplyObject(reply);

        if (rc != NGX_OK) {
            return rc;
        }
    }
}


/*
 * After something was read: the read time-out runs from the last byte, while
 * a reply is awaited.
 */
static void
ngx_http_checkout_redis_rest(ngx_http_checkout_redis_t *redis)
{
    ngx_connection_t  *c;

    c = redis->connection;
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


static void
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
            ngx_http_checkout_redis_lost(redis, n == 0 ? "closed by Redis"
                                                       : "reading failed");
            return;
        }

        if (ngx_http_checkout_redis_answers(redis, data, n) != NGX_OK) {
            ngx_http_checkout_redis_lost(redis, "dropped");
            return;
        }

    } while (rev->ready);

    ngx_http_checkout_redis_rest(redis);
}


static void
ngx_http_checkout_redis_close(ngx_http_checkout_redis_t *redis)
{
    if (redis->state == NGX_HTTP_CHECKOUT_REDIS_READY) {
        ngx_http_checkout_zone_connections(-1);
    }

    ngx_http_checkout_opening_close(&redis->opening,
                                    ngx_http_checkout_redis_busy(redis));
    redis->connection = NULL;

    if (redis->reader != NULL) {
        redisReaderFree(redis->reader);
        redis->reader = NULL;
    }
}


/*
 * When to connect again: at once after a connection that had worked, then
 * later and later, with jitter.
 */
static void
ngx_http_checkout_redis_back_off(ngx_http_checkout_redis_t *redis)
{
    ngx_msec_t  delay;

    redis->opening.next_address++;

    if (redis->failures++ == 0) {
        ngx_http_checkout_redis_set_state(redis,
                                          NGX_HTTP_CHECKOUT_REDIS_CLOSED);
        return;
    }

    delay = NGX_HTTP_CHECKOUT_BACKOFF_MIN << ngx_min(redis->failures - 2, 8);
    delay = ngx_min(delay, NGX_HTTP_CHECKOUT_BACKOFF_MAX);
    delay = delay / 2 + (ngx_msec_t) ngx_random() % (delay / 2 + 1);

    ngx_http_checkout_redis_set_state(redis, NGX_HTTP_CHECKOUT_REDIS_WAITING);
    ngx_add_timer(&redis->connect, delay);
}


/* The commands of which something was written, in order; and the login. */
static void
ngx_http_checkout_redis_take_begun(ngx_http_checkout_redis_t *redis,
    ngx_queue_t *begun)
{
    ngx_queue_t                  *q;
    ngx_http_checkout_command_t  *command;

    ngx_queue_init(begun);

    if (!ngx_queue_empty(&redis->sent)) {
        ngx_queue_add(begun, &redis->sent);
        ngx_queue_init(&redis->sent);
    }

    if (!ngx_queue_empty(&redis->unsent)) {
        q = ngx_queue_head(&redis->unsent);
        command = ngx_queue_data(q, ngx_http_checkout_command_t, queue);

        if (command == &redis->login
            || ngx_http_checkout_command_begun(command))
        {
            ngx_http_checkout_command_free(command);
            ngx_queue_remove(q);
            ngx_queue_insert_tail(begun, q);
        }
    }
}


/*
 * reason: for the log; NULL: it is logged, or the connection is closed on
 * purpose.
 */
static void
ngx_http_checkout_redis_lost(ngx_http_checkout_redis_t *redis,
    const char *reason)
{
    ngx_queue_t                  *q, begun;
    ngx_http_checkout_command_t  *command;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "checkout redis %V: lost: %s",
                   &redis->settings.server->name,
                   reason != NULL ? reason : "logged before, or idle");

    if (reason != NULL
        && (redis->failures > 0 || ngx_http_checkout_redis_busy(redis)
            || !ngx_queue_empty(&redis->waiters)))
    {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "checkout: connection to Redis %V lost: %s",
                      &redis->settings.server->name, reason);
    }

    if (!ngx_exiting || reason != NULL) {
        ngx_http_checkout_count(losses, 1);
    }

    ngx_http_checkout_redis_close(redis);
    ngx_http_checkout_redis_take_begun(redis, &begun);
    ngx_http_checkout_redis_back_off(redis);

    /* Each goes back to the head of its gate's list: so the newest first. */
    while (!ngx_queue_empty(&begun)) {
        q = ngx_queue_last(&begun);
        ngx_queue_remove(q);

        command = ngx_queue_data(q, ngx_http_checkout_command_t, queue);
        command->handler(command, NULL);
    }

    if (!ngx_queue_empty(&redis->unsent) || !ngx_queue_empty(&redis->waiters))
    {
        ngx_http_checkout_redis_want(redis);
    }
}


void
ngx_http_checkout_redis_exit(ngx_http_checkout_redis_t *redis)
{
    ngx_http_checkout_redis_close(redis);
}
