/*
 * Which Redis, how to enter, and for how long it is waited for. conf/ fills
 * all of it; it lives as long as the configuration.
 */
#ifndef NGX_HTTP_CHECKOUT_REDIS_SETTINGS_H
#define NGX_HTTP_CHECKOUT_REDIS_SETTINGS_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


/* What "checkout_redis" names. */
typedef struct {
    ngx_str_t    name;  /* as configured */
    ngx_str_t    host;  /* empty: an address or a socket */
    in_port_t    port;
    ngx_addr_t  *addrs;  /* found with the configuration */
    ngx_uint_t   naddrs;
    ngx_uint_t   database;
    ngx_str_t    user;
    ngx_str_t    password;  /* never logged */
} ngx_http_checkout_server_t;

#if (NGX_HTTP_SSL)

typedef struct {
    ngx_ssl_t   ssl;
    ngx_str_t   name;  /* the certificate must have it */
    ngx_str_t   certificate;
    ngx_str_t   certificate_key;
    ngx_str_t   trusted_certificate;
    ngx_flag_t  verify;
} ngx_http_checkout_tls_t;

#endif

/* Locations whose settings are equal share a connection. */
typedef struct {
    ngx_http_checkout_server_t  *server;
#if (NGX_HTTP_SSL)
    ngx_http_checkout_tls_t  *tls;  /* NULL: none */
#endif
    ngx_resolver_t  *resolver;  /* NULL: no name is looked up */
    ngx_msec_t       connect_timeout;
    ngx_msec_t       send_timeout;
    ngx_msec_t       read_timeout;
} ngx_http_checkout_redis_settings_t;


#endif
