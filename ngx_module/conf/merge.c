/*
 * Configurations of the module: made, merged, and given what their handler
 * needs.
 */
#include "conf/merge.h"

#include "conf/conf.h"
#include "conf/directive.h"
#include "conf/mysql.h"
#include "conf/query.h"
#include "conf/redis.h"
#include "conf/shared.h"
#include "conf/webhook.h"


/* request/settings.h promises it */
_Static_assert(offsetof(ngx_http_checkout_loc_conf_t, request) == 0,
               "the settings of the request come first");


void *
ngx_http_checkout_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_checkout_main_conf_t  *cmcf;

    cmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_checkout_main_conf_t));

    if (cmcf == NULL
#if (NGX_HTTP_SSL)
        || ngx_array_init(&cmcf->tls, cf->pool, 1,
                          sizeof(ngx_http_checkout_tls_t *))
               != NGX_OK
#endif
        || ngx_array_init(&cmcf->accesses, cf->pool, 2,
                          sizeof(ngx_http_checkout_access_t *))
               != NGX_OK
        || ngx_array_init(&cmcf->redis, cf->pool, 2,
                          sizeof(ngx_http_checkout_redis_t *))
               != NGX_OK
        || ngx_array_init(&cmcf->gates, cf->pool, 2,
                          sizeof(ngx_http_checkout_gate_t *))
               != NGX_OK
        || ngx_array_init(&cmcf->clocks, cf->pool, 2,
                          sizeof(ngx_http_checkout_clock_t *))
               != NGX_OK)
    {
        return NULL;
    }

    return cmcf;
}


void *
ngx_http_checkout_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_checkout_loc_conf_t  *clcf;

    clcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_checkout_loc_conf_t));

    if (clcf == NULL) {
        return NULL;
    }

    clcf->redis_settings.server = NGX_CONF_UNSET_PTR;
    clcf->max_quantity = NGX_CONF_UNSET_UINT;
    clcf->gate_settings.queue_limit = NGX_CONF_UNSET_UINT;
    clcf->request.timeout = NGX_CONF_UNSET_MSEC;
    clcf->redis_settings.connect_timeout = NGX_CONF_UNSET_MSEC;
    clcf->redis_settings.send_timeout = NGX_CONF_UNSET_MSEC;
    clcf->redis_settings.read_timeout = NGX_CONF_UNSET_MSEC;
    clcf->gate_settings.sold_out_cache = NGX_CONF_UNSET_MSEC;
    clcf->request.user = NGX_CONF_UNSET_PTR;
    clcf->query_max_size = NGX_CONF_UNSET_SIZE;
    clcf->webhook_secret_files = NGX_CONF_UNSET_PTR;
    clcf->webhook_tolerance = NGX_CONF_UNSET;
    clcf->request.sticky = NGX_CONF_UNSET;
    clcf->request.admin_token = NGX_CONF_UNSET_PTR;
    clcf->redis_tls.enable = NGX_CONF_UNSET;
    clcf->redis_tls.verify = NGX_CONF_UNSET;
    ngx_http_checkout_mysql_unset(clcf);

    return clcf;
}


/* What a handler cannot do without. */
#define NGX_HTTP_CHECKOUT_NEEDS_ZONE     0x01
#define NGX_HTTP_CHECKOUT_NEEDS_REDIS    0x02
#define NGX_HTTP_CHECKOUT_NEEDS_MYSQL    0x04 /* some server to read from */
#define NGX_HTTP_CHECKOUT_NEEDS_PRIMARY  0x08
#define NGX_HTTP_CHECKOUT_TAKES_MYSQL    0x10 /* where it is configured */
#define NGX_HTTP_CHECKOUT_NEEDS_ADMIN    0x20
#define NGX_HTTP_CHECKOUT_NEEDS_SECRETS  0x40 /* of webhooks */


