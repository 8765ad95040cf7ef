/*
 * The directive "checkout_ready".
 */
#include "conf/ready.h"

#include "conf/conf.h"
#include "conf/directive.h"


/* oldest_job=time */
static char *
ngx_http_checkout_set_oldest_job(ngx_conf_t *cf, ngx_str_t *parameter,
    ngx_msec_t *oldest_job)
{
    ngx_str_t  text;

    if (!ngx_http_checkout_arg_is(parameter, "oldest_job=", &text)) {
        return ngx_http_checkout_arg_invalid(cf, parameter);
    }

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
    clcf->request.sticky = 0; /* the question is one for the replicas */

    return ngx_http_checkout_set_handler(cf, cmd, conf);
}
