/*
 * The shared memory of all worker processes: what is sold out, and counters. It outlives reloads.
 *
 * Nothing here takes a lock. Counters stand in a slot for each worker process and are added to atomically,
 * since an old process and its successor may share a slot. Marks stand in a table of sets of four, found by a
 * hash of server and product; the oldest of a set makes room. A mark carries a checksum over its words, so one
 * that is read while it is written, or that was written by two processes at once or by one that died, is no
 * mark: Redis is asked then. Without "checkout_zone" the counters are the process's own and nobody reads them.
 */
#include "stats/counters.h"



#define NGX_HTTP_CHECKOUT_SLOTS    32     /* for worker processes; more share them */
#define NGX_HTTP_CHECKOUT_SERVERS  16
#define NGX_HTTP_CHECKOUT_WAYS     4
#define NGX_HTTP_CHECKOUT_SKEW     1000   /* ms by which the time of another process may be ahead */


typedef struct {
    volatile uint64_t              product_id;
    volatile uint64_t              server;
    volatile uint64_t              left;
    volatile uint64_t              seen;      /* ngx_current_msec, the same clock in all processes */
    volatile uint64_t              check;
} ngx_http_checkout_mark_t;

struct ngx_http_checkout_shared_s {
    ngx_http_checkout_counters_t   slots[NGX_HTTP_CHECKOUT_SLOTS];
    ngx_http_checkout_gauge_t      servers[NGX_HTTP_CHECKOUT_SERVERS];
    ngx_uint_t                     sets;
    ngx_http_checkout_mark_t       marks[][NGX_HTTP_CHECKOUT_WAYS];
};


static ngx_http_checkout_counters_t   ngx_http_checkout_own_counters;
static ngx_http_checkout_gauge_t      ngx_http_checkout_own_gauge;

ngx_http_checkout_counters_t         *ngx_http_checkout_counters = &ngx_http_checkout_own_counters;


/* The finalizer of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators"). */
static uint64_t
ngx_http_checkout_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;

    return x ^ (x >> 31);
}


/* What stands for a server and its database in the zone; never 0. */
uint64_t
ngx_http_checkout_zone_key(const ngx_str_t *name, ngx_uint_t database)
{
    size_t    i;
    uint64_t  key;

    key = ngx_http_checkout_mix(database);

    for (i = 0; i < name->len; i++) {
        key = ngx_http_checkout_mix(key ^ name->data[i]);
    }

    return key ? key : 1;
}


static uint64_t
ngx_http_checkout_mark_check(uint64_t product_id, uint64_t server, uint64_t left, uint64_t seen)
{
    return ngx_http_checkout_mix(product_id ^ ngx_http_checkout_mix(server ^ ngx_http_checkout_mix(left
                                                                            ^ ngx_http_checkout_mix(seen))));
}


static ngx_http_checkout_mark_t *
ngx_http_checkout_mark_set(ngx_http_checkout_shared_t *shared, uint64_t server, uint64_t product_id)
{
    return shared->marks[ngx_http_checkout_mix(server ^ product_id) % shared->sets];
}


/* ms since the mark was seen; a moment of the near future counts as now, another one as long ago. */
static ngx_msec_t
ngx_http_checkout_mark_age(uint64_t seen)
{
    ngx_msec_int_t  age;

    age = (ngx_msec_int_t) (ngx_current_msec - (ngx_msec_t) seen);

    if (age >= 0) {
        return (ngx_msec_t) age;
    }

    return age > -NGX_HTTP_CHECKOUT_SKEW ? 0 : NGX_MAX_INT_T_VALUE;
}


