/*
 * A connection to a MySQL server, as the threads and the pools share it.
 *
 * Its pool makes it and frees it. While a run has it (sql/thread.h), `db` is
 * the thread's, and nobody else touches it; else all of it is the event
 * loop's. The functions are the event loop's and do not block.
 */
#ifndef NGX_HTTP_CHECKOUT_SQL_CONNECTION_H
#define NGX_HTTP_CHECKOUT_SQL_CONNECTION_H

#include <ngx_config.h>
#include <ngx_core.h>

#include "mysql/db.h"


typedef struct ngx_http_checkout_pool_s  ngx_http_checkout_pool_t;
typedef struct ngx_http_checkout_conn_s  ngx_http_checkout_conn_t;

struct ngx_http_checkout_conn_s {
    struct db                  db;
    /* a second descriptor of db's socket, of the event loop; -1: none */
    int                        fd;
    unsigned                   writes:1;  /* of a pool of jobs that write */
    /* has run a job since it was opened */
    unsigned                   used:1;
    /* the server has closed it: the next run opens it again */
    unsigned                   stale:1;
    /* of its pool */
    ngx_queue_t                idle;  /* in pool->idle */
    ngx_queue_t                all;   /* in pool->all */
    ngx_http_checkout_pool_t  *pool;
    ngx_msec_t                 idle_since;
};

/* 1: it is connected, as far as is known. Not while a run has it. */
#define ngx_http_checkout_conn_is_open(conn)  ((conn)->db.mysql != NULL)

/* 1: the server has closed a connection that should be silent. */
ngx_uint_t ngx_http_checkout_conn_is_stale(ngx_http_checkout_conn_t *conn);

/* Closes the second descriptor, if there is one. */
void ngx_http_checkout_conn_close_fd(ngx_http_checkout_conn_t *conn);


#endif
