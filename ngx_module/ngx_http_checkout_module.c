/*
 * Directives of the module, how they are merged, and the start and end of a worker process.
 *
 * Locations that say the same share one connection, gate and clock: they are kept in lists of the main
 * configuration and live, like all of the configuration, as long as the cycle.
 */
#include "ngx_http_checkout.h"


static char *ngx_http_checkout_set_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *ngx_http_checkout_set_handler(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static void *ngx_http_checkout_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_checkout_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_checkout_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child);
static char *ngx_http_checkout_check_positive(ngx_conf_t *cf, void *post, void *data);
static char *ngx_http_checkout_check_count(ngx_conf_t *cf, void *post, void *data);
static ngx_int_t ngx_http_checkout_init_process(ngx_cycle_t *cycle);
static void ngx_http_checkout_exit_process(ngx_cycle_t *cycle);


static ngx_conf_post_t  ngx_http_checkout_positive = { ngx_http_checkout_check_positive };
static ngx_conf_post_t  ngx_http_checkout_count = { ngx_http_checkout_check_count };


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
      offsetof(ngx_http_checkout_loc_conf_t, connect_timeout),
      &ngx_http_checkout_positive },

    { ngx_string("checkout_send_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, send_timeout),
      &ngx_http_checkout_positive },

    { ngx_string("checkout_read_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, read_timeout),
      &ngx_http_checkout_positive },

    { ngx_string("checkout_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, timeout),
      &ngx_http_checkout_positive },

    { ngx_string("checkout_max_quantity"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, max_quantity),
      &ngx_http_checkout_count },

    { ngx_string("checkout_queue_limit"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_checkout_loc_conf_t, queue_limit),
      &ngx_http_checkout_count },

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

    { ngx_string("checkout_health"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_checkout_set_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_http_checkout_health_handler },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_checkout_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

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


static char *
ngx_http_checkout_check_positive(ngx_conf_t *cf, void *post, void *data)
{
    ngx_msec_t  *value = data;

    return *value > 0 ? NGX_CONF_OK : "must be positive";
}


static char *
ngx_http_checkout_check_count(ngx_conf_t *cf, void *post, void *data)
{
    ngx_int_t  *value = data;

    return *value >= 1 && *value <= INT32_MAX ? NGX_CONF_OK : "must be between 1 and 2147483647";
}


/* The addresses of a server. The only place where its name is resolved. */
static char *
ngx_http_checkout_resolve(ngx_conf_t *cf, ngx_http_checkout_server_t *server)
{
    ngx_url_t  u;

    ngx_memzero(&u, sizeof(ngx_url_t));
    u.url = server->name;
    u.default_port = 6379;

    if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s in \"checkout_redis %V\"",
                           u.err ? u.err : "no memory", &server->name);
        return NGX_CONF_ERROR;
    }

    server->addrs = u.addrs;
    server->naddrs = u.naddrs;

    return NGX_CONF_OK;
}


static char *
ngx_http_checkout_set_redis_parameter(ngx_conf_t *cf, ngx_http_checkout_server_t *server, ngx_str_t *value)
{
    ngx_int_t  number;

    if (ngx_strncmp(value->data, "database=", 9) == 0) {
        number = ngx_atoi(value->data + 9, value->len - 9);

        if (number == NGX_ERROR || number > INT32_MAX) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid database number in \"%V\"", value);
            return NGX_CONF_ERROR;
        }

        server->database = number;
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"", value);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_checkout_set_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_checkout_loc_conf_t  *clcf = conf;

    ngx_str_t                   *value;
    ngx_uint_t                   i;
    ngx_http_checkout_server_t  *server;

    if (clcf->server != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    server = ngx_pcalloc(cf->pool, sizeof(ngx_http_checkout_server_t));

    if (server == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;
    server->name = value[1];
    server->database = 1;

    if (ngx_http_checkout_resolve(cf, server) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_checkout_set_redis_parameter(cf, server, &value[i]) != NGX_CONF_OK) {
            return NGX_CONF_ERROR;
        }
    }

    clcf->server = server;

    return NGX_CONF_OK;
}


static char *
ngx_http_checkout_set_value(ngx_conf_t *cf, ngx_http_checkout_loc_conf_t *clcf, ngx_str_t *value)
{
    ngx_http_compile_complex_value_t  ccv;

    clcf->value = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));

    if (clcf->value == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));
    ccv.cf = cf;
    ccv.value = value;
    ccv.complex_value = clcf->value;

    return ngx_http_compile_complex_value(&ccv) == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* cmd->post is the handler of requests. */
