/*
 * The connections to one server with one way to enter, and the jobs that wait
 * for one of them.
 *
 * All functions are the event loop's. None blocks, with two exceptions:
 * ngx_http_checkout_pools_exit() closes connections, and
 * ngx_http_checkout_pool_drop() does so where no thread can: for want of
 * memory, or because nginx's queue of tasks is full. A pool belongs to this
 * file: whoever has a connection of it, or waits in it, may use the pointer,
 * but keeps it no longer.
 */
#ifndef NGX_HTTP_CHECKOUT_SQL_POOL_H
#define NGX_HTTP_CHECKOUT_SQL_POOL_H

#include <ngx_config.h>
#include <ngx_core.h>

#include "sql/connection.h"
#include "sql/settings.h"


typedef struct ngx_http_checkout_pool_wait_s  ngx_http_checkout_pool_wait_t;

/* A place in a pool's queue; the caller's. */
struct ngx_http_checkout_pool_wait_s {
    ngx_queue_t                queue;
    ngx_http_checkout_pool_t  *pool;

    /*
     * Called once from the event loop, as ngx_http_checkout_pool_dispatch()
     * finds a connection: that is the callee's from then on, and the place in
     * the queue is gone.
     */
    void                     (*ready)(ngx_http_checkout_pool_wait_t *wait,
                                      ngx_http_checkout_conn_t      *conn);
};

/* A worker process starts. */
void ngx_http_checkout_pools_init(void);

/*
 * A worker process ends and no run is under way: closes all connections, which
 * may wait for the network, and frees everything.
 */
void ngx_http_checkout_pools_exit(void);

/*
 * The pool of a server, made where there is none yet. access: of the
 * configuration. sockaddr: is copied. NULL: no memory.
 */
ngx_http_checkout_pool_t *ngx_http_checkout_pool_get(
    ngx_http_checkout_access_t *access, ngx_sockaddr_t *sockaddr,
    socklen_t socklen);

/*
 * Asks for a connection. wait->ready is set; `wait` stays where it is until
 * ready() was called or ngx_http_checkout_pool_leave().
 *
 * NGX_OK: *conn is the caller's. NGX_AGAIN: it waits, and ready() follows.
 * NGX_BUSY: too many wait.
 */
ngx_int_t ngx_http_checkout_pool_enter(ngx_http_checkout_pool_t *pool,
    ngx_http_checkout_pool_wait_t *wait, ngx_http_checkout_conn_t **conn);

/* Waits no longer; only while it waits. */
void ngx_http_checkout_pool_leave(ngx_http_checkout_pool_wait_t *wait);

/*
 * Gives waiting jobs what has come free, of connections and of threads; calls
 * ready() of each. sql/thread.c calls it after each run's done(), so done()
 * need not.
 */
void ngx_http_checkout_pool_dispatch(void);

/*
 * Gives back an open connection on which a job ran well. Serves no job that
 * waits: see pool_dispatch().
 */
void ngx_http_checkout_pool_put(ngx_http_checkout_conn_t *conn);

/*
 * Gives back a connection that is not to be used again. An open one is closed
 * by a run of its own in a thread, and keeps its place in the pool until then;
 * where that run cannot start (no memory, nginx's queue of tasks is full) it
 * is closed here, which may block for a last packet. Then it is freed.
 */
void ngx_http_checkout_pool_drop(ngx_http_checkout_conn_t *conn);

/* Does the server answer, as far as the last run tells? 1 at first. */
ngx_uint_t ngx_http_checkout_pool_answers(ngx_http_checkout_pool_t *pool);
void ngx_http_checkout_pool_set_answers(ngx_http_checkout_pool_t *pool,
    ngx_uint_t answers);

/* Second of the last failure of the server that was logged as an error. */
time_t *ngx_http_checkout_pool_logged(ngx_http_checkout_pool_t *pool);


#endif
