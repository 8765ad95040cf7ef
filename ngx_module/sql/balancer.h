/*
 * The choice of a server by nginx's own upstream.
 *
 * All functions are the event loop's; none blocks. What they allocate comes
 * from the job's pool. How a balancer is given a request: see balancer.c.
 */
#ifndef NGX_HTTP_CHECKOUT_SQL_BALANCER_H
#define NGX_HTTP_CHECKOUT_SQL_BALANCER_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* The caller's; zeroed before init. */
typedef struct {
    /* the balancer's copy of the request; NULL before init */
    ngx_http_request_t  *shadow;
    /* of the server that is held, or was held last; in the job's pool */
    ngx_str_t            name;
    ngx_sockaddr_t       sockaddr;
    socklen_t            socklen;
    unsigned             held:1;
} ngx_http_checkout_peer_t;

/* NGX_OK, or else NGX_ERROR: no memory, or the balancer says so. */
ngx_int_t ngx_http_checkout_peer_init(ngx_http_checkout_peer_t *peer,
    ngx_http_request_t *r, ngx_http_upstream_srv_conf_t *upstream,
    ngx_pool_t *pool);

/*
 * Holds the next server; only while none is held and the request is there.
 * NGX_OK: its name and address are set. NGX_BUSY: none is left that may be
 * asked. NGX_ERROR: no memory, or the balancer says so; none is held.
 */
ngx_int_t ngx_http_checkout_peer_next(ngx_http_checkout_peer_t *peer,
    ngx_log_t *log);

/* How many servers may still be asked. */
ngx_uint_t ngx_http_checkout_peer_left(ngx_http_checkout_peer_t *peer);

/* Lets go of the server, if one is held. state: 0, or NGX_PEER_FAILED. */
void ngx_http_checkout_peer_release(ngx_http_checkout_peer_t *peer,
    ngx_uint_t state);

/* The request goes away, and its log with it. Also before init. */
void ngx_http_checkout_peer_detach(ngx_http_checkout_peer_t *peer);

/* Releases it, and frees what a balancer left. Also before init. */
void ngx_http_checkout_peer_end(ngx_http_checkout_peer_t *peer);


#endif
