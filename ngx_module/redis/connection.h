/*
 * One connection to Redis: calls go out in one stream, replies come back in the same order.
 */
#ifndef NGX_HTTP_CHECKOUT_REDIS_CONNECTION_H
#define NGX_HTTP_CHECKOUT_REDIS_CONNECTION_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <hiredis/hiredis.h>
#include "redis/settings.h"
#include "stats/counters.h"
#include "text/reply_reader.h"


#define NGX_HTTP_CHECKOUT_REPLY_MAX      (16 * 1024 * 1024)   /* bytes of one reply */
#define NGX_HTTP_CHECKOUT_ADDRESSES_MAX  8        /* of one name, that are tried in turn */


typedef struct ngx_http_checkout_call_s    ngx_http_checkout_call_t;
typedef struct ngx_http_checkout_waiter_s  ngx_http_checkout_waiter_t;

/*
 * Called once for each call whose first byte was written. reply is NULL when the connection was lost
 * before the reply came; it is freed by the connection. The handler may free the call, make new calls
 * and ask for the connection to be dropped.
 */
typedef void (*ngx_http_checkout_reply_pt)(ngx_http_checkout_call_t *call, redisReply *reply);

struct ngx_http_checkout_call_s {
    ngx_queue_t                  queue;
    ngx_buf_t                    buf;
    ngx_chain_t                  link;
    char                        *command;    /* made by hiredis, freed once it is written */
    ngx_http_checkout_reply_pt   handler;
    unsigned                     begun:1;    /* TLS may have written of it, though buf.pos does not show it */
};

/* Told once when the connection can take calls (again). */
struct ngx_http_checkout_waiter_s {
    ngx_queue_t                  queue;
    void                       (*handler)(ngx_http_checkout_waiter_t *waiter);
    unsigned                     waiting:1;
};

typedef struct {
    ngx_sockaddr_t               sockaddr;
    socklen_t                    socklen;
} ngx_http_checkout_address_t;

typedef enum {
    NGX_HTTP_CHECKOUT_REDIS_CLOSED,        /* the next call opens it */
    NGX_HTTP_CHECKOUT_REDIS_WAITING,       /* for the moment to connect: this turn's end, or a backoff */
    NGX_HTTP_CHECKOUT_REDIS_RESOLVING,
    NGX_HTTP_CHECKOUT_REDIS_CONNECTING,
    NGX_HTTP_CHECKOUT_REDIS_SECURING,      /* the TLS handshake is under way */
    NGX_HTTP_CHECKOUT_REDIS_STARTING,      /* AUTH or SELECT is under way */
    NGX_HTTP_CHECKOUT_REDIS_READY
} ngx_http_checkout_redis_state_e;

typedef struct {
    ngx_http_checkout_redis_settings_t  settings;
    uint64_t                          key;       /* stands for server and database in the zone */
    ngx_http_checkout_gauge_t        *gauge;

    ngx_http_checkout_redis_state_e   state;
    ngx_peer_connection_t             peer;
    redisReader                      *reader;
    size_t                            unread;    /* bytes fed to the reader since the last reply */

    ngx_queue_t                       unsent;    /* calls not, or only partly, written */
    ngx_queue_t                       sent;      /* calls whose reply is awaited, oldest first */
    ngx_queue_t                       waiters;
    ngx_http_checkout_call_t          start;     /* AUTH, SELECT */

    ngx_resolver_ctx_t               *resolve;   /* while the name is asked for */
    ngx_http_checkout_address_t       addresses[NGX_HTTP_CHECKOUT_ADDRESSES_MAX];   /* found last */
    ngx_uint_t                        naddresses;
    ngx_str_t                         peer_name;
    u_char                            peer_text[NGX_SOCKADDR_STRLEN];

    ngx_event_t                       connect;   /* posted, or a timer in a backoff */
    ngx_uint_t                        failures;  /* connections lost in a row without a reply */
    ngx_uint_t                        next_addr;
    ngx_uint_t                        batches;   /* written by the gates and not answered */

    unsigned                          drop:1;
    unsigned                          authenticated:1;
} ngx_http_checkout_redis_t;

void ngx_http_checkout_redis_init(ngx_http_checkout_redis_t *redis, ngx_http_checkout_shared_t *shared);
void ngx_http_checkout_redis_exit(ngx_http_checkout_redis_t *redis);
ngx_int_t ngx_http_checkout_redis_ready(ngx_http_checkout_redis_t *redis);
void ngx_http_checkout_redis_wait(ngx_http_checkout_redis_t *redis, ngx_http_checkout_waiter_t *waiter);
void ngx_http_checkout_redis_wake(ngx_http_checkout_redis_t *redis);
void ngx_http_checkout_redis_call(ngx_http_checkout_redis_t *redis, ngx_http_checkout_call_t *call);
ngx_int_t ngx_http_checkout_redis_withdraw(ngx_http_checkout_call_t *call);
void ngx_http_checkout_redis_drop(ngx_http_checkout_redis_t *redis);
ngx_int_t ngx_http_checkout_redis_error_is(redisReply *reply, const char *word);


#endif