static const struct {
    const char  *handler;
    ngx_uint_t   needs;
} ngx_http_checkout_needs[] = {
    { "checkout_place_order", NGX_HTTP_CHECKOUT_NEEDS_REDIS },
    { "checkout_order_status",
      NGX_HTTP_CHECKOUT_NEEDS_REDIS | NGX_HTTP_CHECKOUT_TAKES_MYSQL },
    { "checkout_stock", NGX_HTTP_CHECKOUT_NEEDS_REDIS },
    { "checkout_query", NGX_HTTP_CHECKOUT_NEEDS_MYSQL },
    { "checkout_init_stock",
      NGX_HTTP_CHECKOUT_NEEDS_REDIS | NGX_HTTP_CHECKOUT_NEEDS_PRIMARY
          | NGX_HTTP_CHECKOUT_NEEDS_ADMIN },
    { "checkout_cancel_order",
      NGX_HTTP_CHECKOUT_NEEDS_REDIS | NGX_HTTP_CHECKOUT_NEEDS_PRIMARY },
    { "checkout_webhook",
      NGX_HTTP_CHECKOUT_NEEDS_PRIMARY | NGX_HTTP_CHECKOUT_NEEDS_SECRETS },
    { "checkout_ready",
      NGX_HTTP_CHECKOUT_NEEDS_REDIS | NGX_HTTP_CHECKOUT_TAKES_MYSQL },
    { "checkout_health", 0 },
    { "checkout_metrics", NGX_HTTP_CHECKOUT_NEEDS_ZONE },
};


static ngx_uint_t
ngx_http_checkout_handler_needs(ngx_http_checkout_loc_conf_t *conf)
{
    ngx_uint_t  i;

    for (i = 0; i < sizeof(ngx_http_checkout_needs)
                        / sizeof(ngx_http_checkout_needs[0]);
         i++)
    {
        if (ngx_strcmp(conf->request.handler.name.data,
                       ngx_http_checkout_needs[i].handler)
            == 0)
        {
            return ngx_http_checkout_needs[i].needs;
        }
    }

    return 0;
}


/*
 * Gives a location its connection to Redis, its gate and the place of its
 * marks.
 */
