/*
 * Secrets of webhooks: read from files with the configuration, and kept as
 * long as it. None is ever written anywhere; a fault is told by file and line.
 */
#include "conf/webhook.h"

#include "conf/directive.h"
#include "text/signature.h"


#define NGX_HTTP_CHECKOUT_WEBHOOK_FILE_MAX  16384 /* bytes of a file */


/* A file that "checkout_webhook_secret_file" names, and where it does. */
typedef struct {
    ngx_str_t    name;
    u_char      *conf_file;
    ngx_uint_t   conf_line;
} ngx_http_checkout_webhook_file_t;


/* checkout_webhook_secret_file file ...; */
char *
ngx_http_checkout_set_webhook_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_checkout_loc_conf_t  *clcf = conf;

    ngx_str_t                         *value;
    ngx_uint_t                         i;
    ngx_http_checkout_webhook_file_t  *file;

    value = cf->args->elts;

    if (clcf->webhook_secret_files == NGX_CONF_UNSET_PTR) {
        clcf->webhook_secret_files = ngx_array_create(
            cf->pool, 2, sizeof(ngx_http_checkout_webhook_file_t));

        if (clcf->webhook_secret_files == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    for (i = 1; i < cf->args->nelts; i++) {
        file = ngx_array_push(clcf->webhook_secret_files);

        if (file == NULL) {
            return NGX_CONF_ERROR;
        }

        file->name = value[i];
        file->conf_file = cf->conf_file->file.name.data;
        file->conf_line = cf->conf_file->line;

        if (ngx_conf_full_name(cf->cycle, &file->name, 1) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* Reads up to `size` bytes; the number read, or NGX_ERROR after a message. */
static ssize_t
ngx_http_checkout_webhook_load(ngx_conf_t *cf,
    ngx_http_checkout_webhook_file_t *file, u_char *buffer, size_t size)
{
    ssize_t   n;
    ngx_fd_t  fd;

    fd = ngx_open_file(file->name.data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, ngx_errno,
                      ngx_open_file_n " \"%V\" failed in %s:%ui", &file->name,
                      file->conf_file, file->conf_line);
        return NGX_ERROR;
    }

    n = ngx_read_fd(fd, buffer, size);

    if (n == -1) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, ngx_errno,
                      ngx_read_fd_n " \"%V\" failed in %s:%ui", &file->name,
                      file->conf_file, file->conf_line);
    }

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, cf->log, ngx_errno,
                      ngx_close_file_n " \"%V\" failed", &file->name);
    }

    return n;
}


static ngx_int_t
ngx_http_checkout_webhook_secret(ngx_conf_t *cf,
    ngx_http_checkout_loc_conf_t *conf, ngx_http_checkout_webhook_file_t *file,
    ngx_uint_t line, u_char *text, size_t len)
{
    const char              *fault;
    struct checkout_secret  *secret;

    secret = ngx_array_push(conf->webhook_secrets);

    if (secret == NULL) {
        return NGX_ERROR;
    }

    fault = checkout_secret_read(secret, (enum checkout_scheme) conf->webhook,
                                 (char *) text, len);

    if (fault == NULL && conf->webhook_secrets->nelts > CHECKOUT_SECRETS_MAX) {
        fault = "is one too many";
    }

    if (fault != NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "the secret in %V:%ui %s; the file is named in %s:%ui",
                      &file->name, line, fault, file->conf_file,
                      file->conf_line);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* One secret in each line; empty lines do not count. */
static ngx_int_t
ngx_http_checkout_webhook_secrets(ngx_conf_t *cf,
    ngx_http_checkout_loc_conf_t *conf, ngx_http_checkout_webhook_file_t *file,
    u_char *p, u_char *end)
{
    u_char      *stop, *last;
    ngx_uint_t   line, before;

    before = conf->webhook_secrets->nelts;

    for (line = 1; p < end; line++, p = stop + 1) {
        stop = ngx_strlchr(p, end, '\n');
        stop = stop != NULL ? stop : end;
        last = stop > p && stop[-1] == '\r' ? stop - 1 : stop;

        if (last > p
            && ngx_http_checkout_webhook_secret(cf, conf, file, line, p,
                                                last - p)
                   != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (conf->webhook_secrets->nelts == before) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "no secret in \"%V\", which is named in %s:%ui",
                      &file->name, file->conf_file, file->conf_line);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_checkout_webhook_file(ngx_conf_t *cf,
    ngx_http_checkout_loc_conf_t *conf, ngx_http_checkout_webhook_file_t *file)
{
    ssize_t    n;
    ngx_int_t  rc;
    u_char     buffer[NGX_HTTP_CHECKOUT_WEBHOOK_FILE_MAX + 1];

    n = ngx_http_checkout_webhook_load(cf, file, buffer, sizeof(buffer));

    if (n > NGX_HTTP_CHECKOUT_WEBHOOK_FILE_MAX) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"%V\" is too long for a file of secrets, in %s:%ui",
                      &file->name, file->conf_file, file->conf_line);
        rc = NGX_ERROR;

    } else {
        rc = n < 0 ? NGX_ERROR
                   : ngx_http_checkout_webhook_secrets(cf, conf, file, buffer,
                                                       buffer + n);
    }

    ngx_explicit_memzero(buffer, sizeof(buffer));

    return rc;
}


/* Reads the secrets of a location with "checkout_webhook". */
char *
ngx_http_checkout_merge_webhook(ngx_conf_t *cf,
    ngx_http_checkout_loc_conf_t *conf)
{
    ngx_uint_t                         i;
    ngx_http_checkout_webhook_file_t  *files;

    if (conf->webhook_secret_files == NULL) {
        ngx_log_error(
            NGX_LOG_EMERG, cf->log, 0,
            "\"%V\" without \"checkout_webhook_secret_file\" in %V:%ui",
            &conf->request.handler.name, &conf->request.handler.file,
            conf->request.handler.line);
        return NGX_CONF_ERROR;
    }

    conf->webhook_secrets = ngx_array_create(cf->pool, CHECKOUT_SECRETS_MAX,
                                             sizeof(struct checkout_secret));

    if (conf->webhook_secrets == NULL) {
        return NGX_CONF_ERROR;
    }

    files = conf->webhook_secret_files->elts;

    for (i = 0; i < conf->webhook_secret_files->nelts; i++) {
        if (ngx_http_checkout_webhook_file(cf, conf, &files[i]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* checkout_webhook standard | stripe; */
char *
ngx_http_checkout_set_webhook(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_checkout_loc_conf_t  *clcf = conf;

    ngx_str_t  *value;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "standard") == 0) {
        clcf->webhook = CHECKOUT_SCHEME_STANDARD;

    } else if (ngx_strcmp(value[1].data, "stripe") == 0) {
        clcf->webhook = CHECKOUT_SCHEME_STRIPE;

    } else {
        return "must be \"standard\" or \"stripe\"";
    }

    return ngx_http_checkout_set_handler(cf, cmd, conf);
}
