/*
 * The opening of a connection: address, connect, TLS.
 *
 * One step starts the next, each in a function of its own.  A host name is
 * resolved anew for each connection where nginx has a "resolver": a managed
 * Redis moves its name in a failover.  The addresses found last, or else those
 * of the configuration, serve when that fails.
 */
#include "redis/opening.h"


static void ngx_http_checkout_opening_resolve(
    ngx_http_checkout_opening_t *opening);
static void ngx_http_checkout_opening_resolved(ngx_resolver_ctx_t *ctx);
static void ngx_http_checkout_opening_connect(
    ngx_http_checkout_opening_t *opening);
static void ngx_http_checkout_opening_event(ngx_event_t *ev);
static void ngx_http_checkout_opening_connected(
    ngx_http_checkout_opening_t *opening);
#if (NGX_HTTP_SSL)
static void ngx_http_checkout_opening_handshake(
    ngx_http_checkout_opening_t *opening);
static void ngx_http_checkout_opening_secured(ngx_connection_t *c);
#endif


void
ngx_http_checkout_opening_start(ngx_http_checkout_opening_t *opening)
{
    ngx_http_checkout_redis_settings_t  *settings;

    settings = opening->settings;

    if (settings->server->host.len && settings->resolver != NULL) {
        ngx_http_checkout_opening_resolve(opening);

    } else {
        ngx_http_checkout_opening_connect(opening);
    }
}


static void
ngx_http_checkout_opening_failed(ngx_http_checkout_opening_t *opening,
    const char *reason)
{
    opening->failed(opening->data, reason);
}


static void
ngx_http_checkout_opening_resolve(ngx_http_checkout_opening_t *opening)
{
    ngx_resolver_ctx_t  *ctx;

    ctx = ngx_resolve_start(opening->settings->resolver, NULL);

    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {
        ngx_http_checkout_opening_connect(opening);
        return;
    }

    ctx->name = opening->settings->server->host;
    ctx->handler = ngx_http_checkout_opening_resolved;
    ctx->data = opening;
    ctx->timeout = opening->settings->connect_timeout;
    ctx->cancelable = 1;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "checkout redis %V: resolving",
                   &opening->settings->server->name);

    opening->resolve = ctx;

    if (ngx_resolve_name(ctx) != NGX_OK) {
        opening->resolve = NULL;
        ngx_http_checkout_opening_connect(opening);
    }
}


/*
 * The resolver's answer may lie in its cache: then this is called from within
 * ngx_resolve_name().
 */
static void
ngx_http_checkout_opening_resolved(ngx_resolver_ctx_t *ctx)
{
    ngx_uint_t                    i;
    ngx_http_checkout_opening_t  *opening;
    ngx_http_checkout_address_t  *address;

    opening = ctx->data;

    if (ctx->state) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "checkout: Redis %V could not be resolved (%i: %s)",
                      &ctx->name, ctx->state,
                      ngx_resolver_strerror(ctx->state));

    } else {
        opening->naddresses = ngx_min(ctx->naddrs,
                                      NGX_HTTP_CHECKOUT_ADDRESSES);
    }

    for (i = 0; ctx->state == 0 && i < opening->naddresses; i++) {
        address = &opening->addresses[i];
        address->socklen = ctx->addrs[i].socklen;
        ngx_memcpy(&address->sockaddr, ctx->addrs[i].sockaddr,
                   address->socklen);
        ngx_inet_set_port(&address->sockaddr.sockaddr,
                          opening->settings->server->port);
    }

    ngx_resolve_name_done(ctx);
    opening->resolve = NULL;

    ngx_http_checkout_opening_connect(opening);
}


/*
 * The next address: of those that were resolved last, else of the
 * configuration's.
 */
