/*
 * Objects that locations share whose settings are equal: connections to Redis,
 * gates and clocks. They stand in lists of the main configuration.
 */
#include "conf/shared.h"

#include "conf/redis.h"


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


/*
 * The resolver of a location; one without name servers is what nginx makes
 * where none is configured.
 */
ngx_resolver_t *
ngx_http_checkout_resolver(ngx_conf_t *cf)
{
    ngx_http_core_loc_conf_t  *core;

    core = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    return core->resolver != NULL && core->resolver->connections.nelts
               ? core->resolver
               : NULL;
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


ngx_http_checkout_redis_t *
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


/*
 * The cap of the queue is said once in a call, so locations with other caps
 * have gates of their own.
 */
ngx_http_checkout_gate_t *
ngx_http_checkout_find_gate(ngx_conf_t *cf, ngx_array_t *list,
    ngx_http_checkout_loc_conf_t *conf, ngx_http_checkout_zone_t *zone)
{
    ngx_uint_t                  i;
    ngx_http_checkout_gate_t  **known, *gate;

    known = list->elts;

    for (i = 0; i < list->nelts; i++) {
        if (known[i]->redis == conf->redis
            && known[i]->queue_limit == conf->gate_settings.queue_limit)
        {
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


ngx_http_checkout_clock_t *
ngx_http_checkout_find_clock(ngx_conf_t *cf, ngx_array_t *list,
    ngx_msec_t timeout)
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
