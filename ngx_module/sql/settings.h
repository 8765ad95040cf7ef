/*
 * Which MySQL servers, how to enter, how many connections. conf/ fills all of
 * it; it lives as long as the configuration.
 */
#ifndef NGX_HTTP_CHECKOUT_SQL_SETTINGS_H
#define NGX_HTTP_CHECKOUT_SQL_SETTINGS_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "mysql/db.h"
#include "request/settings.h"


/* What "checkout_pool" says, for each server. */
typedef struct {
    ngx_uint_t  size;     /* connections */
    ngx_uint_t  queue;    /* jobs that wait for one */
    ngx_msec_t  timeout;  /* how long a job waits for one */
    ngx_msec_t  idle;     /* then an unused one is closed */
} ngx_http_checkout_pool_conf_t;

/*
 * How to enter, and the bounds of the pools. Locations whose settings are
 * equal share it; each of its servers has one pool.
 */
typedef struct {
    /* all but the address; its time-outs are longer than those that follow */
    struct db_server               server;
    /*
     * The timer of sql/job.c counts both. This one: from the handing of a run
     * to the threads until it is connected and the session's first statements
     * are answered; read_timeout bounds that too where it is shorter.
     */
    ngx_msec_t                     connect_timeout;
    /*
     * For each statement of a job, from its sending to its whole answer, not
     * for each read of the network: db_begun() says when it began. Of jobs
     * that write 1500 ms at least. A little earlier the server itself ends the
     * statement (server.statement_timeout; MySQL does so for reads alone). The
     * client library's time-out, for each read of the network, is a second
     * longer and only ends a thread that hangs. How long a request waits for
     * the whole of a job, with all its statements and servers, the request's
     * time alone bounds; a run that is under way then goes on without it.
     */
    ngx_msec_t                     read_timeout;
    ngx_http_checkout_pool_conf_t  pool;
    /* 1: of locations that write; readers have others */
    ngx_uint_t                     writes;
    /* ngx_http_upstream_srv_conf_t * */
    ngx_array_t                    upstreams;
    /* where the handler of the first location stands */
    ngx_str_t                      file;
    ngx_uint_t                     line;
    /* of a worker process: second of the last "no live server" */
    time_t                         logged;
} ngx_http_checkout_access_t;

/* Of a location. */
typedef struct {
    /* NULL: it has no MySQL */
    ngx_http_checkout_access_t           *access;
    /* NULL: the primary is read */
    ngx_http_upstream_srv_conf_t         *read_from;
    ngx_http_upstream_srv_conf_t         *primary;  /* NULL: none */
    const ngx_http_checkout_directive_t  *handler;  /* for messages */
} ngx_http_checkout_sql_settings_t;

/* Of a worker process. */
typedef struct {
    ngx_str_t   pool;  /* name of nginx's thread pool */
    ngx_uint_t  max;   /* threads that it has */
    ngx_uint_t  kept;  /* of these, for jobs that write */
} ngx_http_checkout_threads_settings_t;


#endif
