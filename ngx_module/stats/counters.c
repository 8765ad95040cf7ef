/*
 * The shared memory of all worker processes: counters, what was last seen of
 * each Redis, and a rest for the layers above. It outlives reloads.
 *
 * Nothing here takes a lock. Counters stand in a slot for each worker process
 * and are added to atomically, since an old process and its successor may
 * share a slot. Without "checkout_zone" the counters are the process's own and
 * nobody reads them.
 */
#include "stats/counters.h"

#include "stats/hash.h"


/* for worker processes; more share them */
#define NGX_HTTP_CHECKOUT_SLOTS     32
#define NGX_HTTP_CHECKOUT_SERVERS   16
#define NGX_HTTP_CHECKOUT_REST_MIN  1024 /* bytes */


struct ngx_http_checkout_shared_s {
    ngx_http_checkout_counters_t  slots[NGX_HTTP_CHECKOUT_SLOTS];
    ngx_http_checkout_gauge_t     servers[NGX_HTTP_CHECKOUT_SERVERS];
    size_t                        rest_size;
    uint64_t                      rest[];  /* of the layers above */
};


static ngx_http_checkout_counters_t  ngx_http_checkout_own_counters;
static ngx_http_checkout_gauge_t     ngx_http_checkout_own_gauge;

ngx_http_checkout_counters_t
    *ngx_http_checkout_counters = &ngx_http_checkout_own_counters;


uint64_t
ngx_http_checkout_zone_key(const ngx_str_t *name, ngx_uint_t database)
{
    size_t    i;
    uint64_t  key;

    key = ngx_http_checkout_hash(database);

    for (i = 0; i < name->len; i++) {
        key = ngx_http_checkout_hash(key ^ name->data[i]);
    }

    return key ? key : 1;
}


ngx_http_checkout_gauge_t *
ngx_http_checkout_zone_gauge(ngx_http_checkout_shared_t *shared,
    uint64_t server)
{
    ngx_uint_t                  i;
    ngx_http_checkout_gauge_t  *gauge;

    for (i = 0; shared != NULL && i < NGX_HTTP_CHECKOUT_SERVERS; i++) {
        gauge = &shared->servers[i];

        if (gauge->server == server
            || ngx_atomic_cmp_set(&gauge->server, 0,
                                  (ngx_atomic_uint_t) server)
            || gauge->server == server)
        {
            return gauge;
        }
    }

    return &ngx_http_checkout_own_gauge;
}


void
ngx_http_checkout_zone_enter(ngx_http_checkout_shared_t *shared)
{
    if (shared == NULL) {
        ngx_http_checkout_counters = &ngx_http_checkout_own_counters;
        return;
    }

    ngx_http_checkout_counters =
        &shared->slots[ngx_worker % NGX_HTTP_CHECKOUT_SLOTS];
    ngx_http_checkout_counters->pid = ngx_pid;
    ngx_http_checkout_counters->connections = 0;
    ngx_http_checkout_counters->sql_connections = 0;
    ngx_http_checkout_counters->sql_waiting = 0;
}


void
ngx_http_checkout_zone_connections(ngx_int_t more)
{
    if (ngx_http_checkout_counters->pid == (ngx_atomic_uint_t) ngx_pid) {
        (void) ngx_atomic_fetch_add(&ngx_http_checkout_counters->connections,
                                    more);
    }
}


void
ngx_http_checkout_zone_sql_connections(ngx_int_t more)
{
    if (ngx_http_checkout_counters->pid == (ngx_atomic_uint_t) ngx_pid) {
        (void) ngx_atomic_fetch_add(
            &ngx_http_checkout_counters->sql_connections, more);
    }
}


void
ngx_http_checkout_zone_sql_waiting(ngx_int_t more)
{
    if (ngx_http_checkout_counters->pid == (ngx_atomic_uint_t) ngx_pid) {
        (void) ngx_atomic_fetch_add(&ngx_http_checkout_counters->sql_waiting,
                                    more);
    }
}


/* The struct is an array of ngx_atomic_t. */
void
ngx_http_checkout_zone_sum(ngx_http_checkout_shared_t *shared,
    ngx_http_checkout_counters_t *sum)
{
    ngx_uint_t     i, j;
    ngx_atomic_t  *from, *to;

    ngx_memzero(sum, sizeof(ngx_http_checkout_counters_t));
    to = (ngx_atomic_t *) sum;

    for (i = 0; i < NGX_HTTP_CHECKOUT_SLOTS; i++) {
        from = (ngx_atomic_t *) &shared->slots[i];

        for (j = 0;
             j < sizeof(ngx_http_checkout_counters_t) / sizeof(ngx_atomic_t);
             j++)
        {
            to[j] += from[j];
        }
    }
}


/* All that the zone has, in one piece. */
static ngx_http_checkout_shared_t *
ngx_http_checkout_zone_alloc(ngx_slab_pool_t *pool)
{
    size_t                       size;
    ngx_http_checkout_shared_t  *shared;

    for (size = pool->pfree * ngx_pagesize;
         size
         > sizeof(ngx_http_checkout_shared_t) + NGX_HTTP_CHECKOUT_REST_MIN;
         size -= ngx_pagesize)
    {
        pool->log_nomem = 0;
        shared = ngx_slab_calloc(pool, size);

        if (shared != NULL) {
            shared->rest_size = size - sizeof(ngx_http_checkout_shared_t);
            return shared;
        }
    }

    return NULL;
}


void *
ngx_http_checkout_zone_rest(ngx_http_checkout_shared_t *shared, size_t *size)
{
    *size = shared->rest_size;

    return shared->rest;
}


static ngx_int_t
ngx_http_checkout_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_slab_pool_t           *pool;
    ngx_http_checkout_zone_t  *zone, *old;

    zone = shm_zone->data;
    old = data;

    if (old != NULL) {
        zone->shared = old->shared;
        return NGX_OK;
    }

    pool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (shm_zone->shm.exists) {
        zone->shared = pool->data;
        return NGX_OK;
    }

    zone->shared = ngx_http_checkout_zone_alloc(pool);
    pool->data = zone->shared;

    if (zone->shared == NULL) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "\"checkout_zone\" \"%V\" is too small",
                      &shm_zone->shm.name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_http_checkout_zone_t *
ngx_http_checkout_zone_add(ngx_conf_t *cf, ngx_str_t *name, size_t size,
    ngx_module_t *module)
{
    ngx_http_checkout_zone_t  *zone;

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_checkout_zone_t));

    if (zone == NULL) {
        return NULL;
    }

    zone->shm = ngx_shared_memory_add(cf, name, size, module);

    if (zone->shm == NULL) {
        return NULL;
    }

    zone->shm->init = ngx_http_checkout_zone_init;
    zone->shm->data = zone;

    return zone;
}
