/*
 * The connections to one server with one way to enter, and the jobs that wait
 * for one of them.
 *
 * There is a pool for each address that a balancer has chosen, made when it is
 * first needed. It holds at most `size` connections, whatever they do, and at
 * most `queue` waiting jobs. A connection is idle or in a run. It is closed
 * when it was idle for `idle`, when the server has closed it, and when a run
 * on it was abandoned. A pool without connections and jobs goes away after the
 * same time, so that addresses that come and go leave nothing behind.
 *
 * All pools share the threads, so dispatch takes the pools by turns.
 */
#include "sql/pool.h"

#include "sql/thread.h"
#include "stats/counters.h"


struct ngx_http_checkout_pool_s {
    ngx_queue_t                  queue;  /* among all of the process */
    ngx_http_checkout_access_t  *access;
    struct db_server             server;  /* where, and how to enter */
    ngx_sockaddr_t               sockaddr;
    socklen_t                    socklen;
    /* a literal address, or the path of the socket */
    char                         host[NGX_SOCKADDR_STRLEN + 1];
    ngx_queue_t                  idle;  /* the last used first */
    ngx_queue_t                  all;
    ngx_uint_t                   connections;
    ngx_queue_t                  waiting;  /* the oldest first */
    ngx_uint_t                   nwaiting;
    ngx_event_t                  timer;  /* closes what is idle */
    time_t                       logged;
    unsigned                     answers:1;
};


static ngx_queue_t  ngx_http_checkout_pools;


static void ngx_http_checkout_pool_timer(ngx_event_t *ev);


void
ngx_http_checkout_pools_init(void)
{
    ngx_queue_init(&ngx_http_checkout_pools);
}


/* As the client library wants it: digits and a port, or a socket's path. */
static void
ngx_http_checkout_pool_address(ngx_http_checkout_pool_t *pool)
{
    size_t            len;
    struct sockaddr  *sa;

    sa = &pool->sockaddr.sockaddr;

#if (NGX_HAVE_UNIX_DOMAIN)
    if (sa->sa_family == AF_UNIX) {
        (void) ngx_cpystrn(
            (u_char *) pool->host,
            (u_char *) pool->sockaddr.sockaddr_un.sun_path,
            ngx_min(sizeof(pool->host),
                    sizeof(pool->sockaddr.sockaddr_un.sun_path)));
        pool->server.socket = pool->host;
        return;
    }
#endif

#if (NGX_HAVE_INET6)
    if (sa->sa_family == AF_INET6) {
        len = ngx_inet6_ntop(pool->sockaddr.sockaddr_in6.sin6_addr.s6_addr,
                             (u_char *) pool->host, sizeof(pool->host) - 1);

    } else
#endif
    {
        len = ngx_inet_ntop(sa->sa_family,
                            &pool->sockaddr.sockaddr_in.sin_addr,
                            (u_char *) pool->host, sizeof(pool->host) - 1);
    }

    pool->host[len] = '\0';
    pool->server.host = pool->host;
    pool->server.port = ngx_inet_get_port(sa);
}


ngx_http_checkout_pool_t *
ngx_http_checkout_pool_get(ngx_http_checkout_access_t *access,
    ngx_sockaddr_t *sockaddr, socklen_t socklen)
{
    ngx_queue_t               *q;
    ngx_http_checkout_pool_t  *pool;

    for (q = ngx_queue_head(&ngx_http_checkout_pools);
         q != ngx_queue_sentinel(&ngx_http_checkout_pools);
         q = ngx_queue_next(q))
    {
        pool = ngx_queue_data(q, ngx_http_checkout_pool_t, queue);

        if (pool->access == access
            && ngx_cmp_sockaddr(&pool->sockaddr.sockaddr, pool->socklen,
                                &sockaddr->sockaddr, socklen, 1)
                   == NGX_OK)
        {
            return pool;
        }
    }

    pool = ngx_calloc(sizeof(ngx_http_checkout_pool_t), ngx_cycle->log);

    if (pool == NULL) {
        return NULL;
    }

    pool->access = access;
    pool->server = access->server;
    pool->sockaddr = *sockaddr;
    pool->socklen = socklen;
    pool->answers = 1;
    ngx_http_checkout_pool_address(pool);

    ngx_queue_init(&pool->idle);
    ngx_queue_init(&pool->all);
    ngx_queue_init(&pool->waiting);

    /* A worker process that is told to exit does not wait for it. */
    pool->timer.handler = ngx_http_checkout_pool_timer;
    pool->timer.data = pool;
    pool->timer.log = ngx_cycle->log;
    pool->timer.cancelable = 1;
    ngx_add_timer(&pool->timer, access->pool.idle);

    ngx_queue_insert_tail(&ngx_http_checkout_pools, &pool->queue);

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "checkout sql pool %p: created for %s, %s", pool,
                   pool->host, access->writes ? "writes" : "reads");

    return pool;
}


