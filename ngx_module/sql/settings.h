/*
 * Which MySQL servers, how to enter, how many connections.
 */
#ifndef NGX_HTTP_CHECKOUT_SQL_SETTINGS_H
#define NGX_HTTP_CHECKOUT_SQL_SETTINGS_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "mysql/db.h"


/* What "checkout_mysql" says. The texts end with NUL. */
typedef struct {
    const char                  *database;
    const char                  *user;
    const char                  *password;   /* NULL: none; never logged */
    ngx_uint_t                   server_public_key;
} ngx_http_checkout_mysql_t;

/* What "checkout_pool" says, for each server. */
typedef struct {
    ngx_uint_t                   size;       /* connections */
    ngx_uint_t                   queue;      /* jobs that wait for one */
    ngx_msec_t                   timeout;    /* for so long */
    ngx_msec_t                   idle;       /* a connection without work is closed after that */
} ngx_http_checkout_pool_conf_t;

/* What locations share that say the same of MySQL. */
typedef struct {
    struct db_server             server;     /* all but the address; its time-outs bound those that follow */
    ngx_msec_t                   connect_timeout;
    ngx_msec_t                   read_timeout;
    ngx_http_checkout_pool_conf_t  pool;
    ngx_uint_t                   writes;     /* 1: of locations that write; reads have other connections */
    ngx_array_t                  upstreams;  /* ngx_http_upstream_srv_conf_t * */
    ngx_str_t                    file;       /* where the first of the locations has its handler */
    ngx_uint_t                   line;
    time_t                       logged;     /* of a worker process: second of the last "no live server" error */
} ngx_http_checkout_access_t;


#endif
