/*
 * The opening of a connection: address, connect, TLS.
 */
#ifndef NGX_HTTP_CHECKOUT_REDIS_OPENING_H
#define NGX_HTTP_CHECKOUT_REDIS_OPENING_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>

#include "redis/settings.h"


#define NGX_HTTP_CHECKOUT_ADDRESSES  8 /* of one name, tried in turn */


typedef struct {
    ngx_sockaddr_t  sockaddr;
    socklen_t       socklen;
} ngx_http_checkout_address_t;

typedef void (*ngx_http_checkout_opened_pt)(void *data, ngx_connection_t *c);
typedef void (*ngx_http_checkout_failed_pt)(void *data, const char *reason);

/* Part of the connection's own object. */
typedef struct {
    /* of the owner, set once */
    ngx_http_checkout_redis_settings_t  *settings;
    void                                *data;

    /*
     * The connection is there.  It takes both events, and c->data.  A timer of
     * the write event may be set, for what was waited for.  Also called from
     * within start().
     */
    ngx_http_checkout_opened_pt          opened;

    /*
     * It could not be opened.  reason: for the log; NULL: it is logged.  The
     * owner calls close(), now or later.  Also called from within start().
     */
    ngx_http_checkout_failed_pt          failed;

    /* the owner adds one when the next address is to be tried */
    ngx_uint_t                           next_address;

    /* of opening.c */
    ngx_peer_connection_t                peer;
    /* while the name is asked for */
    ngx_resolver_ctx_t                  *resolve;
    ngx_http_checkout_address_t          addresses[NGX_HTTP_CHECKOUT_ADDRESSES];
    ngx_uint_t                           naddresses;  /* found last */
    ngx_str_t                            peer_name;
    u_char                               peer_text[NGX_SOCKADDR_STRLEN];
} ngx_http_checkout_opening_t;


/*
 * Begins, while nothing is open: then opened() or failed() is called, once.
 * Does not block: the name is asked of nginx's resolver.
 */
void ngx_http_checkout_opening_start(ngx_http_checkout_opening_t *opening);

/*
 * Closes what start() opened, and gives up what is under way; neither opened()
 * nor failed() is called after that.  reset: what the kernel has not sent yet
 * is thrown away.
 */
void ngx_http_checkout_opening_close(ngx_http_checkout_opening_t *opening,
    ngx_uint_t reset);


#endif