static void
ngx_http_checkout_pool_free(ngx_http_checkout_pool_t *pool)
{
    if (pool->timer.timer_set) {
        ngx_del_timer(&pool->timer);
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "checkout sql pool %p: freed", pool);

    ngx_queue_remove(&pool->queue);
    ngx_free(pool);
}


static ngx_http_checkout_conn_t *
ngx_http_checkout_conn_create(ngx_http_checkout_pool_t *pool)
{
    ngx_http_checkout_conn_t  *conn;

    conn = ngx_calloc(sizeof(ngx_http_checkout_conn_t), ngx_cycle->log);

    if (conn != NULL) {
        conn->pool = pool;
        conn->db.server = &pool->server;
        conn->fd = -1;
        conn->writes = pool->access->writes;
        ngx_queue_insert_tail(&pool->all, &conn->all);
        pool->connections++;
        ngx_http_checkout_zone_sql_connections(1);

        ngx_log_debug3(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                       "checkout sql pool %p: connection %p created, of %ui",
                       pool, conn, pool->connections);
    }

    return conn;
}


/* The connection is closed already, or is closed here, which blocks. */
static void
ngx_http_checkout_conn_free(ngx_http_checkout_conn_t *conn)
{
    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "checkout sql pool %p: connection %p freed", conn->pool,
                   conn);

    ngx_http_checkout_conn_close_fd(conn);
    db_close(&conn->db);
    ngx_queue_remove(&conn->all);
    conn->pool->connections--;
    ngx_http_checkout_zone_sql_connections(-1);
    ngx_free(conn);
}


/* The run is over that has closed a connection. */
static void
ngx_http_checkout_conn_closed(ngx_http_checkout_run_t *run)
{
    ngx_http_checkout_conn_free(run->conn);
    ngx_http_checkout_run_free(run);
}


/* Closes it in a thread. Its place in the pool stays taken until then. */
static void
ngx_http_checkout_conn_close(ngx_http_checkout_conn_t *conn)
{
    ngx_http_checkout_work_t  work;

    ngx_memzero(&work, sizeof(ngx_http_checkout_work_t));
    work.done = ngx_http_checkout_conn_closed;

    if (ngx_http_checkout_run_start(conn, &work) == NULL) {
        ngx_http_checkout_conn_free(conn);
    }
}


/* NULL: a thread or a connection is missing, and there may be no more. */
static ngx_http_checkout_conn_t *
ngx_http_checkout_pool_take(ngx_http_checkout_pool_t *pool)
{
    ngx_queue_t  *q;

    if (ngx_http_checkout_threads_free(pool->access->writes) == 0) {
        return NULL;
    }

    if (!ngx_queue_empty(&pool->idle)) {
        q = ngx_queue_head(&pool->idle);
        ngx_queue_remove(q);
        return ngx_queue_data(q, ngx_http_checkout_conn_t, idle);
    }

    return pool->connections < pool->access->pool.size
               ? ngx_http_checkout_conn_create(pool)
               : NULL;
}


ngx_int_t
ngx_http_checkout_pool_enter(ngx_http_checkout_pool_t *pool,
    ngx_http_checkout_pool_wait_t *wait, ngx_http_checkout_conn_t **conn)
{
    if (pool->nwaiting == 0) {
        *conn = ngx_http_checkout_pool_take(pool);

        if (*conn != NULL) {
            return NGX_OK;
        }
    }

    if (pool->nwaiting == pool->access->pool.queue) {
        return NGX_BUSY;
    }

    wait->pool = pool;
    ngx_queue_insert_tail(&pool->waiting, &wait->queue);
    pool->nwaiting++;
    ngx_http_checkout_zone_sql_waiting(1);

    return NGX_AGAIN;
}


void
ngx_http_checkout_pool_leave(ngx_http_checkout_pool_wait_t *wait)
{
    ngx_queue_remove(&wait->queue);
    wait->pool->nwaiting--;
    ngx_http_checkout_zone_sql_waiting(-1);
}