static char *
ngx_http_checkout_set_handler(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_checkout_loc_conf_t  *clcf = conf;

    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *core;

    core = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    value = cf->args->elts;

    if (clcf->handler.len) {
        if (ngx_strcmp(clcf->handler.data, value[0].data) == 0) {
            return "is duplicate";
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" stands in one location with \"%V\"",
                           &value[0], &clcf->handler);
        return NGX_CONF_ERROR;
    }

    if (core->handler != NULL) {
        return "stands in a location that has another handler";
    }

    core->handler = (ngx_http_handler_pt) cmd->post;

    clcf->handler = value[0];
    clcf->file = cf->conf_file->file.name;
    clcf->line = cf->conf_file->line;

    if (cf->args->nelts == 1) {
        return NGX_CONF_OK;
    }

    return ngx_http_checkout_set_value(cf, clcf, &value[1]);
}


static void *
ngx_http_checkout_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_checkout_main_conf_t  *cmcf;

    cmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_checkout_main_conf_t));

    if (cmcf == NULL
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

    clcf->server = NGX_CONF_UNSET_PTR;
    clcf->max_quantity = NGX_CONF_UNSET_UINT;
    clcf->queue_limit = NGX_CONF_UNSET_UINT;
    clcf->timeout = NGX_CONF_UNSET_MSEC;
    clcf->connect_timeout = NGX_CONF_UNSET_MSEC;
    clcf->send_timeout = NGX_CONF_UNSET_MSEC;
    clcf->read_timeout = NGX_CONF_UNSET_MSEC;

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


static ngx_uint_t
ngx_http_checkout_same_server(ngx_http_checkout_server_t *a, ngx_http_checkout_server_t *b)
{
    return a->database == b->database && a->name.len == b->name.len
           && ngx_strncmp(a->name.data, b->name.data, a->name.len) == 0;
}


static ngx_http_checkout_redis_t *
ngx_http_checkout_find_redis(ngx_conf_t *cf, ngx_array_t *list, ngx_http_checkout_loc_conf_t *conf)
{
    ngx_uint_t                   i;
    ngx_http_checkout_redis_t  **known, *redis;

    known = list->elts;

    for (i = 0; i < list->nelts; i++) {
        if (ngx_http_checkout_same_server(known[i]->server, conf->server)
            && known[i]->connect_timeout == conf->connect_timeout
            && known[i]->send_timeout == conf->send_timeout
            && known[i]->read_timeout == conf->read_timeout)
        {
            return known[i];
        }
    }

    redis = ngx_http_checkout_add(cf, list, sizeof(ngx_http_checkout_redis_t));

    if (redis != NULL) {
        redis->server = conf->server;
        redis->connect_timeout = conf->connect_timeout;
        redis->send_timeout = conf->send_timeout;
        redis->read_timeout = conf->read_timeout;
    }

    return redis;
}


/* The cap of the queue is said once in a call, so locations with other caps have gates of their own. */
static ngx_http_checkout_gate_t *
ngx_http_checkout_find_gate(ngx_conf_t *cf, ngx_array_t *list, ngx_http_checkout_loc_conf_t *conf)
{
    ngx_uint_t                  i;
    ngx_http_checkout_gate_t  **known, *gate;

    known = list->elts;

    for (i = 0; i < list->nelts; i++) {
        if (known[i]->redis == conf->redis && known[i]->queue_limit == conf->queue_limit) {
            return known[i];
        }
    }

    gate = ngx_http_checkout_add(cf, list, sizeof(ngx_http_checkout_gate_t));

    if (gate != NULL) {
        gate->redis = conf->redis;
        gate->queue_limit = conf->queue_limit;
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


/* Gives a location with a handler its connection, gate and clock. */
static char *
ngx_http_checkout_connect_location(ngx_conf_t *cf, ngx_http_checkout_loc_conf_t *conf)
{
    ngx_http_checkout_main_conf_t  *cmcf;

    if (ngx_strcmp(conf->handler.data, "checkout_health") == 0) {
        return NGX_CONF_OK;
    }

    if (conf->server == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "\"%V\" without \"checkout_redis\" in %V:%ui",
                      &conf->handler, &conf->file, conf->line);
        return NGX_CONF_ERROR;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_checkout_module);

    conf->redis = ngx_http_checkout_find_redis(cf, &cmcf->redis, conf);

    if (conf->redis == NULL) {
        return NGX_CONF_ERROR;
    }

    conf->gate = ngx_http_checkout_find_gate(cf, &cmcf->gates, conf);
    conf->clock = ngx_http_checkout_find_clock(cf, &cmcf->clocks, conf->timeout);

    return conf->gate != NULL && conf->clock != NULL ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_http_checkout_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_checkout_loc_conf_t  *prev = parent;
    ngx_http_checkout_loc_conf_t  *conf = child;

    ngx_conf_merge_ptr_value(conf->server, prev->server, NULL);
    ngx_conf_merge_uint_value(conf->max_quantity, prev->max_quantity, 1000);
    ngx_conf_merge_uint_value(conf->queue_limit, prev->queue_limit, 1000000);
    ngx_conf_merge_msec_value(conf->timeout, prev->timeout, 2000);
    ngx_conf_merge_msec_value(conf->connect_timeout, prev->connect_timeout, 1000);
    ngx_conf_merge_msec_value(conf->send_timeout, prev->send_timeout, 1000);
    ngx_conf_merge_msec_value(conf->read_timeout, prev->read_timeout, 1000);

    if (conf->handler.len == 0) {
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


static ngx_int_t
ngx_http_checkout_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                      i;
    ngx_http_checkout_main_conf_t  *cmcf;

    cmcf = ngx_http_checkout_main_conf(cycle);

    if (cmcf == NULL) {
        return NGX_OK;
    }

    for (i = 0; i < cmcf->redis.nelts; i++) {
        ngx_http_checkout_redis_init(((ngx_http_checkout_redis_t **) cmcf->redis.elts)[i]);
    }

    for (i = 0; i < cmcf->gates.nelts; i++) {
        ngx_http_checkout_gate_init(((ngx_http_checkout_gate_t **) cmcf->gates.elts)[i]);
    }

    for (i = 0; i < cmcf->clocks.nelts; i++) {
        ngx_http_checkout_clock_init(((ngx_http_checkout_clock_t **) cmcf->clocks.elts)[i]);
    }

    return NGX_OK;
}


static void
ngx_http_checkout_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                      i;
    ngx_http_checkout_main_conf_t  *cmcf;

    cmcf = ngx_http_checkout_main_conf(cycle);

    if (cmcf == NULL) {
        return;
    }

    for (i = 0; i < cmcf->gates.nelts; i++) {
        ngx_http_checkout_gate_exit(((ngx_http_checkout_gate_t **) cmcf->gates.elts)[i]);
    }

    for (i = 0; i < cmcf->redis.nelts; i++) {
        ngx_http_checkout_redis_exit(((ngx_http_checkout_redis_t **) cmcf->redis.elts)[i]);
    }
}
