/*
 * What directives have in common. All runs while the configuration is read;
 * what is allocated belongs to it. char *: NGX_CONF_OK, NGX_CONF_ERROR after a
 * message, or a text that nginx puts behind the directive's name.
 */
#ifndef NGX_HTTP_CHECKOUT_CONF_DIRECTIVE_H
#define NGX_HTTP_CHECKOUT_CONF_DIRECTIVE_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "conf/conf.h"


/* A text with variables. NULL: no memory, or what is wrong is logged. */
ngx_http_complex_value_t *ngx_http_checkout_compile(ngx_conf_t *cf,
    ngx_str_t *text);

/*
 * Arguments of the form name=value. name: with its "=". 1: it is that one, and
 * *value is what follows, which may be empty; not copied.
 */
ngx_uint_t ngx_http_checkout_arg_is(ngx_str_t *arg, const char *name,
    ngx_str_t *value);

/* Logs that the directive does not know the argument: NGX_CONF_ERROR. */
char *ngx_http_checkout_arg_invalid(ngx_conf_t *cf, ngx_str_t *arg);

/* Gives the location its handler, cmd->post. */
char *ngx_http_checkout_take_location(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_checkout_loc_conf_t *clcf);

/* A directive: the same, and its first argument, if there is one. */
char *ngx_http_checkout_set_handler(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* Logs what the location of a handler is missing: NGX_CONF_ERROR. */
char *ngx_http_checkout_handler_lacks(ngx_conf_t *cf,
    ngx_http_checkout_loc_conf_t *conf, const char *directive);

#if !(NGX_HTTP_SSL)
/* A directive that this nginx cannot have. */
char *ngx_http_checkout_no_tls(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
#endif


#endif
