/*
 * The choice of a server by nginx's own upstream: weights, backups, max_fails,
 * least_conn, max_conns and whatever else a balancer does, through its calls
 * init, get and free alone.
 *
 * A balancer wants a request, and keeps its data in the request's pool and in
 * r->upstream. Here it gets a copy of the request, with the job's pool and an
 * upstream of its own. nginx never sees the latter, and the server can be held
 * as long as a run is under way, also when the request has gone. The copy has
 * its own variables, so what a balancer evaluates does not outlive the job.
 * The job's pool owns it all.
 *
 * Once the request has gone, only some of the copy may be used: `pool`,
 * `upstream`, `variables` (the array, not what its values point to) and
 * `cleanup` are the job's own. All else may dangle, `connection`, `main` and
 * `ctx` first of all. So get() is not called any more then, only free(), which
 * has its data from init(), and what stands in `cleanup`. The copy of a
 * subrequest has the real main request as `main`, which a balancer may want to
 * know. One that called ngx_http_cleanup_add() for it would leave there what
 * points into the job's pool; none of nginx's own does.
 *
 * The balancer's data of a server may go with free() (zone, resolve), so name
 * and address are copied when get() gives them.
 */
#include "sql/balancer.h"


static ngx_http_request_t *
ngx_http_checkout_peer_shadow(ngx_http_request_t *r, ngx_pool_t *pool)
{
    size_t                      size;
    ngx_http_request_t         *shadow;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);
    size = cmcf->variables.nelts * sizeof(ngx_http_variable_value_t);

    shadow = ngx_palloc(pool, sizeof(ngx_http_request_t));

    if (shadow == NULL) {
        return NULL;
    }

    *shadow = *r;
    shadow->pool = pool;
    shadow->main = r == r->main ? shadow : r->main;
    shadow->cleanup = NULL;
    shadow->realloc_captures = 1;
    shadow->upstream = ngx_pcalloc(pool, sizeof(ngx_http_upstream_t));
    shadow->variables = ngx_palloc(pool, size);

    if (shadow->upstream == NULL || shadow->variables == NULL) {
        return NULL;
    }

    ngx_memcpy(shadow->variables, r->variables, size);

    return shadow;
}


ngx_int_t
ngx_http_checkout_peer_init(ngx_http_checkout_peer_t *peer,
    ngx_http_request_t *r, ngx_http_upstream_srv_conf_t *upstream,
    ngx_pool_t *pool)
{
    ngx_http_upstream_t  *u;

    peer->shadow = ngx_http_checkout_peer_shadow(r, pool);

    if (peer->shadow == NULL) {
        return NGX_ERROR;
    }

    u = peer->shadow->upstream;
    u->upstream = upstream;
    u->peer.log = r->connection->log;
    u->peer.log_error = NGX_ERROR_ERR;
    u->peer.start_time = ngx_current_msec;

    return upstream->peer.init(peer->shadow, upstream);
}


static ngx_int_t
ngx_http_checkout_peer_copy(ngx_http_checkout_peer_t *peer,
    ngx_peer_connection_t *pc)
{
    if (pc->socklen > (socklen_t) sizeof(ngx_sockaddr_t)) {
        return NGX_ERROR;
    }

    ngx_memcpy(&peer->sockaddr, pc->sockaddr, pc->socklen);
    peer->socklen = pc->socklen;
    peer->name.len = pc->name->len;
    peer->name.data = ngx_pstrdup(peer->shadow->pool, pc->name);

    return peer->name.data != NULL ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_checkout_peer_next(ngx_http_checkout_peer_t *peer, ngx_log_t *log)
{
    ngx_int_t               rc;
    ngx_peer_connection_t  *pc;

    pc = &peer->shadow->upstream->peer;
    pc->log = log;
    rc = pc->get(pc, pc->data);

    /* a connection that the upstream keeps, of another protocol */
    if (rc == NGX_DONE) {
        if (pc->connection != NULL) {
            ngx_close_connection(pc->connection);
            pc->connection = NULL;
        }

        rc = NGX_OK;
    }

    if (rc != NGX_OK) {
        return rc == NGX_BUSY ? NGX_BUSY : NGX_ERROR;
    }

    peer->held = 1;

    if (ngx_http_checkout_peer_copy(peer, pc) != NGX_OK) {
        ngx_http_checkout_peer_release(peer, 0);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_checkout_peer_left(ngx_http_checkout_peer_t *peer)
{
    return peer->shadow->upstream->peer.tries;
}


void
ngx_http_checkout_peer_release(ngx_http_checkout_peer_t *peer,
    ngx_uint_t state)
{
    ngx_peer_connection_t  *pc;

    if (!peer->held) {
        return;
    }

    peer->held = 0;
    pc = &peer->shadow->upstream->peer;
    pc->free(pc, pc->data, state);
}


void
ngx_http_checkout_peer_detach(ngx_http_checkout_peer_t *peer)
{
    if (peer->shadow != NULL) {
        peer->shadow->upstream->peer.log = ngx_cycle->log;
    }
}


void
ngx_http_checkout_peer_end(ngx_http_checkout_peer_t *peer)
{
    ngx_http_cleanup_t  *cleanup;

    if (peer->shadow == NULL) {
        return;
    }

    ngx_http_checkout_peer_release(peer, 0);

    /* what a balancer wanted to be cleaned up with the request */
    for (cleanup = peer->shadow->cleanup; cleanup; cleanup = cleanup->next) {
        if (cleanup->handler) {
            cleanup->handler(cleanup->data);
        }
    }
}
