/*
 * Secrets from files: passwords and the admin token.
 *
 * They are read when the configuration is, belong to it, and are never logged.
 */
#include "conf/secret.h"


#define NGX_HTTP_CHECKOUT_SECRET_MAX  1024


/* The first line of an open file; the reason when there is none. */
static const char *
ngx_http_checkout_secret_line(ngx_conf_t *cf, ngx_fd_t fd, ngx_str_t *secret)
{
    size_t   len;
    ssize_t  n;
    u_char   text[NGX_HTTP_CHECKOUT_SECRET_MAX + 2];

    n = ngx_read_fd(fd, text, sizeof(text));

    if (n == -1) {
        return "cannot be read";
    }

    for (len = 0; len < (size_t) n && text[len] != CR && text[len] != LF;
         len++)
    {
        /* void */
    }

    if (len == 0) {
        return "is empty";
    }

    if (len > NGX_HTTP_CHECKOUT_SECRET_MAX) {
        return "has a first line of more than 1024 bytes";
    }

    secret->len = len;
    secret->data = ngx_pnalloc(cf->pool, len);

    if (secret->data == NULL) {
        return "found no memory";
    }

    ngx_memcpy(secret->data, text, len);
    ngx_explicit_memzero(text, sizeof(text));

    return NULL;
}


/*
 * The first line of a file, 1 to 1024 bytes. file: becomes the full name.
 * what: the kind of secret, for errors.
 */
char *
ngx_http_checkout_read_secret(ngx_conf_t *cf, ngx_str_t *file,
    const char *what, ngx_str_t *secret)
{
    ngx_fd_t     fd;
    const char  *reason;

    if (ngx_conf_full_name(cf->cycle, file, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    fd = ngx_open_file(file->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", file);
        return NGX_CONF_ERROR;
    }

    reason = ngx_http_checkout_secret_line(cf, fd, secret);

    if (reason != NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s file \"%V\" %s", what,
                           file, reason);
    }

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", file);
    }

    return reason == NULL ? NGX_CONF_OK : NGX_CONF_ERROR;
}
