/*
 * Which MySQL servers, how to enter, and how many connections.
 */
#ifndef NGX_HTTP_CHECKOUT_CONF_MYSQL_H
#define NGX_HTTP_CHECKOUT_CONF_MYSQL_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "conf/conf.h"


char *ngx_http_checkout_set_mysql(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_checkout_set_upstream(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_checkout_set_thread_pool(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_checkout_set_pool(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* A new location: nothing is set. */
void ngx_http_checkout_mysql_unset(ngx_http_checkout_loc_conf_t *conf);

void ngx_http_checkout_mysql_merge(ngx_http_checkout_loc_conf_t *conf,
    ngx_http_checkout_loc_conf_t *prev);

/*
 * Sets conf->sql.access, where the location has MySQL, from the list or to a
 * new member of it. writes: its handler changes something. NGX_CONF_ERROR:
 * what is wrong is logged. Opens files.
 */
char *ngx_http_checkout_mysql_access(ngx_conf_t *cf, ngx_array_t *list,
    ngx_http_checkout_loc_conf_t *conf, ngx_uint_t writes);

/*
 * The whole configuration is read: are there threads for all connections that
 * the pools allow? NGX_ERROR: what is wrong is logged.
 */
ngx_int_t ngx_http_checkout_mysql_check(ngx_conf_t *cf);


#endif
