/*
 * Directives of the module, how they are merged, and the start and end of a worker process.
 *
 * Locations that say the same share one connection, TLS context, gate and clock: they are kept in lists of the main
 * configuration and live, like all of the configuration, as long as the cycle.
 */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "conf/conf.h"
#include "conf/query.h"
#include "gate/queue.h"
#include "handlers/handlers.h"
#include "redis/connection.h"
#include "request/clock.h"
#include "request/variables.h"
#include "sql/process.h"
#include "stats/counters.h"
#include "order/order.h"


/* request/settings.h promises it */
_Static_assert(offsetof(ngx_http_checkout_loc_conf_t, request) == 0,
               "the settings of the request come first");


#if !(NGX_THREADS)
#error "the checkout module needs an nginx that is configured --with-threads"
#endif


static char *ngx_http_checkout_set_sold_out_cache(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
#if !(NGX_HTTP_SSL)
static char *ngx_http_checkout_no_tls(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
#endif
static void *ngx_http_checkout_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_checkout_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_checkout_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child);
static char *ngx_http_checkout_check_positive(ngx_conf_t *cf, void *post, void *data);
static char *ngx_http_checkout_check_size(ngx_conf_t *cf, void *post, void *data);
static char *ngx_http_checkout_check_tolerance(ngx_conf_t *cf, void *post, void *data);
static char *ngx_http_checkout_check_count(ngx_conf_t *cf, void *post, void *data);
static ngx_int_t ngx_http_checkout_init_process(ngx_cycle_t *cycle);
static void ngx_http_checkout_exit_process(ngx_cycle_t *cycle);


static ngx_conf_post_t  ngx_http_checkout_positive = { ngx_http_checkout_check_positive };
static ngx_conf_post_t  ngx_http_checkout_size = { ngx_http_checkout_check_size };
static ngx_conf_post_t  ngx_http_checkout_tolerance = { ngx_http_checkout_check_tolerance };
static ngx_conf_post_t  ngx_http_checkout_number = { ngx_http_checkout_check_count };


#if (NGX_HTTP_SSL)
#define ngx_http_checkout_tls_flag  ngx_conf_set_flag_slot
#define ngx_http_checkout_tls_str   ngx_conf_set_str_slot
#else
#define ngx_http_checkout_tls_flag  ngx_http_checkout_no_tls
#define ngx_http_checkout_tls_str   ngx_http_checkout_no_tls
#endif


/* clang-format off */
static ngx_command_t  ngx_http_checkout_commands[] = {

    { ngx_string("checkout_redis"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_checkout_set_redis,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("checkout_connect_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, redis_settings.connect_timeout),
      &ngx_http_checkout_positive },

    { ngx_string("checkout_send_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, redis_settings.send_timeout),
      &ngx_http_checkout_positive },

    { ngx_string("checkout_read_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, redis_settings.read_timeout),
      &ngx_http_checkout_positive },

    { ngx_string("checkout_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, request.timeout),
      &ngx_http_checkout_positive },

    { ngx_string("checkout_max_quantity"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, max_quantity),
      &ngx_http_checkout_number },

    { ngx_string("checkout_queue_limit"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, gate_settings.queue_limit),
      &ngx_http_checkout_number },

    { ngx_string("checkout_user"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_checkout_set_user,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("checkout_sticky"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_checkout_set_sticky,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("checkout_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_checkout_set_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("checkout_sold_out_cache"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_checkout_set_sold_out_cache,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("checkout_redis_ssl"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_checkout_tls_flag,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, redis_tls.enable),
      NULL },

    { ngx_string("checkout_redis_ssl_verify"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_checkout_tls_flag,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, redis_tls.verify),
      NULL },

    { ngx_string("checkout_redis_ssl_name"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_checkout_tls_str,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, redis_tls.name),
      NULL },

    { ngx_string("checkout_redis_ssl_trusted_certificate"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_checkout_tls_str,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, redis_tls.trusted_certificate),
      NULL },

    { ngx_string("checkout_redis_ssl_certificate"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_checkout_tls_str,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, redis_tls.certificate),
      NULL },

    { ngx_string("checkout_redis_ssl_certificate_key"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_checkout_tls_str,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, redis_tls.certificate_key),
      NULL },

    { ngx_string("checkout_mysql"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_checkout_set_mysql,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("checkout_read_from"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_checkout_set_upstream,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, sql.read_from),
      NULL },

    { ngx_string("checkout_primary"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_checkout_set_upstream,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, sql.primary),
      NULL },

    { ngx_string("checkout_thread_pool"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_http_checkout_set_thread_pool,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("checkout_pool"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_checkout_set_pool,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("checkout_mysql_connect_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, mysql_connect_timeout),
      &ngx_http_checkout_positive },

    { ngx_string("checkout_mysql_read_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, mysql_read_timeout),
      &ngx_http_checkout_positive },

    { ngx_string("checkout_mysql_ssl"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, mysql_tls.enable),
      NULL },

    { ngx_string("checkout_mysql_ssl_verify"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, mysql_tls.verify),
      NULL },

    { ngx_string("checkout_mysql_ssl_trusted_certificate"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, mysql_tls.trusted_certificate),
      NULL },

    { ngx_string("checkout_mysql_ssl_certificate"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, mysql_tls.certificate),
      NULL },

    { ngx_string("checkout_mysql_ssl_certificate_key"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, mysql_tls.certificate_key),
      NULL },

    { ngx_string("checkout_place_order"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_checkout_set_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_http_checkout_order_handler },

    { ngx_string("checkout_order_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_checkout_set_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_http_checkout_status_handler },

    { ngx_string("checkout_stock"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_checkout_set_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_http_checkout_stock_handler },

    { ngx_string("checkout_cancel_order"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_checkout_set_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_http_checkout_cancel_handler },

    { ngx_string("checkout_init_stock"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_checkout_set_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_http_checkout_init_stock_handler },

    { ngx_string("checkout_admin_token_file"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_checkout_set_admin_token,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("checkout_query"),
      NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_checkout_set_query,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_http_checkout_query_handler },

    { ngx_string("checkout_query_result"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_checkout_set_query_result,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("checkout_query_page"),
      NGX_HTTP_LOC_CONF|NGX_CONF_2MORE,
      ngx_http_checkout_set_query_page,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("checkout_query_max_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, query_max_size),
      &ngx_http_checkout_size },

    { ngx_string("checkout_health"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_checkout_set_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_http_checkout_health_handler },

    { ngx_string("checkout_ready"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_checkout_set_ready,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_http_checkout_ready_handler },

    { ngx_string("checkout_webhook"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_checkout_set_webhook,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_http_checkout_webhook_handler },

    { ngx_string("checkout_webhook_secret_file"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_checkout_set_webhook_file,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("checkout_webhook_tolerance"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_sec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, webhook_tolerance),
      &ngx_http_checkout_tolerance },

    { ngx_string("checkout_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_checkout_set_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_http_checkout_metrics_handler },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_checkout_module_ctx = {
    ngx_http_checkout_add_variables,       /* preconfiguration */
    ngx_http_checkout_mysql_check,         /* postconfiguration */

    ngx_http_checkout_create_main_conf,    /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_checkout_create_loc_conf,     /* create location configuration */
    ngx_http_checkout_merge_loc_conf       /* merge location configuration */
};


ngx_module_t  ngx_http_checkout_module = {
    NGX_MODULE_V1,
    &ngx_http_checkout_module_ctx,         /* module context */
    ngx_http_checkout_commands,            /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_checkout_init_process,        /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_checkout_exit_process,        /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};
/* clang-format on */


static char *
ngx_http_checkout_check_positive(ngx_conf_t *cf, void *post, void *data)
{
    ngx_msec_t  *value = data;

    return *value > 0 ? NGX_CONF_OK : "must be positive";
}


/* A signature that is good for longer would be good for whoever finds it. */
static char *
ngx_http_checkout_check_tolerance(ngx_conf_t *cf, void *post, void *data)
{
    time_t  *value = data;

    return *value >= 1 && *value <= 3600 ? NGX_CONF_OK : "must be between 1s and 1h";
}


static char *
ngx_http_checkout_check_size(ngx_conf_t *cf, void *post, void *data)
{
    size_t  *value = data;

    return *value >= 1024 && *value <= INT32_MAX ? NGX_CONF_OK : "must be between 1k and 2g";
}


static char *
ngx_http_checkout_check_count(ngx_conf_t *cf, void *post, void *data)
{
    ngx_int_t  *value = data;

    return *value >= 1 && *value <= INT32_MAX ? NGX_CONF_OK : "must be between 1 and 2147483647";
}


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


/* checkout_sold_out_cache time | off; */
static char *
ngx_http_checkout_set_sold_out_cache(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
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


#if !(NGX_HTTP_SSL)

static char *
ngx_http_checkout_no_tls(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return "needs an nginx with its SSL module";
}

#endif


char *
ngx_http_checkout_take_location(ngx_conf_t *cf, ngx_command_t *cmd, ngx_http_checkout_loc_conf_t *clcf)
{
    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *core;

    core = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    value = cf->args->elts;

    if (clcf->request.handler.name.len) {
        if (ngx_strcmp(clcf->request.handler.name.data, value[0].data) == 0) {
            return "is duplicate";
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" stands in one location with \"%V\"",
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


static void *
ngx_http_checkout_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_checkout_main_conf_t  *cmcf;

    cmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_checkout_main_conf_t));

    if (cmcf == NULL
#if (NGX_HTTP_SSL)
        || ngx_array_init(&cmcf->tls, cf->pool, 1, sizeof(ngx_http_checkout_tls_t *)) != NGX_OK
#endif
        || ngx_array_init(&cmcf->accesses, cf->pool, 2, sizeof(ngx_http_checkout_access_t *)) != NGX_OK
        || ngx_array_init(&cmcf->redis, cf->pool, 2, sizeof(ngx_http_checkout_redis_t *)) != NGX_OK
        || ngx_array_init(&cmcf->gates, cf->pool, 2, sizeof(ngx_http_checkout_gate_t *)) != NGX_OK
        || ngx_array_init(&cmcf->clocks, cf->pool, 2, sizeof(ngx_http_checkout_clock_t *)) != NGX_OK)
    {
        return NULL;
    }

    return cmcf;
}


static void *
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


/* A new zeroed object of the list. */
static void *
ngx_http_checkout_add(ngx_conf_t *cf, ngx_array_t *list, size_t size)
{
    void  *object, **slot;

    object = ngx_pcalloc(cf->pool, size);
    slot = ngx_array_push(list);

    if (object == NULL || slot == NULL) {
        return NULL;
    }

    *slot = object;

    return object;
}


/* The resolver of a location; one without name servers is what nginx makes where none is configured. */
static ngx_resolver_t *
ngx_http_checkout_resolver(ngx_conf_t *cf)
{
    ngx_http_core_loc_conf_t  *core;

    core = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    return core->resolver != NULL && core->resolver->connections.nelts ? core->resolver : NULL;
}


static ngx_uint_t
ngx_http_checkout_same_redis(ngx_http_checkout_redis_settings_t *a,
    ngx_http_checkout_redis_settings_t *b)
{
    return ngx_http_checkout_same_server(a->server, b->server)
#if (NGX_HTTP_SSL)
           && a->tls == b->tls
#endif
           && a->resolver == b->resolver
           && a->connect_timeout == b->connect_timeout
           && a->send_timeout == b->send_timeout
           && a->read_timeout == b->read_timeout;
}


static ngx_http_checkout_redis_t *
ngx_http_checkout_find_redis(ngx_conf_t *cf, ngx_array_t *list,
    ngx_http_checkout_redis_settings_t *settings)
{
    ngx_uint_t                   i;
    ngx_http_checkout_redis_t  **known, *redis;

    known = list->elts;

    for (i = 0; i < list->nelts; i++) {
        if (ngx_http_checkout_same_redis(&known[i]->settings, settings)) {
            return known[i];
        }
    }

    redis = ngx_http_checkout_add(cf, list, sizeof(ngx_http_checkout_redis_t));

    if (redis != NULL) {
        redis->settings = *settings;
        redis->key = ngx_http_checkout_zone_key(&settings->server->name,
                                                settings->server->database);
    }

    return redis;
}


/* The cap of the queue is said once in a call, so locations with other caps have gates of their own. */
static ngx_http_checkout_gate_t *
ngx_http_checkout_find_gate(ngx_conf_t *cf, ngx_array_t *list, ngx_http_checkout_loc_conf_t *conf,
    ngx_http_checkout_zone_t *zone)
{
    ngx_uint_t                  i;
    ngx_http_checkout_gate_t  **known, *gate;

    known = list->elts;

    for (i = 0; i < list->nelts; i++) {
        if (known[i]->redis == conf->redis && known[i]->queue_limit == conf->gate_settings.queue_limit) {
            return known[i];
        }
    }

    gate = ngx_http_checkout_add(cf, list, sizeof(ngx_http_checkout_gate_t));

    if (gate != NULL) {
        gate->redis = conf->redis;
        gate->zone = zone;
        gate->queue_limit = conf->gate_settings.queue_limit;
    }

    return gate;
}


static ngx_http_checkout_clock_t *
ngx_http_checkout_find_clock(ngx_conf_t *cf, ngx_array_t *list, ngx_msec_t timeout)
{
    ngx_uint_t                   i;
    ngx_http_checkout_clock_t  **known, *clock;

    known = list->elts;

    for (i = 0; i < list->nelts; i++) {
        if (known[i]->timeout == timeout) {
            return known[i];
        }
    }

    clock = ngx_http_checkout_add(cf, list, sizeof(ngx_http_checkout_clock_t));

    if (clock != NULL) {
        clock->timeout = timeout;
    }

    return clock;
}


static char *
ngx_http_checkout_handler_lacks(ngx_conf_t *cf, ngx_http_checkout_loc_conf_t *conf, const char *directive)
{
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "\"%V\" without \"%s\" in %V:%ui", &conf->request.handler.name, directive,
                  &conf->request.handler.file, conf->request.handler.line);

    return NGX_CONF_ERROR;
}


/* What a handler cannot do without. */
#define NGX_HTTP_CHECKOUT_NEEDS_ZONE     0x01
#define NGX_HTTP_CHECKOUT_NEEDS_REDIS    0x02
#define NGX_HTTP_CHECKOUT_NEEDS_MYSQL    0x04    /* some server to read from */
#define NGX_HTTP_CHECKOUT_NEEDS_PRIMARY  0x08
#define NGX_HTTP_CHECKOUT_TAKES_MYSQL    0x10    /* where it is configured */
#define NGX_HTTP_CHECKOUT_NEEDS_ADMIN    0x20
#define NGX_HTTP_CHECKOUT_NEEDS_SECRETS  0x40    /* of webhooks */


static const struct {
    const char                    *handler;
    ngx_uint_t                     needs;
} ngx_http_checkout_needs[] = {
    { "checkout_place_order", NGX_HTTP_CHECKOUT_NEEDS_REDIS },
    { "checkout_order_status", NGX_HTTP_CHECKOUT_NEEDS_REDIS|NGX_HTTP_CHECKOUT_TAKES_MYSQL },
    { "checkout_stock", NGX_HTTP_CHECKOUT_NEEDS_REDIS },
    { "checkout_query", NGX_HTTP_CHECKOUT_NEEDS_MYSQL },
    { "checkout_init_stock",
      NGX_HTTP_CHECKOUT_NEEDS_REDIS|NGX_HTTP_CHECKOUT_NEEDS_PRIMARY|NGX_HTTP_CHECKOUT_NEEDS_ADMIN },
    { "checkout_cancel_order", NGX_HTTP_CHECKOUT_NEEDS_REDIS|NGX_HTTP_CHECKOUT_NEEDS_PRIMARY },
    { "checkout_webhook", NGX_HTTP_CHECKOUT_NEEDS_PRIMARY|NGX_HTTP_CHECKOUT_NEEDS_SECRETS },
    { "checkout_ready", NGX_HTTP_CHECKOUT_NEEDS_REDIS|NGX_HTTP_CHECKOUT_TAKES_MYSQL },
    { "checkout_health", 0 },
    { "checkout_metrics", NGX_HTTP_CHECKOUT_NEEDS_ZONE },
};


static ngx_uint_t
ngx_http_checkout_handler_needs(ngx_http_checkout_loc_conf_t *conf)
{
    ngx_uint_t  i;

    for (i = 0; i < sizeof(ngx_http_checkout_needs) / sizeof(ngx_http_checkout_needs[0]); i++) {
        if (ngx_strcmp(conf->request.handler.name.data, ngx_http_checkout_needs[i].handler) == 0) {
            return ngx_http_checkout_needs[i].needs;
        }
    }

    return 0;
}


/* Gives a location its connection to Redis, its gate and the place of its marks. */
static char *
ngx_http_checkout_connect_redis(ngx_conf_t *cf, ngx_http_checkout_main_conf_t *cmcf,
    ngx_http_checkout_loc_conf_t *conf)
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

    conf->gate = ngx_http_checkout_find_gate(cf, &cmcf->gates, conf, cmcf->zone);
    conf->zone = conf->gate_settings.sold_out_cache ? cmcf->zone : NULL;

    return conf->gate != NULL ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* Gives a location its way to MySQL. */
static char *
ngx_http_checkout_connect_mysql(ngx_conf_t *cf, ngx_http_checkout_main_conf_t *cmcf,
    ngx_http_checkout_loc_conf_t *conf, ngx_uint_t needs)
{
    if (!(needs & NGX_HTTP_CHECKOUT_TAKES_MYSQL) && conf->mysql == NULL) {
        return ngx_http_checkout_handler_lacks(cf, conf, "checkout_mysql");
    }

    if ((needs & NGX_HTTP_CHECKOUT_NEEDS_PRIMARY) && conf->sql.primary == NULL) {
        return ngx_http_checkout_handler_lacks(cf, conf, "checkout_primary");
    }

    if ((needs & NGX_HTTP_CHECKOUT_NEEDS_MYSQL) && conf->sql.read_from == NULL && conf->sql.primary == NULL) {
        return ngx_http_checkout_handler_lacks(cf, conf, "checkout_read_from");
    }

    /* who cannot do without the primary writes there */
    return ngx_http_checkout_mysql_access(cf, &cmcf->accesses, conf, (needs & NGX_HTTP_CHECKOUT_NEEDS_PRIMARY) != 0);
}


/* Gives a location with a handler what it needs. */
static char *
ngx_http_checkout_connect_location(ngx_conf_t *cf, ngx_http_checkout_loc_conf_t *conf)
{
    ngx_uint_t                      needs;
    ngx_http_checkout_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_checkout_module);
    needs = ngx_http_checkout_handler_needs(conf);

    if ((needs & NGX_HTTP_CHECKOUT_NEEDS_ZONE) && cmcf->zone == NULL) {
        return ngx_http_checkout_handler_lacks(cf, conf, "checkout_zone");
    }

    if ((needs & NGX_HTTP_CHECKOUT_NEEDS_ADMIN) && conf->request.admin_token == NULL) {
        return ngx_http_checkout_handler_lacks(cf, conf, "checkout_admin_token_file");
    }

    if ((needs & NGX_HTTP_CHECKOUT_NEEDS_SECRETS) && ngx_http_checkout_merge_webhook(cf, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if ((needs & NGX_HTTP_CHECKOUT_NEEDS_REDIS)
        && ngx_http_checkout_connect_redis(cf, cmcf, conf) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    if ((needs & (NGX_HTTP_CHECKOUT_NEEDS_MYSQL|NGX_HTTP_CHECKOUT_NEEDS_PRIMARY|NGX_HTTP_CHECKOUT_TAKES_MYSQL))
        && ngx_http_checkout_connect_mysql(cf, cmcf, conf, needs) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    /* Where MySQL is asked after Redis, Redis must leave it some time. */
    conf->clock = ngx_http_checkout_find_clock(cf, &cmcf->clocks, conf->request.timeout);
    conf->redis_clock = ngx_http_checkout_find_clock(cf, &cmcf->clocks,
                                                      conf->sql.access ? ngx_max(conf->request.timeout / 2, 1) : conf->request.timeout);

    return conf->clock != NULL && conf->redis_clock != NULL ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_http_checkout_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_checkout_loc_conf_t  *prev = parent;
    ngx_http_checkout_loc_conf_t  *conf = child;

    ngx_http_core_loc_conf_t  *clcf;

    ngx_conf_merge_ptr_value(conf->redis_settings.server, prev->redis_settings.server, NULL);
    ngx_conf_merge_uint_value(conf->max_quantity, prev->max_quantity, 1000);
    ngx_conf_merge_uint_value(conf->gate_settings.queue_limit, prev->gate_settings.queue_limit, 1000000);
    ngx_conf_merge_msec_value(conf->request.timeout, prev->request.timeout, 2000);
    ngx_conf_merge_msec_value(conf->redis_settings.connect_timeout, prev->redis_settings.connect_timeout, 1000);
    ngx_conf_merge_msec_value(conf->redis_settings.send_timeout, prev->redis_settings.send_timeout, 1000);
    ngx_conf_merge_msec_value(conf->redis_settings.read_timeout, prev->redis_settings.read_timeout, 1000);
    ngx_conf_merge_msec_value(conf->gate_settings.sold_out_cache, prev->gate_settings.sold_out_cache, 200);
    ngx_conf_merge_ptr_value(conf->request.user, prev->request.user, NULL);
    ngx_conf_merge_size_value(conf->query_max_size, prev->query_max_size, 1024 * 1024);
    ngx_conf_merge_ptr_value(conf->webhook_secret_files, prev->webhook_secret_files, NULL);
    ngx_conf_merge_sec_value(conf->webhook_tolerance, prev->webhook_tolerance, 300);
    ngx_conf_merge_sec_value(conf->request.sticky, prev->request.sticky, 0);
    ngx_conf_merge_ptr_value(conf->request.admin_token, prev->request.admin_token, NULL);
    ngx_conf_merge_value(conf->redis_tls.enable, prev->redis_tls.enable, 0);
    ngx_conf_merge_value(conf->redis_tls.verify, prev->redis_tls.verify, 1);
    ngx_conf_merge_str_value(conf->redis_tls.name, prev->redis_tls.name, "");
    ngx_conf_merge_str_value(conf->redis_tls.certificate, prev->redis_tls.certificate, "");
    ngx_conf_merge_str_value(conf->redis_tls.certificate_key, prev->redis_tls.certificate_key, "");
    ngx_conf_merge_str_value(conf->redis_tls.trusted_certificate, prev->redis_tls.trusted_certificate, "");

    ngx_http_checkout_mysql_merge(conf, prev);
    conf->sql.timeout = conf->request.timeout;
    conf->sql.handler = &conf->request.handler;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* Inside "if" and "limit_except" nginx keeps the handler of the location but uses this configuration. */
    if (clcf->noname && conf->request.handler.name.len == 0) {
        conf->request.handler = prev->request.handler;
        conf->request.argument = prev->request.argument;
        conf->ready = prev->ready;
        conf->query = prev->query;
        conf->webhook = prev->webhook;
    }

    if (conf->query != NULL && ngx_http_checkout_merge_query(cf, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (conf->request.handler.name.len == 0) {
        return NGX_CONF_OK;
    }

    return ngx_http_checkout_connect_location(cf, conf);
}


static ngx_http_checkout_main_conf_t *
ngx_http_checkout_main_conf(ngx_cycle_t *cycle)
{
    return cycle->conf_ctx[ngx_http_module.index] == NULL
           ? NULL : ngx_http_cycle_get_module_main_conf(cycle, ngx_http_checkout_module);
}


/* nginx's cache manager and loader begin as workers do, but serve nobody. */
static ngx_uint_t
ngx_http_checkout_serves(void)
{
    return ngx_process == NGX_PROCESS_WORKER || ngx_process == NGX_PROCESS_SINGLE;
}


static ngx_int_t
ngx_http_checkout_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                      i;
    ngx_http_checkout_shared_t     *shared;
    ngx_http_checkout_main_conf_t  *cmcf;

    cmcf = ngx_http_checkout_main_conf(cycle);

    if (cmcf == NULL || !ngx_http_checkout_serves()) {
        return NGX_OK;
    }

    shared = cmcf->zone != NULL ? cmcf->zone->shared : NULL;
    ngx_http_checkout_zone_enter(shared);

    for (i = 0; i < cmcf->redis.nelts; i++) {
        ngx_http_checkout_redis_init(((ngx_http_checkout_redis_t **) cmcf->redis.elts)[i], shared);
    }

    for (i = 0; i < cmcf->gates.nelts; i++) {
        ngx_http_checkout_gate_init(((ngx_http_checkout_gate_t **) cmcf->gates.elts)[i]);
    }

    for (i = 0; i < cmcf->clocks.nelts; i++) {
        ngx_http_checkout_clock_init(((ngx_http_checkout_clock_t **) cmcf->clocks.elts)[i]);
    }

    return ngx_http_checkout_sql_init(cycle, &cmcf->threads, &cmcf->accesses);
}


static void
ngx_http_checkout_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                      i;
    ngx_http_checkout_main_conf_t  *cmcf;

    cmcf = ngx_http_checkout_main_conf(cycle);

    if (cmcf == NULL || !ngx_http_checkout_serves()) {
        return;
    }

    ngx_http_checkout_sql_exit(&cmcf->accesses);

    for (i = 0; i < cmcf->gates.nelts; i++) {
        ngx_http_checkout_gate_exit(((ngx_http_checkout_gate_t **) cmcf->gates.elts)[i]);
    }

    for (i = 0; i < cmcf->redis.nelts; i++) {
        ngx_http_checkout_redis_exit(((ngx_http_checkout_redis_t **) cmcf->redis.elts)[i]);
    }
}
