/*
 * The opening of a connection to Redis: address, connect, TLS, AUTH, SELECT.
 *
 * One step starts the next, each in a function of its own; what fails ends in ngx_http_checkout_redis_lost(),
 * which decides when to try again. A host name is resolved anew for each connection where nginx has a
 * "resolver": a managed Redis moves its name in a failover. The addresses found last, or else those of the
 * configuration, serve when that fails. Nothing but AUTH and SELECT is written before Redis has agreed to
 * both: orders must not land in another database.
 */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "redis/connection.h"
#include "redis/private.h"
#include "order/order.h"
#include "text/reply_reader.h"
#include "text/number.h"
#include <hiredis/hiredis.h>


static void ngx_http_checkout_connect_resolve(ngx_http_checkout_redis_t *redis);
static void ngx_http_checkout_connect_resolved(ngx_resolver_ctx_t *ctx);
static void ngx_http_checkout_connect_peer(ngx_http_checkout_redis_t *redis);
static void ngx_http_checkout_connect_done(ngx_event_t *ev);
static void ngx_http_checkout_connect_established(ngx_http_checkout_redis_t *redis);
static void ngx_http_checkout_connect_begin(ngx_http_checkout_redis_t *redis);
static ngx_int_t ngx_http_checkout_connect_start(ngx_http_checkout_redis_t *redis);
static void ngx_http_checkout_connect_started(ngx_http_checkout_call_t *call, redisReply *reply);
#if (NGX_HTTP_SSL)
static void ngx_http_checkout_connect_handshake(ngx_http_checkout_redis_t *redis);
static void ngx_http_checkout_connect_secured(ngx_connection_t *c);
#endif


/* The event redis->connect: it is time to connect, if anyone still wants to. */
void
ngx_http_checkout_connect(ngx_event_t *ev)
{
    ngx_http_checkout_redis_t  *redis;

    redis = ev->data;

    if (ngx_queue_empty(&redis->unsent) && ngx_queue_empty(&redis->waiters)) {
        redis->state = NGX_HTTP_CHECKOUT_REDIS_CLOSED;
        return;
    }

    redis->drop = 0;
    redis->unread = 0;
    redis->authenticated = 0;

    if (redis->settings.server->host.len && redis->settings.resolver != NULL) {
        ngx_http_checkout_connect_resolve(redis);
        return;
    }

    ngx_http_checkout_connect_peer(redis);
}


static void
ngx_http_checkout_connect_resolve(ngx_http_checkout_redis_t *redis)
{
    ngx_resolver_ctx_t  *ctx;

    ctx = ngx_resolve_start(redis->settings.resolver, NULL);

    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {
        ngx_http_checkout_connect_peer(redis);
        return;
    }

    ctx->name = redis->settings.server->host;
    ctx->handler = ngx_http_checkout_connect_resolved;
    ctx->data = redis;
    ctx->timeout = redis->settings.connect_timeout;
    ctx->cancelable = 1;

    redis->state = NGX_HTTP_CHECKOUT_REDIS_RESOLVING;
    redis->resolve = ctx;

    if (ngx_resolve_name(ctx) != NGX_OK) {
        redis->resolve = NULL;
        ngx_http_checkout_connect_peer(redis);
    }
}


/* The resolver's answer may lie in its cache: then this is called from within ngx_resolve_name(). */
static void
ngx_http_checkout_connect_resolved(ngx_resolver_ctx_t *ctx)
{
    ngx_uint_t                    i;
    ngx_http_checkout_redis_t    *redis;
    ngx_http_checkout_address_t  *address;

    redis = ctx->data;

    if (ctx->state) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "checkout: Redis %V could not be resolved (%i: %s)",
                      &ctx->name, ctx->state, ngx_resolver_strerror(ctx->state));

    } else {
        redis->naddresses = ngx_min(ctx->naddrs, NGX_HTTP_CHECKOUT_ADDRESSES_MAX);
    }

    for (i = 0; ctx->state == 0 && i < redis->naddresses; i++) {
        address = &redis->addresses[i];
        address->socklen = ctx->addrs[i].socklen;
        ngx_memcpy(&address->sockaddr, ctx->addrs[i].sockaddr, address->socklen);
        ngx_inet_set_port(&address->sockaddr.sockaddr, redis->settings.server->port);
    }

    ngx_resolve_name_done(ctx);
    redis->resolve = NULL;

    ngx_http_checkout_connect_peer(redis);
}


