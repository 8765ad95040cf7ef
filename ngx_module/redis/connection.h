/*
 * One connection to Redis: commands go out in one stream, replies come back
 * in the same order.
 *
 * A worker process keeps one connection for each distinct configuration.  It
 * is opened by the first command, and again after a loss.  Nothing here
 * blocks.  All of it belongs to the event loop.
 */
#ifndef NGX_HTTP_CHECKOUT_REDIS_CONNECTION_H
#define NGX_HTTP_CHECKOUT_REDIS_CONNECTION_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <hiredis/hiredis.h>

#include "redis/command.h"
#include "redis/opening.h"
#include "redis/settings.h"
#include "stats/counters.h"


typedef struct ngx_http_checkout_waiter_s  ngx_http_checkout_waiter_t;

/* Who wants to know when the connection can take commands. */
struct ngx_http_checkout_waiter_s {
    ngx_queue_t  queue;
    void       (*handler)(ngx_http_checkout_waiter_t *waiter);
    unsigned     waiting:1;
};

typedef enum {
    NGX_HTTP_CHECKOUT_REDIS_CLOSED, /* the next command opens it */
    /*
     * to open it: until the end of this cycle of the event loop, or for a
     * back-off
     */
    NGX_HTTP_CHECKOUT_REDIS_WAITING,
    NGX_HTTP_CHECKOUT_REDIS_OPENING,
    NGX_HTTP_CHECKOUT_REDIS_LOGIN, /* AUTH, SELECT */
    NGX_HTTP_CHECKOUT_REDIS_READY
} ngx_http_checkout_redis_state_e;

typedef struct {
    ngx_http_checkout_redis_settings_t   settings;
    /* of server and database, in the zone */
    uint64_t                             key;
    /* what was last seen of Redis */
    ngx_http_checkout_gauge_t           *gauge;
    /* counted by gate/queue.c: its batches without a reply */
    ngx_uint_t                           batches;

    /* of connection.c */
    ngx_http_checkout_redis_state_e      state;
    ngx_http_checkout_opening_t          opening;
    ngx_connection_t                    *connection;
    redisReader                         *reader;
    /* bytes that the reader got since the last reply */
    size_t                               unread;

    /* commands not written whole */
    ngx_queue_t                          unsent;
    /* without a reply, oldest first */
    ngx_queue_t                          sent;
    ngx_queue_t                          waiters;
    ngx_http_checkout_command_t          login;

    /* posted, or a back-off's timer */
    ngx_event_t                          connect;
    /* connections lost in a row that brought no reply */
    ngx_uint_t                           failures;

    unsigned                             drop:1;
    unsigned                             authenticated:1;
} ngx_http_checkout_redis_t;


/*
 * At the start of a worker process, once settings and key are set.  shared:
 * the zone's memory; NULL: there is no zone.
 */
void ngx_http_checkout_redis_init(ngx_http_checkout_redis_t *redis,
    ngx_http_checkout_shared_t *shared);

/*
 * At its end: closes the connection.  No handler is called, neither of a
 * command nor of a waiter, and no command or text is freed: the process ends.
 */
void ngx_http_checkout_redis_exit(ngx_http_checkout_redis_t *redis);

/* NGX_OK: a command would be written at once.  NGX_AGAIN: it would wait. */
ngx_int_t ngx_http_checkout_redis_ready(ngx_http_checkout_redis_t *redis);

/*
 * waiter->handler() is called once, when the connection is ready or a reply
 * has made room.  Opens the connection if need be.  Does nothing to a waiter
 * that waits already.
 */
void ngx_http_checkout_redis_wait(ngx_http_checkout_redis_t *redis,
    ngx_http_checkout_waiter_t *waiter);

/*
 * Calls all who wait now; one that waits again from within is called the next
 * time.  The connection does it when it becomes ready and when all is written;
 * gate/queue.c when a reply has made room for another batch.
 */
void ngx_http_checkout_redis_wake(ngx_http_checkout_redis_t *redis);

/*
 * Sends a command, whose text and handler are set.  The command stays its
 * maker's, who must not free it until its handler is called or withdraw()
 * succeeds.  All of one cycle of the event loop are written together at its
 * end; never from within.  While the connection cannot be opened it waits
 * without an end: its maker has a clock.
 */
void ngx_http_checkout_redis_send(ngx_http_checkout_redis_t *redis,
    ngx_http_checkout_command_t *command);

/*
 * NGX_OK: the command is taken back, Redis got nothing of it, and its handler
 * is not called.  NGX_DECLINED: it is too late for that.
 */
ngx_int_t ngx_http_checkout_redis_withdraw(
    ngx_http_checkout_command_t *command);

/*
 * The connection is closed once the replies that are on their way have come,
 * or have not come in time; nothing more is written.  For handlers of replies.
 */
void ngx_http_checkout_redis_drop(ngx_http_checkout_redis_t *redis);


#endif
