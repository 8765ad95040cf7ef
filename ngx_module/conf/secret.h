/*
 * Secrets from files: passwords and the administrator's token.
 */
#ifndef NGX_HTTP_CHECKOUT_CONF_SECRET_H
#define NGX_HTTP_CHECKOUT_CONF_SECRET_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * The first line of a file, 1 to 1024 bytes, in the configuration's memory.
 * file: becomes the full name. what: the kind of secret, for messages.
 * NGX_CONF_ERROR: what is wrong is logged, without the secret. Reads the disk.
 */
char *ngx_http_checkout_read_secret(ngx_conf_t *cf, ngx_str_t *file,
    const char *what, ngx_str_t *secret);


#endif
