/*
 * Entries of r->upstream_states for the runs of a job.
 */
#include "sql/upstream_state.h"


static ngx_http_upstream_state_t *
ngx_http_checkout_upstream_state_push(ngx_http_request_t *r)
{
    ngx_http_upstream_state_t  *state;

    if (r->upstream_states == NULL) {
        r->upstream_states = ngx_array_create(
            r->pool, 1, sizeof(ngx_http_upstream_state_t));

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


/* nginx shows an entry without a server as a colon. */
void
ngx_http_checkout_upstream_state_separate(ngx_http_request_t *r)
{
    if (r->upstream_states != NULL && r->upstream_states->nelts) {
        (void) ngx_http_checkout_upstream_state_push(r);
    }
}


void
ngx_http_checkout_upstream_state_open(
    ngx_http_checkout_upstream_state_t *state, ngx_http_request_t *r,
    ngx_str_t *server)
{
    ngx_str_t                  *name;
    ngx_http_upstream_state_t  *us;

    name = ngx_palloc(r->pool, sizeof(ngx_str_t));
    us = name != NULL ? ngx_http_checkout_upstream_state_push(r) : NULL;

    if (us == NULL) {
        return;
    }

    name->len = server->len;
    name->data = ngx_pstrdup(r->pool, server);

    if (name->data == NULL) {
        name->len = 0;
    }

    us->peer = name;
    us->response_time = (ngx_msec_t) -1;
    us->connect_time = (ngx_msec_t) -1;
    us->header_time = (ngx_msec_t) -1;

    state->index = r->upstream_states->nelts - 1;
    state->started = ngx_current_msec;
    state->open = 1;
}


void
ngx_http_checkout_upstream_state_close(
    ngx_http_checkout_upstream_state_t *state, ngx_http_request_t *r,
    ngx_uint_t status, ngx_http_checkout_run_t *run)
{
    ngx_http_upstream_state_t  *us;

    if (!state->open) {
        return;
    }

    state->open = 0;
    us = r->upstream_states->elts;
    us += state->index;
    us->status = status;
    us->response_time = ngx_current_msec - state->started;

    if (run == NULL) {
        return;
    }

    if (ngx_http_checkout_run_phase(run) == NGX_HTTP_CHECKOUT_RUN_RUNNING) {
        us->connect_time = (run->connected - run->begun) / 1000;
    }

    if (status == NGX_HTTP_OK) {
        us->header_time = us->response_time;
        us->response_length = run->result.body.len;
    }
}