/* Serves one job of the pool. 1: it did; 0: none waits, or none can be. */
static ngx_uint_t
ngx_http_checkout_pool_serve(ngx_http_checkout_pool_t *pool)
{
    ngx_http_checkout_conn_t       *conn;
    ngx_http_checkout_pool_wait_t  *wait;

    if (pool->nwaiting == 0) {
        return 0;
    }

    conn = ngx_http_checkout_pool_take(pool);

    if (conn == NULL) {
        return 0;
    }

    wait = ngx_queue_data(ngx_queue_head(&pool->waiting),
                          ngx_http_checkout_pool_wait_t, queue);
    ngx_http_checkout_pool_leave(wait);
    wait->ready(wait, conn);

    return 1;
}


/* Ends: each job that is served makes a queue shorter. */
void
ngx_http_checkout_pool_dispatch(void)
{
    ngx_uint_t                 served;
    ngx_queue_t               *q, *next, *last;
    ngx_http_checkout_pool_t  *pool;

    do {
        served = 0;

        if (ngx_queue_empty(&ngx_http_checkout_pools)) {
            return;
        }

        last = ngx_queue_last(&ngx_http_checkout_pools);

        for (q = ngx_queue_head(&ngx_http_checkout_pools);; q = next) {
            next = ngx_queue_next(q);
            pool = ngx_queue_data(q, ngx_http_checkout_pool_t, queue);

            /* a pool that was served stands behind the others */
            if (ngx_http_checkout_pool_serve(pool)) {
                served = 1;
                ngx_queue_remove(&pool->queue);
                ngx_queue_insert_tail(&ngx_http_checkout_pools, &pool->queue);
            }

            if (q == last) {
                break;
            }
        }

    } while (served);
}


void
ngx_http_checkout_pool_put(ngx_http_checkout_conn_t *conn)
{
    conn->idle_since = ngx_current_msec;
    conn->used = 1;
    ngx_queue_insert_head(&conn->pool->idle, &conn->idle);
}


void
ngx_http_checkout_pool_drop(ngx_http_checkout_conn_t *conn)
{
    if (ngx_http_checkout_conn_is_open(conn)) {
        ngx_http_checkout_conn_close(conn);
        return;
    }

    ngx_http_checkout_conn_free(conn);
}


ngx_uint_t
ngx_http_checkout_pool_answers(ngx_http_checkout_pool_t *pool)
{
    return pool->answers;
}


void
ngx_http_checkout_pool_set_answers(ngx_http_checkout_pool_t *pool,
    ngx_uint_t answers)
{
    if (pool->answers != answers) {
        ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                       "checkout sql pool %p: %s", pool,
                       answers ? "answers again" : "does not answer");
    }

    pool->answers = answers;
}


time_t *
ngx_http_checkout_pool_logged(ngx_http_checkout_pool_t *pool)
{
    return &pool->logged;
}


static void
ngx_http_checkout_pool_timer(ngx_event_t *ev)
{
    ngx_msec_t                 age, next;
    ngx_queue_t               *q;
    ngx_http_checkout_conn_t  *conn;
    ngx_http_checkout_pool_t  *pool;

    pool = ev->data;
    next = pool->access->pool.idle;

    if (pool->connections == 0 && pool->nwaiting == 0) {
        ngx_http_checkout_pool_free(pool);
        return;
    }

    while (!ngx_queue_empty(&pool->idle)) {
        q = ngx_queue_last(&pool->idle);
        conn = ngx_queue_data(q, ngx_http_checkout_conn_t, idle);
        age = ngx_current_msec - conn->idle_since;

        if (age < pool->access->pool.idle) {
            next = pool->access->pool.idle - age;
            break;
        }

        ngx_queue_remove(q);
        ngx_http_checkout_conn_close(conn);
    }

    ngx_add_timer(&pool->timer, next);
}


void
ngx_http_checkout_pools_exit(void)
{
    ngx_queue_t               *q;
    ngx_http_checkout_pool_t  *pool;

    while (!ngx_queue_empty(&ngx_http_checkout_pools)) {
        q = ngx_queue_head(&ngx_http_checkout_pools);
        pool = ngx_queue_data(q, ngx_http_checkout_pool_t, queue);

        while (!ngx_queue_empty(&pool->all)) {
            q = ngx_queue_head(&pool->all);
            ngx_http_checkout_conn_free(
                ngx_queue_data(q, ngx_http_checkout_conn_t, all));
        }

        ngx_http_checkout_pool_free(pool);
    }
}
