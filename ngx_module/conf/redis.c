/*
 * Which Redis, and how: "checkout_redis" with its password, and the TLS that
 * it is spoken to with.
 *
 * All of it belongs to the configuration. The password is read when the
 * configuration is, and is never logged.
 */
#include "conf/redis.h"

#include "conf/directive.h"
#include "conf/secret.h"


static char *
ngx_http_checkout_server_url(ngx_conf_t *cf,
    ngx_http_checkout_server_t *server)
{
    ngx_url_t  u;

    ngx_memzero(&u, sizeof(ngx_url_t));
    u.url = server->name;
    u.default_port = 6379;
    u.no_resolve = 1;

    if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
        goto failed;
    }

    /*
     * A literal address has been found already; a name is resolved again with
     * each connection.
     */
    if (u.naddrs == 0) {
        server->host = u.host;
        server->port = u.port;

        ngx_memzero(&u, sizeof(ngx_url_t));
        u.url = server->name;
        u.default_port = 6379;

        if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
            goto failed;
        }
    }

    server->addrs = u.addrs;
    server->naddrs = u.naddrs;

    return NGX_CONF_OK;

failed:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s in \"checkout_redis %V\"",
                       u.err ? u.err : "no memory", &server->name);
    return NGX_CONF_ERROR;
}


static char *
ngx_http_checkout_server_parameter(ngx_conf_t *cf,
    ngx_http_checkout_server_t *server, ngx_str_t *arg)
{
    ngx_int_t  number;
    ngx_str_t  value;

    if (ngx_http_checkout_arg_is(arg, "database=", &value)) {
        number = ngx_atoi(value.data, value.len);

        if (number == NGX_ERROR || number > INT32_MAX) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid database number in \"%V\"", arg);
            return NGX_CONF_ERROR;
        }

        server->database = number;
        return NGX_CONF_OK;
    }

    if (ngx_http_checkout_arg_is(arg, "user=", &value) && value.len) {
        server->user = value;
        return NGX_CONF_OK;
    }

    if (ngx_http_checkout_arg_is(arg, "password_file=", &value) && value.len) {
        return ngx_http_checkout_read_secret(cf, &value, "password",
                                             &server->password);
    }

    return ngx_http_checkout_arg_invalid(cf, arg);
}


/*
 * checkout_redis address [database=number] [user=name] [password_file=file];
 */