/* NGX_OK, and what a mark younger than max_age says is left of the product; else NGX_DECLINED. */
ngx_int_t
ngx_http_checkout_zone_left(ngx_http_checkout_shared_t *shared, uint64_t server, uint64_t product_id,
    ngx_msec_t max_age, uint64_t *left)
{
    uint64_t                   seen, check;
    ngx_uint_t                 i;
    ngx_http_checkout_mark_t  *mark;

    mark = ngx_http_checkout_mark_set(shared, server, product_id);

    for (i = 0; i < NGX_HTTP_CHECKOUT_WAYS; i++, mark++) {
        if (mark->product_id != product_id || mark->server != server) {
            continue;
        }

        *left = mark->left;
        seen = mark->seen;
        check = mark->check;

        if (ngx_http_checkout_mark_age(seen) < max_age
            && check == ngx_http_checkout_mark_check(product_id, server, *left, seen))
        {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/* Redis refused an order for want of units, in a call that was sent at `seen`. */
void
ngx_http_checkout_zone_mark(ngx_http_checkout_shared_t *shared, uint64_t server, uint64_t product_id, uint64_t left,
    ngx_msec_t seen)
{
    ngx_uint_t                 i;
    ngx_msec_t                 age, oldest_age;
    ngx_http_checkout_mark_t  *mark, *oldest;

    mark = ngx_http_checkout_mark_set(shared, server, product_id);
    oldest = mark;
    oldest_age = 0;

    for (i = 0; i < NGX_HTTP_CHECKOUT_WAYS; i++, mark++) {
        if (mark->product_id == product_id && mark->server == server) {
            oldest = mark;
            break;
        }

        age = mark->product_id ? ngx_http_checkout_mark_age(mark->seen) : NGX_MAX_INT_T_VALUE;

        if (age > oldest_age) {
            oldest_age = age;
            oldest = mark;
        }
    }

    oldest->product_id = product_id;
    oldest->server = server;
    oldest->left = left;
    oldest->seen = seen;
    oldest->check = ngx_http_checkout_mark_check(product_id, server, left, seen);
}


/* The place of a server's gauges; the process's own when the zone has no more. */
ngx_http_checkout_gauge_t *
ngx_http_checkout_zone_gauge(ngx_http_checkout_shared_t *shared, uint64_t server)
{
    ngx_uint_t                  i;
    ngx_http_checkout_gauge_t  *gauge;

    for (i = 0; shared != NULL && i < NGX_HTTP_CHECKOUT_SERVERS; i++) {
        gauge = &shared->servers[i];

        if (gauge->server == server
            || ngx_atomic_cmp_set(&gauge->server, 0, (ngx_atomic_uint_t) server)
            || gauge->server == server)
        {
            return gauge;
        }
    }

    return &ngx_http_checkout_own_gauge;
}


/* A worker process starts: from here on it counts in its slot. */
void
ngx_http_checkout_zone_enter(ngx_http_checkout_shared_t *shared)
{
    if (shared == NULL) {
        ngx_http_checkout_counters = &ngx_http_checkout_own_counters;
        return;
    }

    ngx_http_checkout_counters = &shared->slots[ngx_worker % NGX_HTTP_CHECKOUT_SLOTS];
    ngx_http_checkout_counters->pid = ngx_pid;
    ngx_http_checkout_counters->connections = 0;
    ngx_http_checkout_counters->sql_connections = 0;
    ngx_http_checkout_counters->sql_waiting = 0;
}


/* Connections of this process that can take calls. The old process of a reload has no say any more. */
void
ngx_http_checkout_zone_connections(ngx_int_t more)
{
    if (ngx_http_checkout_counters->pid == (ngx_atomic_uint_t) ngx_pid) {
        (void) ngx_atomic_fetch_add(&ngx_http_checkout_counters->connections, more);
    }
}


/* Connections to MySQL of this process. */
void
ngx_http_checkout_zone_sql_connections(ngx_int_t more)
{
    if (ngx_http_checkout_counters->pid == (ngx_atomic_uint_t) ngx_pid) {
        (void) ngx_atomic_fetch_add(&ngx_http_checkout_counters->sql_connections, more);
    }
}


/* Jobs of this process that wait for a connection to MySQL. */
void
ngx_http_checkout_zone_sql_waiting(ngx_int_t more)
{
    if (ngx_http_checkout_counters->pid == (ngx_atomic_uint_t) ngx_pid) {
        (void) ngx_atomic_fetch_add(&ngx_http_checkout_counters->sql_waiting, more);
    }
}


/* The sum over all processes; the counters are words and nothing else. */
void
ngx_http_checkout_zone_sum(ngx_http_checkout_shared_t *shared, ngx_http_checkout_counters_t *sum)
{
    ngx_uint_t     i, j;
    ngx_atomic_t  *from, *to;

    ngx_memzero(sum, sizeof(ngx_http_checkout_counters_t));
    to = (ngx_atomic_t *) sum;

    for (i = 0; i < NGX_HTTP_CHECKOUT_SLOTS; i++) {
        from = (ngx_atomic_t *) &shared->slots[i];

        for (j = 0; j < sizeof(ngx_http_checkout_counters_t) / sizeof(ngx_atomic_t); j++) {
            to[j] += from[j];
        }
    }
}


/* All that the zone has in one piece: counters first, the rest is for marks. */
static ngx_http_checkout_shared_t *
ngx_http_checkout_zone_alloc(ngx_slab_pool_t *pool)
{
    size_t                       size;
    ngx_http_checkout_shared_t  *shared;

    for (size = pool->pfree * ngx_pagesize;
         size > sizeof(ngx_http_checkout_shared_t) + sizeof(shared->marks[0]);
         size -= ngx_pagesize)
    {
        pool->log_nomem = 0;
        shared = ngx_slab_calloc(pool, size);

        if (shared != NULL) {
            shared->sets = (size - sizeof(ngx_http_checkout_shared_t)) / sizeof(shared->marks[0]);
            return shared;
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_checkout_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_slab_pool_t         *pool;
    ngx_http_checkout_zone_t *zone, *old;

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
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0, "\"checkout_zone\" \"%V\" is too small",
                      &shm_zone->shm.name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * A zone of shared memory, of the configuration. size: bytes. module: whose
 * name it is. NULL: no memory,
 * or nginx has logged what is wrong with it.
 */
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