static void
ngx_http_checkout_opening_address(ngx_http_checkout_opening_t *opening)
{
    ngx_uint_t                    i;
    ngx_peer_connection_t        *peer;
    ngx_http_checkout_server_t   *server;
    ngx_http_checkout_address_t  *address;

    peer = &opening->peer;
    server = opening->settings->server;

    ngx_memzero(peer, sizeof(ngx_peer_connection_t));

    if (opening->naddresses) {
        i = opening->next_address % opening->naddresses;
        address = &opening->addresses[i];
        peer->sockaddr = &address->sockaddr.sockaddr;
        peer->socklen = address->socklen;

        opening->peer_name.data = opening->peer_text;
        opening->peer_name.len = ngx_sock_ntop(
            peer->sockaddr, peer->socklen, opening->peer_text,
            NGX_SOCKADDR_STRLEN, 1);
        peer->name = &opening->peer_name;

    } else {
        i = opening->next_address % server->naddrs;
        peer->sockaddr = server->addrs[i].sockaddr;
        peer->socklen = server->addrs[i].socklen;
        peer->name = &server->addrs[i].name;
    }

    peer->get = ngx_event_get_peer;
    peer->log = ngx_cycle->log;
    peer->log_error = NGX_ERROR_ERR;
}


static void
ngx_http_checkout_opening_connect(ngx_http_checkout_opening_t *opening)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    ngx_http_checkout_opening_address(opening);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "checkout redis %V: connecting to %V",
                   &opening->settings->server->name, opening->peer.name);

    rc = ngx_event_connect_peer(&opening->peer);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        /* nginx has logged why */
        ngx_http_checkout_opening_failed(opening, NULL);
        return;
    }

    c = opening->peer.connection;
    c->data = opening;
    c->read->handler = ngx_http_checkout_opening_event;
    c->write->handler = ngx_http_checkout_opening_event;

    /*
     * A worker process that is told to exit waits for its requests, through
     * their clocks, but not for the connection.
     */
    c->read->cancelable = 1;
    c->write->cancelable = 1;

    if (rc == NGX_AGAIN) {
        ngx_add_timer(c->write, opening->settings->connect_timeout);
        return;
    }

    ngx_http_checkout_opening_connected(opening);
}


static void
ngx_http_checkout_opening_event(ngx_event_t *ev)
{
    int                           err;
    socklen_t                     len;
    ngx_connection_t             *c;
    ngx_http_checkout_opening_t  *opening;

    c = ev->data;
    opening = c->data;

    if (ev->timedout) {
        ngx_http_checkout_opening_failed(opening, "connecting timed out");
        return;
    }

    if (c->close) {
        ngx_http_checkout_opening_failed(opening, NULL);
        return;
    }

    err = 0;
    len = sizeof(int);

    /*
     * BSDs and Linux return 0 and set a pending error in err
     * Solaris returns -1 and sets errno
     */
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err) {
        ngx_log_error(NGX_LOG_ERR, c->log, err,
                      "checkout: connect() to Redis %V failed",
                      opening->peer.name);
        ngx_http_checkout_opening_failed(opening, NULL);
        return;
    }

    if (!c->write->ready) {
        return;
    }

    ngx_http_checkout_opening_connected(opening);
}


static void
ngx_http_checkout_opening_connected(ngx_http_checkout_opening_t *opening)
{
    ngx_connection_t  *c;

    c = opening->peer.connection;

    /* A command must not wait until earlier ones are acknowledged. */
    if (opening->peer.sockaddr->sa_family != AF_UNIX
        && ngx_tcp_nodelay(c) != NGX_OK)
    {
        ngx_http_checkout_opening_failed(opening,
                                         "setting TCP_NODELAY failed");
        return;
    }

#if (NGX_HTTP_SSL)
    if (opening->settings->tls != NULL) {
        ngx_http_checkout_opening_handshake(opening);
        return;
    }
#endif

    opening->opened(opening->data, c);
}


#if (NGX_HTTP_SSL)

/*
 * The name in the handshake, by which the server may choose its certificate;
 * RFC 6066 forbids an address there.
 */
static ngx_int_t
ngx_http_checkout_opening_name(ngx_http_checkout_opening_t *opening)
{
    ngx_str_t       *name;
    ngx_ssl_conn_t  *connection;
    u_char           text[256];

    name = &opening->settings->tls->name;

    if (name->len == 0 || name->len >= sizeof(text)
        || ngx_inet_addr(name->data, name->len) != INADDR_NONE
        || ngx_strlchr(name->data, name->data + name->len, ':') != NULL)
    {
        return NGX_OK;
    }

    ngx_cpystrn(text, name->data, name->len + 1);

    connection = opening->peer.connection->ssl->connection;

    return SSL_set_tlsext_host_name(connection, (char *) text) == 1
               ? NGX_OK
               : NGX_ERROR;
}