char *
ngx_http_checkout_set_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_checkout_loc_conf_t  *clcf = conf;

    ngx_str_t                   *value;
    ngx_uint_t                   i;
    ngx_http_checkout_server_t  *server;

    if (clcf->redis_settings.server != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    server = ngx_pcalloc(cf->pool, sizeof(ngx_http_checkout_server_t));

    if (server == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;
    server->name = value[1];
    server->database = 1;

    if (ngx_http_checkout_server_url(cf, server) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_checkout_server_parameter(cf, server, &value[i])
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    if (server->user.len && server->password.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"user=%V\" without \"password_file\"",
                           &server->user);
        return NGX_CONF_ERROR;
    }

    clcf->redis_settings.server = server;

    return NGX_CONF_OK;
}


static ngx_uint_t
ngx_http_checkout_same_text(ngx_str_t *a, ngx_str_t *b)
{
    return a->len == b->len
           && (a->len == 0 || ngx_memcmp(a->data, b->data, a->len) == 0);
}


ngx_uint_t
ngx_http_checkout_same_server(ngx_http_checkout_server_t *a,
    ngx_http_checkout_server_t *b)
{
    return a->database == b->database
           && ngx_http_checkout_same_text(&a->name, &b->name)
           && ngx_http_checkout_same_text(&a->user, &b->user)
           && ngx_http_checkout_same_text(&a->password, &b->password);
}


#if (NGX_HTTP_SSL)

static ngx_int_t
ngx_http_checkout_tls_certificates(ngx_conf_t *cf,
    ngx_http_checkout_tls_t *tls)
{
    if (tls->certificate.len
        && ngx_ssl_certificate(cf, &tls->ssl, &tls->certificate,
                               &tls->certificate_key, NULL)
               != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!tls->verify) {
        return NGX_OK;
    }

    if (tls->trusted_certificate.len) {
        return ngx_ssl_trusted_certificate(cf, &tls->ssl,
                                           &tls->trusted_certificate, 3);
    }

    /* the authorities that the system trusts */
    return SSL_CTX_set_default_verify_paths(tls->ssl.ctx) == 1
               ? NGX_OK
               : NGX_ERROR;
}


/* Makes the OpenSSL context of settings that no location had before. */
static ngx_http_checkout_tls_t *
ngx_http_checkout_tls_create(ngx_conf_t *cf,
    const ngx_http_checkout_tls_t *wanted)
{
    ngx_pool_cleanup_t       *cleanup;
    ngx_http_checkout_tls_t  *tls;

    tls = ngx_palloc(cf->pool, sizeof(ngx_http_checkout_tls_t));

    if (tls == NULL) {
        return NULL;
    }

    *tls = *wanted;
    ngx_memzero(&tls->ssl, sizeof(ngx_ssl_t));
    tls->ssl.log = cf->log;

    if (ngx_ssl_create(&tls->ssl, NGX_SSL_TLSv1_2 | NGX_SSL_TLSv1_3, NULL)
        != NGX_OK)
    {
        return NULL;
    }

    cleanup = ngx_pool_cleanup_add(cf->pool, 0);

    if (cleanup == NULL) {
        ngx_ssl_cleanup_ctx(&tls->ssl);
        return NULL;
    }

    cleanup->handler = ngx_ssl_cleanup_ctx;
    cleanup->data = &tls->ssl;

    return ngx_http_checkout_tls_certificates(cf, tls) == NGX_OK ? tls : NULL;
}


static ngx_uint_t
ngx_http_checkout_same_tls(ngx_http_checkout_tls_t *a,
    ngx_http_checkout_tls_t *b)
{
    return a->verify == b->verify
           && ngx_http_checkout_same_text(&a->name, &b->name)
           && ngx_http_checkout_same_text(&a->certificate, &b->certificate)
           && ngx_http_checkout_same_text(&a->certificate_key,
                                          &b->certificate_key)
           && ngx_http_checkout_same_text(&a->trusted_certificate,
                                          &b->trusted_certificate);
}


/*
 * The TLS settings of a location, shared by locations that say the same.
 * NGX_CONF_OK, conf->redis_settings.tls is set.
 */
char *
ngx_http_checkout_merge_tls(ngx_conf_t *cf, ngx_array_t *list,
    ngx_http_checkout_loc_conf_t *conf)
{
    ngx_uint_t                 i;
    ngx_http_checkout_tls_t  **known, **slot, wanted;

    if (!conf->redis_tls.enable) {
        return NGX_CONF_OK;
    }

    ngx_memzero(&wanted, sizeof(ngx_http_checkout_tls_t));
    wanted.name = conf->redis_tls.name.len ? conf->redis_tls.name
                                           : conf->redis_settings.server->host;
    wanted.verify = conf->redis_tls.verify;
    wanted.certificate = conf->redis_tls.certificate;
    wanted.certificate_key = conf->redis_tls.certificate_key;
    wanted.trusted_certificate = conf->redis_tls.trusted_certificate;

    if (wanted.certificate.len && wanted.certificate_key.len == 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"checkout_redis_ssl_certificate\" without "
                      "\"checkout_redis_ssl_certificate_key\" for \"%V\" in "
                      "%V:%ui",
                      &conf->request.handler.name, &conf->request.handler.file,
                      conf->request.handler.line);
        return NGX_CONF_ERROR;
    }

    if (wanted.verify && wanted.name.len == 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "an address needs \"checkout_redis_ssl_name\", or "
                      "\"checkout_redis_ssl_verify off\", for \"%V\" in "
                      "%V:%ui",
                      &conf->request.handler.name, &conf->request.handler.file,
                      conf->request.handler.line);
        return NGX_CONF_ERROR;
    }

    known = list->elts;

    for (i = 0; i < list->nelts; i++) {
        if (ngx_http_checkout_same_tls(known[i], &wanted)) {
            conf->redis_settings.tls = known[i];
            return NGX_CONF_OK;
        }
    }

    slot = ngx_array_push(list);

    if (slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = ngx_http_checkout_tls_create(cf, &wanted);
    conf->redis_settings.tls = *slot;

    return conf->redis_settings.tls != NULL ? NGX_CONF_OK : NGX_CONF_ERROR;
}

#endif