static char *
ngx_http_checkout_connect_redis(ngx_conf_t *cf,
    ngx_http_checkout_main_conf_t *cmcf, ngx_http_checkout_loc_conf_t *conf)
{
    if (conf->redis_settings.server == NULL) {
        return ngx_http_checkout_handler_lacks(cf, conf, "checkout_redis");
    }

#if (NGX_HTTP_SSL)
    if (ngx_http_checkout_merge_tls(cf, &cmcf->tls, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }
#endif

    conf->redis_settings.resolver = ngx_http_checkout_resolver(cf);
    conf->redis = ngx_http_checkout_find_redis(cf, &cmcf->redis,
                                               &conf->redis_settings);

    if (conf->redis == NULL) {
        return NGX_CONF_ERROR;
    }

    conf->gate = ngx_http_checkout_find_gate(cf, &cmcf->gates, conf,
                                             cmcf->zone);
    conf->zone = conf->gate_settings.sold_out_cache ? cmcf->zone : NULL;

    return conf->gate != NULL ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* Gives a location its way to MySQL. */
static char *
ngx_http_checkout_connect_mysql(ngx_conf_t *cf,
    ngx_http_checkout_main_conf_t *cmcf, ngx_http_checkout_loc_conf_t *conf,
    ngx_uint_t needs)
{
    if (!(needs & NGX_HTTP_CHECKOUT_TAKES_MYSQL) && conf->mysql == NULL) {
        return ngx_http_checkout_handler_lacks(cf, conf, "checkout_mysql");
    }

    if ((needs & NGX_HTTP_CHECKOUT_NEEDS_PRIMARY) && conf->sql.primary == NULL)
    {
        return ngx_http_checkout_handler_lacks(cf, conf, "checkout_primary");
    }

    if ((needs & NGX_HTTP_CHECKOUT_NEEDS_MYSQL) && conf->sql.read_from == NULL
        && conf->sql.primary == NULL)
    {
        return ngx_http_checkout_handler_lacks(cf, conf, "checkout_read_from");
    }

    /* who cannot do without the primary writes there */
    return ngx_http_checkout_mysql_access(
        cf, &cmcf->accesses, conf,
        (needs & NGX_HTTP_CHECKOUT_NEEDS_PRIMARY) != 0);
}


/* Gives a location with a handler what it needs. */
static char *
ngx_http_checkout_connect_location(ngx_conf_t *cf,
    ngx_http_checkout_loc_conf_t *conf)
{
    ngx_uint_t                      needs;
    ngx_http_checkout_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_checkout_module);
    needs = ngx_http_checkout_handler_needs(conf);

    if ((needs & NGX_HTTP_CHECKOUT_NEEDS_ZONE) && cmcf->zone == NULL) {
        return ngx_http_checkout_handler_lacks(cf, conf, "checkout_zone");
    }

    if ((needs & NGX_HTTP_CHECKOUT_NEEDS_ADMIN)
        && conf->request.admin_token == NULL)
    {
        return ngx_http_checkout_handler_lacks(cf, conf,
                                               "checkout_admin_token_file");
    }

    if ((needs & NGX_HTTP_CHECKOUT_NEEDS_SECRETS)
        && ngx_http_checkout_merge_webhook(cf, conf) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    if ((needs & NGX_HTTP_CHECKOUT_NEEDS_REDIS)
        && ngx_http_checkout_connect_redis(cf, cmcf, conf) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    if ((needs
         & (NGX_HTTP_CHECKOUT_NEEDS_MYSQL | NGX_HTTP_CHECKOUT_NEEDS_PRIMARY
            | NGX_HTTP_CHECKOUT_TAKES_MYSQL))
        && ngx_http_checkout_connect_mysql(cf, cmcf, conf, needs)
               != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    /* Where MySQL is asked after Redis, Redis must leave it some time. */
    conf->clock = ngx_http_checkout_find_clock(cf, &cmcf->clocks,
                                               conf->request.timeout);
    conf->redis_clock = ngx_http_checkout_find_clock(
        cf, &cmcf->clocks,
        conf->sql.access ? ngx_max(conf->request.timeout / 2, 1)
                         : conf->request.timeout);

    return conf->clock != NULL && conf->redis_clock != NULL
               ? NGX_CONF_OK
               : NGX_CONF_ERROR;
}


char *
ngx_http_checkout_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_checkout_loc_conf_t  *prev = parent;
    ngx_http_checkout_loc_conf_t  *conf = child;

    ngx_http_core_loc_conf_t  *clcf;

    ngx_conf_merge_ptr_value(conf->redis_settings.server,
                             prev->redis_settings.server, NULL);
    ngx_conf_merge_uint_value(conf->max_quantity, prev->max_quantity, 1000);
    ngx_conf_merge_uint_value(conf->gate_settings.queue_limit,
                              prev->gate_settings.queue_limit, 1000000);
    ngx_conf_merge_msec_value(conf->request.timeout, prev->request.timeout,
                              2000);
    ngx_conf_merge_msec_value(conf->redis_settings.connect_timeout,
                              prev->redis_settings.connect_timeout, 1000);
    ngx_conf_merge_msec_value(conf->redis_settings.send_timeout,
                              prev->redis_settings.send_timeout, 1000);
    ngx_conf_merge_msec_value(conf->redis_settings.read_timeout,
                              prev->redis_settings.read_timeout, 1000);
    ngx_conf_merge_msec_value(conf->gate_settings.sold_out_cache,
                              prev->gate_settings.sold_out_cache, 200);
    ngx_conf_merge_ptr_value(conf->request.user, prev->request.user, NULL);
    ngx_conf_merge_size_value(conf->query_max_size, prev->query_max_size,
                              1024 * 1024);
    ngx_conf_merge_ptr_value(conf->webhook_secret_files,
                             prev->webhook_secret_files, NULL);
    ngx_conf_merge_sec_value(conf->webhook_tolerance, prev->webhook_tolerance,
                             300);
    ngx_conf_merge_sec_value(conf->request.sticky, prev->request.sticky, 0);
    ngx_conf_merge_ptr_value(conf->request.admin_token,
                             prev->request.admin_token, NULL);
    ngx_conf_merge_value(conf->redis_tls.enable, prev->redis_tls.enable, 0);
    ngx_conf_merge_value(conf->redis_tls.verify, prev->redis_tls.verify, 1);
    ngx_conf_merge_str_value(conf->redis_tls.name, prev->redis_tls.name, "");
    ngx_conf_merge_str_value(conf->redis_tls.certificate,
                             prev->redis_tls.certificate, "");
    ngx_conf_merge_str_value(conf->redis_tls.certificate_key,
                             prev->redis_tls.certificate_key, "");
    ngx_conf_merge_str_value(conf->redis_tls.trusted_certificate,
                             prev->redis_tls.trusted_certificate, "");

    ngx_http_checkout_mysql_merge(conf, prev);
    conf->sql.handler = &conf->request.handler;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /*
     * Inside "if" and "limit_except" nginx keeps the handler of the location
     * but uses this configuration.
     */
    if (clcf->noname && conf->request.handler.name.len == 0) {
        conf->request.handler = prev->request.handler;
        conf->request.argument = prev->request.argument;
        conf->ready = prev->ready;
        conf->query = prev->query;
        conf->webhook = prev->webhook;
    }

    if (conf->query != NULL
        && ngx_http_checkout_merge_query(cf, conf) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (conf->request.handler.name.len == 0) {
        return NGX_CONF_OK;
    }

    return ngx_http_checkout_connect_location(cf, conf);
}
