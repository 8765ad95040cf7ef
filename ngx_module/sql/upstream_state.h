/*
 * What $upstream_addr, $upstream_status and their like say of the runs of a
 * job, kept as nginx's own upstreams keep it: in r->upstream_states.
 *
 * All functions are the event loop's; none blocks. Where there is no memory
 * for an entry, it is left out.
 */
#ifndef NGX_HTTP_CHECKOUT_SQL_UPSTREAM_STATE_H
#define NGX_HTTP_CHECKOUT_SQL_UPSTREAM_STATE_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "sql/thread.h"


/* The entry of the run that is under way; zeroed at first. */
typedef struct {
    ngx_uint_t  index;  /* in r->upstream_states */
    ngx_msec_t  started;
    unsigned    open:1;  /* there is one */
} ngx_http_checkout_upstream_state_t;

/* A job starts: entries that were there before are kept apart. */
void ngx_http_checkout_upstream_state_separate(ngx_http_request_t *r);

/* A run starts on a server. */
void ngx_http_checkout_upstream_state_open(
    ngx_http_checkout_upstream_state_t *state, ngx_http_request_t *r,
    ngx_str_t *server);

/*
 * The run ended, or is waited for no longer. status: as of HTTP. run: NULL
 * where it goes on. Does nothing unless an entry is open.
 */
void ngx_http_checkout_upstream_state_close(
    ngx_http_checkout_upstream_state_t *state, ngx_http_request_t *r,
    ngx_uint_t status, ngx_http_checkout_run_t *run);


#endif
