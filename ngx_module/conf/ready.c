/*
 * The directive "checkout_ready".
 */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "conf/conf.h"


#define NGX_HTTP_CHECKOUT_OLDEST_JOB  "oldest_job="


/* oldest_job=time */
static char *
ngx_http_checkout_set_oldest_job(ngx_conf_t *cf, ngx_str_t *parameter,
    ngx_msec_t *oldest_job)
{
    size_t     len;
    ngx_str_t  text;

    len = sizeof(NGX_HTTP_CHECKOUT_OLDEST_JOB) - 1;

    if (ngx_strncmp(parameter->data, NGX_HTTP_CHECKOUT_OLDEST_JOB, len) != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"",
                           parameter);
        return NGX_CONF_ERROR;
    }

    text.data = parameter->data + len;
    text.len = parameter->len - len;
    *oldest_job = ngx_parse_time(&text, 0);

    if (*oldest_job == (ngx_msec_t) NGX_ERROR || *oldest_job == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid time in \"%V\"",
                           parameter);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* checkout_ready [oldest_job=time]; */
char *
ngx_http_checkout_set_ready(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_checkout_loc_conf_t  *clcf = conf;

    ngx_str_t                       *value;
    ngx_http_checkout_ready_conf_t  *ready;

    ready = ngx_pcalloc(cf->pool, sizeof(ngx_http_checkout_ready_conf_t));

    if (ready == NULL) {
        return NGX_CONF_ERROR;
    }

    ready->oldest_job = 60000;
    value = cf->args->elts;

    if (cf->args->nelts == 2
        && ngx_http_checkout_set_oldest_job(cf, &value[1], &ready->oldest_job)
           != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    clcf->ready = ready;
    clcf->request.sticky = 0;    /* the question is one for the replicas */

    return ngx_http_checkout_set_handler(cf, cmd, conf);
}
