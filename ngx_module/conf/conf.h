/*
 * The configuration: what a location says, and the objects that locations share.
 */
#ifndef NGX_HTTP_CHECKOUT_CONF_CONF_H
#define NGX_HTTP_CHECKOUT_CONF_CONF_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "conf/query.h"
#include "gate/queue.h"
#include "redis/connection.h"
#include "request/clock.h"
#include "sql/settings.h"


typedef struct ngx_http_checkout_ready_s  ngx_http_checkout_ready_t;


typedef struct {
    ngx_array_t                  accesses;   /* ngx_http_checkout_access_t * */
    ngx_str_t                    thread_pool;   /* its name */
    ngx_uint_t                   threads;       /* that it is said to have */
    ngx_uint_t                   threads_kept;  /* of these, that readers leave to who writes */
    ngx_http_checkout_zone_t    *zone;       /* NULL: none */
#if (NGX_HTTP_SSL)
    ngx_array_t                  tls;        /* ngx_http_checkout_tls_t * */
#endif
    ngx_array_t                  redis;      /* ngx_http_checkout_redis_t * */
    ngx_array_t                  gates;      /* ngx_http_checkout_gate_t * */
    ngx_array_t                  clocks;     /* ngx_http_checkout_clock_t * */
} ngx_http_checkout_main_conf_t;

typedef struct {
    ngx_http_checkout_server_t  *server;
    ngx_uint_t                   max_quantity;
    ngx_uint_t                   queue_limit;
    ngx_msec_t                   timeout;
    ngx_msec_t                   connect_timeout;
    ngx_msec_t                   send_timeout;
    ngx_msec_t                   read_timeout;
    ngx_msec_t                   sold_out_cache;    /* 0: off */
    ngx_http_complex_value_t    *user;              /* NULL: the body says who buys */
    time_t                       sticky;            /* s, 0: off */
    u_char                      *admin_token;       /* its SHA-256; NULL: none */
    ngx_flag_t                   ssl;
    ngx_flag_t                   ssl_verify;
    ngx_str_t                    ssl_name;
    ngx_str_t                    ssl_certificate;
    ngx_str_t                    ssl_certificate_key;
    ngx_str_t                    ssl_trusted_certificate;

    ngx_http_checkout_mysql_t   *mysql;      /* NULL: none */
    ngx_http_upstream_srv_conf_t  *read_from;   /* NULL: reads go to the primary */
    ngx_http_upstream_srv_conf_t  *primary;     /* NULL: none */
    ngx_http_checkout_pool_conf_t  pool;
    ngx_msec_t                   mysql_connect_timeout;
    ngx_msec_t                   mysql_read_timeout;
    ngx_flag_t                   mysql_ssl;
    ngx_flag_t                   mysql_ssl_verify;
    ngx_str_t                    mysql_ssl_certificate;
    ngx_str_t                    mysql_ssl_certificate_key;
    ngx_str_t                    mysql_ssl_trusted_certificate;
    ngx_http_checkout_access_t  *access;     /* NULL: the location has no MySQL */

    ngx_str_t                    handler;    /* name of the handler's directive, where, and its value */
    ngx_str_t                    file;
    ngx_uint_t                   line;
    ngx_http_complex_value_t    *value;
    ngx_http_checkout_ready_t   *ready;      /* of checkout_ready */
    ngx_http_checkout_query_t   *query;      /* of checkout_query and its companions; NULL: none */
    size_t                       query_max_size;

    ngx_uint_t                   webhook;           /* enum checkout_scheme */
    ngx_array_t                 *webhook_secret_files;
    ngx_array_t                 *webhook_secrets;   /* struct checkout_secret; never logged */
    time_t                       webhook_tolerance;

    ngx_http_checkout_redis_t   *redis;
    ngx_http_checkout_gate_t    *gate;
    ngx_http_checkout_clock_t   *clock;
    ngx_http_checkout_clock_t   *lookup_clock;   /* half of it, where MySQL is asked after Redis */
    ngx_http_checkout_zone_t    *zone;       /* where marks are asked for; NULL: nowhere */
#if (NGX_HTTP_SSL)
    ngx_http_checkout_tls_t     *tls;
#endif
} ngx_http_checkout_loc_conf_t;

ngx_http_complex_value_t *ngx_http_checkout_compile(ngx_conf_t *cf, ngx_str_t *text);

/* Sets the location's handler, cmd->post. */
char *ngx_http_checkout_take_location(ngx_conf_t *cf, ngx_command_t *cmd, ngx_http_checkout_loc_conf_t *clcf);

/* The same, and its value, which is the directive's first argument, if there is one. */
char *ngx_http_checkout_set_handler(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


/* query, its configuration */

char *ngx_http_checkout_merge_query(ngx_conf_t *cf, ngx_http_checkout_loc_conf_t *conf);


/* secret */

char *ngx_http_checkout_read_secret(ngx_conf_t *cf, ngx_str_t *file, const char *what, ngx_str_t *secret);


/* server */

char *ngx_http_checkout_set_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_uint_t ngx_http_checkout_same_server(ngx_http_checkout_server_t *a, ngx_http_checkout_server_t *b);
#if (NGX_HTTP_SSL)
char *ngx_http_checkout_merge_tls(ngx_conf_t *cf, ngx_array_t *list, ngx_http_checkout_loc_conf_t *conf);
#endif


/* mysql */

char *ngx_http_checkout_set_mysql(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_checkout_set_upstream(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_checkout_set_thread_pool(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_checkout_set_pool(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
void ngx_http_checkout_mysql_unset(ngx_http_checkout_loc_conf_t *conf);
void ngx_http_checkout_mysql_merge(ngx_http_checkout_loc_conf_t *conf, ngx_http_checkout_loc_conf_t *prev);
char *ngx_http_checkout_mysql_access(ngx_conf_t *cf, ngx_array_t *list, ngx_http_checkout_loc_conf_t *conf,
    ngx_uint_t writes);
ngx_int_t ngx_http_checkout_mysql_check(ngx_conf_t *cf);
ngx_int_t ngx_http_checkout_mysql_init(ngx_cycle_t *cycle, ngx_http_checkout_main_conf_t *cmcf);
void ngx_http_checkout_mysql_exit(ngx_http_checkout_main_conf_t *cmcf);


/* webhook */

char *ngx_http_checkout_set_webhook(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_checkout_set_webhook_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_checkout_merge_webhook(ngx_conf_t *cf, void *loc_conf);


#endif
