/*
 * The choice of a server by the native upstream: weights, backups, max_fails, least_conn, max_conns and all else
 * that a balancer does, through its calls init, get and free alone.
 *
 * A balancer wants a request, and keeps its data in the request's pool and in r->upstream. Here it gets a copy of the
 * request instead, with the job's pool and an upstream of its own: nginx never sees the latter, and the server can
 * be held as long as a try runs, also when the request has gone. The copy has its own variables, so that what a
 * balancer evaluates does not outlive the job. The pool owns it all.
 *
 * Once the request has gone, its copy is good for little: `pool`, `upstream`, `variables` (the array, not what its
 * values point to) and `cleanup` are the job's own, everything else, `connection`, `main` and `ctx` first of all, may
 * dangle. So get() is not called any more then, only free(), which has its data from init(), and what stands in
 * `cleanup`. The copy of a subrequest has the real main request as `main`, which a balancer may want to know; one that
 * called ngx_http_cleanup_add() for it would leave there what points into the job's pool. None of nginx's own does.
 *
 * The balancer's data of a server may go with free() (zone, resolve), so name and address are copied from get().
 */
#include "sql/private.h"


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
ngx_http_checkout_peer_init(ngx_http_checkout_peer_t *peer, ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *upstream, ngx_pool_t *pool)
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
ngx_http_checkout_peer_copy(ngx_http_checkout_peer_t *peer, ngx_peer_connection_t *pc)
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


/* NGX_OK: a server is held. NGX_BUSY: there is none left that may be asked. */
ngx_int_t
ngx_http_checkout_peer_next(ngx_http_checkout_peer_t *peer, ngx_log_t *log)
{
    ngx_int_t               rc;
    ngx_peer_connection_t  *pc;

    pc = &peer->shadow->upstream->peer;
    pc->log = log;
    rc = pc->get(pc, pc->data);

    /* The upstream may keep connections of another protocol to the same server; they are of no use here. */
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


/* How many servers may still be tried. */
ngx_uint_t
ngx_http_checkout_peer_left(ngx_http_checkout_peer_t *peer)
{
    return peer->shadow->upstream->peer.tries;
}


/* state: 0, or NGX_PEER_FAILED. */
void
ngx_http_checkout_peer_release(ngx_http_checkout_peer_t *peer, ngx_uint_t state)
{
    ngx_peer_connection_t  *pc;

    if (!peer->held) {
        return;
    }

    peer->held = 0;
    pc = &peer->shadow->upstream->peer;
    pc->free(pc, pc->data, state);
}


/* The request goes away, and its log with it. */
void
ngx_http_checkout_peer_forget_request(ngx_http_checkout_peer_t *peer)
{
    if (peer->shadow != NULL) {
        peer->shadow->upstream->peer.log = ngx_cycle->log;
    }
}


/* A balancer may have left something to be cleaned up with the request. */
void
ngx_http_checkout_peer_end(ngx_http_checkout_peer_t *peer)
{
    ngx_http_cleanup_t  *cleanup;

    if (peer->shadow == NULL) {
        return;
    }

    ngx_http_checkout_peer_release(peer, 0);

    for (cleanup = peer->shadow->cleanup; cleanup; cleanup = cleanup->next) {
        if (cleanup->handler) {
            cleanup->handler(cleanup->data);
        }
    }
}


/* What $upstream_addr and its like say of the tries, as nginx's own upstreams keep it. */
static ngx_http_upstream_state_t *
ngx_http_checkout_state_push(ngx_http_request_t *r)
{
    ngx_http_upstream_state_t  *state;

    if (r->upstream_states == NULL) {
        r->upstream_states = ngx_array_create(r->pool, 1, sizeof(ngx_http_upstream_state_t));

        if (r->upstream_states == NULL) {
            return NULL;
        }
    }

    state = ngx_array_push(r->upstream_states);

    if (state != NULL) {
        ngx_memzero(state, sizeof(ngx_http_upstream_state_t));
    }

    return state;
}


/* A job starts: what was before is kept apart. */
void
ngx_http_checkout_state_separate(ngx_http_request_t *r)
{
    if (r->upstream_states != NULL && r->upstream_states->nelts) {
        (void) ngx_http_checkout_state_push(r);
    }
}


/* A try starts. */
void
ngx_http_checkout_state_begin(ngx_http_checkout_task_t *task)
{
    ngx_str_t                  *name;
    ngx_http_request_t         *r;
    ngx_http_upstream_state_t  *state;

    r = task->request;

    if (r == NULL) {
        return;
    }

    name = ngx_palloc(r->pool, sizeof(ngx_str_t));
    state = name != NULL ? ngx_http_checkout_state_push(r) : NULL;

    if (state == NULL) {
        return;
    }

    name->len = task->peer.name.len;
    name->data = ngx_pstrdup(r->pool, &task->peer.name);

    if (name->data == NULL) {
        name->len = 0;
    }

    state->peer = name;
    state->response_time = (ngx_msec_t) -1;
    state->connect_time = (ngx_msec_t) -1;
    state->header_time = (ngx_msec_t) -1;

    task->upstream_state = r->upstream_states->nelts - 1;
    task->tried_at = ngx_current_msec;
    task->logged = 1;
}


/* A try ends or is given up, or the request waits for it no longer: try is NULL then. */
void
ngx_http_checkout_state_end(ngx_http_checkout_task_t *task, ngx_http_checkout_try_t *try, ngx_uint_t status)
{
    ngx_http_upstream_state_t  *state;

    if (!task->logged || task->request == NULL) {
        return;
    }

    task->logged = 0;
    state = (ngx_http_upstream_state_t *) task->request->upstream_states->elts + task->upstream_state;
    state->status = status;
    state->response_time = ngx_current_msec - task->tried_at;

    if (try != NULL && ngx_http_checkout_try_phase(try) == NGX_HTTP_CHECKOUT_TRY_RUN) {
        state->connect_time = (try->connected - try->begun) / 1000;
    }

    if (try != NULL && status == NGX_HTTP_OK) {
        state->header_time = state->response_time;
        state->response_length = try->result.body.len;
    }
}