/* The next address in turn: of those that were resolved last, else of the configuration's. */
static void
ngx_http_checkout_connect_address(ngx_http_checkout_redis_t *redis)
{
    ngx_uint_t                    i;
    ngx_peer_connection_t        *peer;
    ngx_http_checkout_server_t   *server;
    ngx_http_checkout_address_t  *address;

    peer = &redis->peer;
    server = redis->settings.server;

    ngx_memzero(peer, sizeof(ngx_peer_connection_t));

    if (redis->naddresses) {
        address = &redis->addresses[redis->next_addr % redis->naddresses];
        peer->sockaddr = &address->sockaddr.sockaddr;
        peer->socklen = address->socklen;

        redis->peer_name.data = redis->peer_text;
        redis->peer_name.len = ngx_sock_ntop(peer->sockaddr, peer->socklen, redis->peer_text, NGX_SOCKADDR_STRLEN, 1);
        peer->name = &redis->peer_name;

    } else {
        i = redis->next_addr % server->naddrs;
        peer->sockaddr = server->addrs[i].sockaddr;
        peer->socklen = server->addrs[i].socklen;
        peer->name = &server->addrs[i].name;
    }

    peer->get = ngx_event_get_peer;
    peer->log = ngx_cycle->log;
    peer->log_error = NGX_ERROR_ERR;
}


static void
ngx_http_checkout_connect_peer(ngx_http_checkout_redis_t *redis)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    ngx_http_checkout_connect_address(redis);

    redis->state = NGX_HTTP_CHECKOUT_REDIS_CONNECTING;

    rc = ngx_event_connect_peer(&redis->peer);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        ngx_http_checkout_redis_lost(redis, NULL);    /* nginx has logged why */
        return;
    }

    c = redis->peer.connection;
    c->data = redis;
    c->read->handler = ngx_http_checkout_connect_done;
    c->write->handler = ngx_http_checkout_connect_done;

    /* Requests keep an exiting worker alive by their clocks; the connection alone does not. */
    c->read->cancelable = 1;
    c->write->cancelable = 1;

    redis->reader = checkout_reply_reader_create();

    if (redis->reader == NULL) {
        ngx_http_checkout_redis_lost(redis, "no memory");
        return;
    }

    if (rc == NGX_AGAIN) {
        ngx_add_timer(c->write, redis->settings.connect_timeout);
        return;
    }

    ngx_http_checkout_connect_established(redis);
}


static void
ngx_http_checkout_connect_done(ngx_event_t *ev)
{
    int                         err;
    socklen_t                   len;
    ngx_connection_t           *c;
    ngx_http_checkout_redis_t  *redis;

    c = ev->data;
    redis = c->data;

    if (ev->timedout) {
        ngx_http_checkout_redis_lost(redis, "connecting timed out");
        return;
    }

    if (c->close) {
        ngx_http_checkout_redis_lost(redis, NULL);
        return;
    }

    err = 0;
    len = sizeof(int);

    /* BSDs and Linux return 0 and set a pending error in err; Solaris returns -1 and sets errno. */
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err) {
        ngx_log_error(NGX_LOG_ERR, c->log, err, "checkout: connect() to Redis %V failed", redis->peer.name);
        ngx_http_checkout_redis_lost(redis, NULL);
        return;
    }

    if (!c->write->ready) {
        return;
    }

    ngx_http_checkout_connect_established(redis);
}


static void
ngx_http_checkout_connect_established(ngx_http_checkout_redis_t *redis)
{
    ngx_connection_t  *c;

    c = redis->peer.connection;

    /* Pipelined calls must not wait for the acknowledgement of earlier ones. */
    if (redis->peer.sockaddr->sa_family != AF_UNIX && ngx_tcp_nodelay(c) != NGX_OK) {
        ngx_http_checkout_redis_lost(redis, "setting TCP_NODELAY failed");
        return;
    }

#if (NGX_HTTP_SSL)
    if (redis->settings.tls != NULL) {
        ngx_http_checkout_connect_handshake(redis);
        return;
    }
#endif

    ngx_http_checkout_connect_begin(redis);
}


#if (NGX_HTTP_SSL)

/* The name in the handshake, by which Redis may choose its certificate; an address must not stand there. */
static ngx_int_t
ngx_http_checkout_connect_name(ngx_http_checkout_redis_t *redis)
{
    ngx_str_t  *name;
    u_char      text[256];

    name = &redis->settings.tls->name;

    if (name->len == 0 || name->len >= sizeof(text) || ngx_inet_addr(name->data, name->len) != INADDR_NONE
        || ngx_strlchr(name->data, name->data + name->len, ':') != NULL)
    {
        return NGX_OK;
    }

    ngx_cpystrn(text, name->data, name->len + 1);

    return SSL_set_tlsext_host_name(redis->peer.connection->ssl->connection, (char *) text) == 1 ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_checkout_connect_handshake(ngx_http_checkout_redis_t *redis)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = redis->peer.connection;
    c->pool = ngx_create_pool(256, ngx_cycle->log);

    if (c->pool == NULL || ngx_ssl_create_connection(&redis->settings.tls->ssl, c, NGX_SSL_CLIENT) != NGX_OK
        || ngx_http_checkout_connect_name(redis) != NGX_OK)
    {
        ngx_http_checkout_redis_lost(redis, "TLS cannot be started");
        return;
    }

    redis->state = NGX_HTTP_CHECKOUT_REDIS_SECURING;

    rc = ngx_ssl_handshake(c);

    if (rc == NGX_AGAIN) {
        if (!c->write->timer_set) {
            ngx_add_timer(c->write, redis->settings.connect_timeout);
        }

        c->ssl->handler = ngx_http_checkout_connect_secured;
        return;
    }

    ngx_http_checkout_connect_secured(c);
}


