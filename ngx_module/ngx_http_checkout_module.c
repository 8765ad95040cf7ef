/*
 * The module: the table of its directives, its contexts, and the start and end
 * of a worker process.
 *
 * Each directive's function stands in conf/, each handler in handlers/. Where
 * to begin reading: README.md.
 */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "conf/checks.h"
#include "conf/conf.h"
#include "conf/directive.h"
#include "conf/merge.h"
#include "conf/mysql.h"
#include "conf/query.h"
#include "conf/ready.h"
#include "conf/redis.h"
#include "conf/request.h"
#include "conf/webhook.h"
#include "gate/queue.h"
#include "handlers/handlers.h"
#include "redis/connection.h"
#include "request/clock.h"
#include "request/variables.h"
#include "sql/process.h"
#include "stats/counters.h"


#if !(NGX_THREADS)
#error "the checkout module needs an nginx that is configured --with-threads"
#endif


static ngx_int_t ngx_http_checkout_init_process(ngx_cycle_t *cycle);
static void ngx_http_checkout_exit_process(ngx_cycle_t *cycle);


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
      &ngx_http_checkout_check_positive },

    { ngx_string("checkout_send_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, redis_settings.send_timeout),
      &ngx_http_checkout_check_positive },

    { ngx_string("checkout_read_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, redis_settings.read_timeout),
      &ngx_http_checkout_check_positive },

    { ngx_string("checkout_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, request.timeout),
      &ngx_http_checkout_check_positive },

    { ngx_string("checkout_max_quantity"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, max_quantity),
      &ngx_http_checkout_check_number },

    { ngx_string("checkout_queue_limit"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, gate_settings.queue_limit),
      &ngx_http_checkout_check_number },

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
      &ngx_http_checkout_check_positive },

    { ngx_string("checkout_mysql_read_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, mysql_read_timeout),
      &ngx_http_checkout_check_positive },

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
      &ngx_http_checkout_check_size },

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
      &ngx_http_checkout_check_tolerance },

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


static ngx_http_checkout_main_conf_t *
ngx_http_checkout_main_conf(ngx_cycle_t *cycle)
{
    return cycle->conf_ctx[ngx_http_module.index] == NULL
               ? NULL
               : ngx_http_cycle_get_module_main_conf(cycle,
                                                     ngx_http_checkout_module);
}


/* nginx's cache manager and loader begin as workers do, but serve nobody. */
static ngx_uint_t
ngx_http_checkout_serves(void)
{
    return ngx_process == NGX_PROCESS_WORKER
           || ngx_process == NGX_PROCESS_SINGLE;
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
        ngx_http_checkout_redis_init(
            ((ngx_http_checkout_redis_t **) cmcf->redis.elts)[i], shared);
    }

    for (i = 0; i < cmcf->gates.nelts; i++) {
        ngx_http_checkout_gate_init(
            ((ngx_http_checkout_gate_t **) cmcf->gates.elts)[i]);
    }

    for (i = 0; i < cmcf->clocks.nelts; i++) {
        ngx_http_checkout_clock_init(
            ((ngx_http_checkout_clock_t **) cmcf->clocks.elts)[i]);
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
        ngx_http_checkout_gate_exit(
            ((ngx_http_checkout_gate_t **) cmcf->gates.elts)[i]);
    }

    for (i = 0; i < cmcf->redis.nelts; i++) {
        ngx_http_checkout_redis_exit(
            ((ngx_http_checkout_redis_t **) cmcf->redis.elts)[i]);
    }
}
