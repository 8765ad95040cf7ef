/*
 * Directives that fill request/settings.h and gate/settings.h, and the zone of
 * shared memory.
 */
#include "conf/request.h"

#include "conf/directive.h"
#include "conf/secret.h"
#include "stats/counters.h"

#include <openssl/sha.h>


#define NGX_HTTP_CHECKOUT_STICKY_MAX  3600 /* s */
#define NGX_HTTP_CHECKOUT_TOKEN_MIN   16   /* bytes */


/* checkout_user value | off; */
char *
ngx_http_checkout_set_user(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_checkout_loc_conf_t  *clcf = conf;

    ngx_str_t  *value;

    if (clcf->request.user != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        clcf->request.user = NULL;
        return NGX_CONF_OK;
    }

    clcf->request.user = ngx_http_checkout_compile(cf, &value[1]);

    return clcf->request.user != NULL ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* checkout_sold_out_cache time | off; */
char *
ngx_http_checkout_set_sold_out_cache(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_checkout_loc_conf_t  *clcf = conf;

    ngx_str_t   *value;
    ngx_msec_t   time;

    if (clcf->gate_settings.sold_out_cache != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        clcf->gate_settings.sold_out_cache = 0;
        return NGX_CONF_OK;
    }

    time = ngx_parse_time(&value[1], 0);

    if (time == (ngx_msec_t) NGX_ERROR || time < 1 || time > 60000) {
        return "must be \"off\" or a time of 1ms to 60s";
    }

    clcf->gate_settings.sold_out_cache = time;

    return NGX_CONF_OK;
}


/* checkout_sticky time | off; */
char *
ngx_http_checkout_set_sticky(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_checkout_loc_conf_t  *clcf = conf;

    time_t      time;
    ngx_str_t  *value;

    if (clcf->request.sticky != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        clcf->request.sticky = 0;
        return NGX_CONF_OK;
    }

    time = ngx_parse_time(&value[1], 1);

    if (time == (time_t) NGX_ERROR || time < 1
        || time > NGX_HTTP_CHECKOUT_STICKY_MAX)
    {
        return "must be \"off\" or a time of 1s to 1h, in whole seconds";
    }

    clcf->request.sticky = time;

    return NGX_CONF_OK;
}


/*
 * The characters of a token in a header: visible ASCII (RFC 6750, section 2.1,
 * allows fewer).
 */
static ngx_uint_t
ngx_http_checkout_admin_visible(ngx_str_t *token)
{
    size_t  i;

    for (i = 0; i < token->len; i++) {
        if (token->data[i] <= 0x20 || token->data[i] >= 0x7f) {
            return 0;
        }
    }

    return 1;
}


/* checkout_admin_token_file file; */
char *
ngx_http_checkout_set_admin_token(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_checkout_loc_conf_t  *clcf = conf;

    ngx_str_t  *value, token;

    if (clcf->request.admin_token != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_checkout_read_secret(cf, &value[1], "admin token", &token)
        != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (token.len < NGX_HTTP_CHECKOUT_TOKEN_MIN) {
        ngx_conf_log_error(
            NGX_LOG_EMERG, cf, 0,
            "admin token file \"%V\" has a first line of less than %d bytes",
            &value[1], NGX_HTTP_CHECKOUT_TOKEN_MIN);
        return NGX_CONF_ERROR;
    }

    if (!ngx_http_checkout_admin_visible(&token)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "admin token file \"%V\" has other characters than "
                           "visible ASCII in"
                           " its first line",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    clcf->request.admin_token = ngx_palloc(cf->pool, SHA256_DIGEST_LENGTH);

    if (clcf->request.admin_token == NULL) {
        return NGX_CONF_ERROR;
    }

    SHA256(token.data, token.len, clcf->request.admin_token);
    ngx_explicit_memzero(token.data, token.len);

    return NGX_CONF_OK;
}


/* checkout_zone name:size; */
char *
ngx_http_checkout_set_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_checkout_main_conf_t  *cmcf = conf;

    u_char     *colon;
    ssize_t     size;
    ngx_str_t  *value, name, text;

    if (cmcf->zone != NULL) {
        return "is duplicate";
    }

    value = cf->args->elts;
    colon = (u_char *) ngx_strchr(value[1].data, ':');

    if (colon == NULL || colon == value[1].data) {
        ngx_conf_log_error(
            NGX_LOG_EMERG, cf, 0,
            "\"%V\" is no name and size of a zone, as in \"checkout:1m\"",
            &value[1]);
        return NGX_CONF_ERROR;
    }

    name.data = value[1].data;
    name.len = colon - value[1].data;
    text.data = colon + 1;
    text.len = value[1].data + value[1].len - text.data;

    size = ngx_parse_size(&text);

    if (size == NGX_ERROR || size < (ssize_t) (16 * ngx_pagesize)) {
        ngx_conf_log_error(
            NGX_LOG_EMERG, cf, 0,
            "invalid size of a zone in \"%V\", the least is %uzk", &value[1],
            16 * ngx_pagesize / 1024);
        return NGX_CONF_ERROR;
    }

    cmcf->zone = ngx_http_checkout_zone_add(cf, &name, size,
                                            &ngx_http_checkout_module);

    return cmcf->zone != NULL ? NGX_CONF_OK : NGX_CONF_ERROR;
}