static void
ngx_http_checkout_connect_secured(ngx_connection_t *c)
{
    long                        rc;
    ngx_http_checkout_redis_t  *redis;

    redis = c->data;

    if (!c->ssl->handshaked) {
        ngx_http_checkout_redis_lost(redis, c->write->timedout ? "the TLS handshake timed out"
                                                               : "the TLS handshake failed");
        return;
    }

    if (redis->settings.tls->verify) {
        rc = SSL_get_verify_result(c->ssl->connection);

        if (rc != X509_V_OK) {
            ngx_log_error(NGX_LOG_ERR, c->log, 0, "checkout: the certificate of Redis %V is not trusted: (%l:%s)",
                          redis->peer.name, rc, X509_verify_cert_error_string(rc));
            ngx_http_checkout_redis_lost(redis, "its certificate is not trusted");
            return;
        }

        if (ngx_ssl_check_host(c, &redis->settings.tls->name) != NGX_OK) {
            ngx_log_error(NGX_LOG_ERR, c->log, 0, "checkout: the certificate of Redis %V is not one of \"%V\"",
                          redis->peer.name, &redis->settings.tls->name);
            ngx_http_checkout_redis_lost(redis, "its certificate has another name");
            return;
        }
    }

    ngx_http_checkout_connect_begin(redis);
}

#endif


/* AUTH where there is a password, then SELECT. */
static int
ngx_http_checkout_connect_command(ngx_http_checkout_redis_t *redis, char **command)
{
    int                          n;
    char                         number[NGX_INT_T_LEN];
    size_t                       lengths[3];
    const char                  *argv[3];
    ngx_http_checkout_server_t  *server;

    server = redis->settings.server;

    if (server->password.len == 0 || redis->authenticated) {
        argv[0] = "SELECT";
        lengths[0] = 6;
        argv[1] = number;
        lengths[1] = number_write(number, server->database) - number;

        return redisFormatCommandArgv(command, 2, argv, lengths);
    }

    n = 0;
    argv[n] = "AUTH";
    lengths[n++] = 4;

    if (server->user.len) {
        argv[n] = (char *) server->user.data;
        lengths[n++] = server->user.len;
    }

    argv[n] = (char *) server->password.data;
    lengths[n++] = server->password.len;

    return redisFormatCommandArgv(command, n, argv, lengths);
}


static void
ngx_http_checkout_connect_begin(ngx_http_checkout_redis_t *redis)
{
    if (ngx_http_checkout_connect_start(redis) != NGX_OK) {
        ngx_http_checkout_redis_lost(redis, "no memory");
    }
}


/* Called by the reply to AUTH too, so it leaves the connection open when it fails. */
static ngx_int_t
ngx_http_checkout_connect_start(ngx_http_checkout_redis_t *redis)
{
    int                        len;
    ngx_connection_t          *c;
    ngx_http_checkout_call_t  *call;

    c = redis->peer.connection;
    call = &redis->start;

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    len = ngx_http_checkout_connect_command(redis, &call->command);

    if (len < 0) {
        call->command = NULL;
        return NGX_ERROR;
    }

    ngx_http_checkout_call_prepare(call, len);
    call->handler = ngx_http_checkout_connect_started;

    c->read->handler = ngx_http_checkout_redis_read;
    c->write->handler = ngx_http_checkout_redis_write;

    redis->state = NGX_HTTP_CHECKOUT_REDIS_STARTING;
    ngx_queue_insert_head(&redis->unsent, &call->queue);
    ngx_post_event(c->write, &ngx_posted_events);

    return NGX_OK;
}


static void
ngx_http_checkout_connect_started(ngx_http_checkout_call_t *call, redisReply *reply)
{
    ngx_str_t                   word;
    ngx_http_checkout_redis_t  *redis;

    redis = (ngx_http_checkout_redis_t *) ((u_char *) call - offsetof(ngx_http_checkout_redis_t, start));

    if (reply == NULL) {
        return;
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        /* Only the first word: Redis repeats the arguments of a command that it does not know. */
        word.data = (u_char *) reply->str;
        word.len = strcspn(reply->str, " ");

        if (redis->settings.server->password.len && !redis->authenticated) {
            ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "checkout: Redis %V refused the password: %V",
                          &redis->settings.server->name, &word);

        } else {
            ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "checkout: Redis %V refused database %ui: %V",
                          &redis->settings.server->name, redis->settings.server->database, &word);
        }

        ngx_http_checkout_redis_drop(redis);
        return;
    }

    if (redis->settings.server->password.len && !redis->authenticated) {
        redis->authenticated = 1;

        if (ngx_http_checkout_connect_start(redis) != NGX_OK) {
            ngx_http_checkout_redis_drop(redis);
        }

        return;
    }

    ngx_http_checkout_redis_opened(redis);
}