static void
ngx_http_checkout_opening_handshake(ngx_http_checkout_opening_t *opening)
{
    ngx_int_t          rc;
    ngx_ssl_t         *ssl;
    ngx_connection_t  *c;

    ssl = &opening->settings->tls->ssl;
    c = opening->peer.connection;
    c->pool = ngx_create_pool(256, ngx_cycle->log);

    if (c->pool == NULL
        || ngx_ssl_create_connection(ssl, c, NGX_SSL_CLIENT) != NGX_OK
        || ngx_http_checkout_opening_name(opening) != NGX_OK)
    {
        ngx_http_checkout_opening_failed(opening, "TLS cannot be started");
        return;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "checkout redis %V: TLS handshake",
                   &opening->settings->server->name);

    rc = ngx_ssl_handshake(c);

    if (rc == NGX_AGAIN) {
        if (!c->write->timer_set) {
            ngx_add_timer(c->write, opening->settings->connect_timeout);
        }

        c->ssl->handler = ngx_http_checkout_opening_secured;
        return;
    }

    ngx_http_checkout_opening_secured(c);
}


static void
ngx_http_checkout_opening_secured(ngx_connection_t *c)
{
    long                          rc;
    ngx_http_checkout_tls_t      *tls;
    ngx_http_checkout_opening_t  *opening;

    opening = c->data;
    tls = opening->settings->tls;

    if (!c->ssl->handshaked) {
        ngx_http_checkout_opening_failed(
            opening, c->write->timedout ? "the TLS handshake timed out"
                                        : "the TLS handshake failed");
        return;
    }

    if (tls->verify) {
        rc = SSL_get_verify_result(c->ssl->connection);

        if (rc != X509_V_OK) {
            ngx_log_error(NGX_LOG_ERR, c->log, 0,
                          "checkout: the certificate of Redis %V is not "
                          "trusted: (%l:%s)",
                          opening->peer.name, rc,
                          X509_verify_cert_error_string(rc));
            ngx_http_checkout_opening_failed(opening,
                                             "its certificate is not trusted");
            return;
        }

        if (ngx_ssl_check_host(c, &tls->name) != NGX_OK) {
            ngx_log_error(NGX_LOG_ERR, c->log, 0,
                          "checkout: the certificate of Redis %V is not one "
                          "of \"%V\"",
                          opening->peer.name, &tls->name);
            ngx_http_checkout_opening_failed(
                opening, "its certificate has another name");
            return;
        }
    }

    opening->opened(opening->data, c);
}

#endif


/*
 * Commands without a reply are sent again on the next connection, to learn
 * what became of them.  What the kernel still holds of the first attempt must
 * not reach Redis after the second: it is thrown away.
 */
static void
ngx_http_checkout_opening_reset(ngx_connection_t *c)
{
    struct linger  linger;

    linger.l_onoff = 1;
    linger.l_linger = 0;

    if (setsockopt(c->fd, SOL_SOCKET, SO_LINGER, (const void *) &linger,
                   sizeof(struct linger))
        == -1)
    {
        ngx_log_error(NGX_LOG_ALERT, c->log, ngx_socket_errno,
                      "checkout: setsockopt(SO_LINGER) failed");
    }
}


void
ngx_http_checkout_opening_close(ngx_http_checkout_opening_t *opening,
    ngx_uint_t reset)
{
    ngx_pool_t        *pool;
    ngx_connection_t  *c;

    if (opening->resolve != NULL) {
        ngx_resolve_name_done(opening->resolve);
        opening->resolve = NULL;
    }

    c = opening->peer.connection;

    if (c == NULL) {
        return;
    }

    if (reset) {
        ngx_http_checkout_opening_reset(c);
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
    opening->peer.connection = NULL;

    if (pool != NULL) {
        ngx_destroy_pool(pool);
    }
}
