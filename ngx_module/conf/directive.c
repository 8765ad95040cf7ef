/*
 * What directives have in common.
 */
#include "conf/directive.h"


ngx_http_complex_value_t *
ngx_http_checkout_compile(ngx_conf_t *cf, ngx_str_t *text)
{
    ngx_http_complex_value_t          *value;
    ngx_http_compile_complex_value_t   ccv;

    value = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));

    if (value == NULL) {
        return NULL;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));
    ccv.cf = cf;
    ccv.value = text;
    ccv.complex_value = value;

    return ngx_http_compile_complex_value(&ccv) == NGX_OK ? value : NULL;
}


ngx_uint_t
ngx_http_checkout_arg_is(ngx_str_t *arg, const char *name, ngx_str_t *value)
{
    size_t  len;

    len = ngx_strlen(name);

    if (arg->len < len || ngx_strncmp(arg->data, name, len) != 0) {
        return 0;
    }

    value->data = arg->data + len;
    value->len = arg->len - len;

    return 1;
}


char *
ngx_http_checkout_arg_invalid(ngx_conf_t *cf, ngx_str_t *arg)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"", arg);

    return NGX_CONF_ERROR;
}


char *
ngx_http_checkout_take_location(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_checkout_loc_conf_t *clcf)
{
    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *core;

    core = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    value = cf->args->elts;

    if (clcf->request.handler.name.len) {
        if (ngx_strcmp(clcf->request.handler.name.data, value[0].data) == 0) {
            return "is duplicate";
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" stands in one location with \"%V\"",
                           &value[0], &clcf->request.handler.name);
        return NGX_CONF_ERROR;
    }

    if (core->handler != NULL) {
        return "stands in a location that has another handler";
    }

    core->handler = (ngx_http_handler_pt) cmd->post;

    clcf->request.handler.name = value[0];
    clcf->request.handler.file = cf->conf_file->file.name;
    clcf->request.handler.line = cf->conf_file->line;

    return NGX_CONF_OK;
}


char *
ngx_http_checkout_set_handler(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_checkout_loc_conf_t  *clcf = conf;

    char       *rc;
    ngx_str_t  *value;

    rc = ngx_http_checkout_take_location(cf, cmd, clcf);

    if (rc != NGX_CONF_OK || cf->args->nelts == 1) {
        return rc;
    }

    value = cf->args->elts;
    clcf->request.argument = ngx_http_checkout_compile(cf, &value[1]);

    return clcf->request.argument != NULL ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
ngx_http_checkout_handler_lacks(ngx_conf_t *cf,
    ngx_http_checkout_loc_conf_t *conf, const char *directive)
{
    ngx_http_checkout_directive_t  *handler;

    handler = &conf->request.handler;

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "\"%V\" without \"%s\" in %V:%ui",
                  &handler->name, directive, &handler->file, handler->line);

    return NGX_CONF_ERROR;
}


#if !(NGX_HTTP_SSL)

char *
ngx_http_checkout_no_tls(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return "needs an nginx with its SSL module";
}

#endif
