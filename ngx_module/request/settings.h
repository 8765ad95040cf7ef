/*
 * What a location's directives say about any of its requests.
 *
 * conf/ fills it. It lives as long as the configuration, and nobody else
 * changes it.
 */
#ifndef NGX_HTTP_CHECKOUT_REQUEST_SETTINGS_H
#define NGX_HTTP_CHECKOUT_REQUEST_SETTINGS_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


extern ngx_module_t  ngx_http_checkout_module;


/* A directive, and where it stands: for messages. */
typedef struct {
    ngx_str_t   name;
    ngx_str_t   file;
    ngx_uint_t  line;
} ngx_http_checkout_directive_t;

typedef struct {
    /* gave the location its handler; an empty name: none did */
    ngx_http_checkout_directive_t   handler;

    /* of that directive; or NULL */
    ngx_http_complex_value_t       *argument;
    ngx_msec_t                      timeout;      /* checkout_timeout */
    ngx_http_complex_value_t       *user;         /* NULL: of the body */
    time_t                          sticky;       /* s, 0: off */
    u_char                         *admin_token;  /* its SHA-256; NULL: none */
} ngx_http_checkout_request_settings_t;


/*
 * The settings of the request's location, never NULL. They are the first
 * member of the module's location configuration; conf/merge.c checks that
 * when it is compiled. So variables, which run without a handler, find them
 * too.
 */
#define ngx_http_checkout_request_settings(r) \
    ((const ngx_http_checkout_request_settings_t *) \
         ngx_http_get_module_loc_conf(r, ngx_http_checkout_module))


#endif
