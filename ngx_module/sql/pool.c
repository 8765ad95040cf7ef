/*
 * The connections to one server with one way to enter, and the jobs that wait for one of them.
 *
 * There is a pool for each address that a balancer has chosen, made when it is first needed. It holds at most `size`
 * connections, whatever they do, and at most `queue` waiting jobs. A connection belongs to its pool, is idle or in a
 * try, and is closed when it has been idle for `idle`, when the server closed it, or when a try of it was given up. A
 * pool without connections and jobs goes away after the same time, so that addresses that come and go leave nothing
 * behind.
 *
 * Jobs that wait are started by ngx_http_checkout_pool_dispatch(), which everybody calls who made room: it takes the
 * pools in turn, since all share the threads.
 */
#include "sql/private.h"


static ngx_queue_t  ngx_http_checkout_pools;


static void ngx_http_checkout_pool_timer(ngx_event_t *ev);


void
ngx_http_checkout_pools_init(void)
{
    ngx_queue_init(&ngx_http_checkout_pools);
}


/* The address as the client library wants it: digits and a port, or the path of a socket. */
static void
ngx_http_checkout_pool_address(ngx_http_checkout_pool_t *pool)
{
    size_t            len;
    struct sockaddr  *sa;

    sa = &pool->sockaddr.sockaddr;

#if (NGX_HAVE_UNIX_DOMAIN)
    if (sa->sa_family == AF_UNIX) {
        (void) ngx_cpystrn((u_char *) pool->host, (u_char *) pool->sockaddr.sockaddr_un.sun_path,
                           ngx_min(sizeof(pool->host), sizeof(pool->sockaddr.sockaddr_un.sun_path)));
        pool->server.socket = pool->host;
        return;
    }
#endif

#if (NGX_HAVE_INET6)
    if (sa->sa_family == AF_INET6) {
        len = ngx_inet6_ntop(pool->sockaddr.sockaddr_in6.sin6_addr.s6_addr, (u_char *) pool->host,
                             sizeof(pool->host) - 1);

    } else
#endif
    {
        len = ngx_inet_ntop(sa->sa_family, &pool->sockaddr.sockaddr_in.sin_addr, (u_char *) pool->host,
                            sizeof(pool->host) - 1);
    }

    pool->host[len] = '\0';
    pool->server.host = pool->host;
    pool->server.port = ngx_inet_get_port(sa);
}


/* NULL: no memory. */
ngx_http_checkout_pool_t *
ngx_http_checkout_pool_get(ngx_http_checkout_access_t *access, ngx_http_checkout_peer_t *peer)
{
    ngx_queue_t               *q;
    ngx_http_checkout_pool_t  *pool;

    for (q = ngx_queue_head(&ngx_http_checkout_pools);
         q != ngx_queue_sentinel(&ngx_http_checkout_pools);
         q = ngx_queue_next(q))
    {
        pool = ngx_queue_data(q, ngx_http_checkout_pool_t, queue);

        if (pool->access == access
            && ngx_cmp_sockaddr(&pool->sockaddr.sockaddr, pool->socklen, &peer->sockaddr.sockaddr, peer->socklen, 1)
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
    pool->sockaddr = peer->sockaddr;
    pool->socklen = peer->socklen;
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

    return pool;
}


static void
ngx_http_checkout_pool_free(ngx_http_checkout_pool_t *pool)
{
    if (pool->timer.timer_set) {
        ngx_del_timer(&pool->timer);
    }

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
        ngx_queue_insert_tail(&pool->all, &conn->all);
        pool->connections++;
        ngx_http_checkout_zone_sql_connections(1);
    }

    return conn;
}


/* The connection is closed already, or is closed here. */
void
ngx_http_checkout_conn_free(ngx_http_checkout_conn_t *conn)
{
    ngx_http_checkout_conn_forget_socket(conn);
    db_close(&conn->db);
    ngx_queue_remove(&conn->all);
    conn->pool->connections--;
    ngx_http_checkout_zone_sql_connections(-1);
    ngx_free(conn);
}


/* Whatever it held is free now; the second descriptor of its socket is not needed any more. */
void
ngx_http_checkout_conn_forget_socket(ngx_http_checkout_conn_t *conn)
{
    if (conn->fd != -1) {
        (void) close(conn->fd);
        conn->fd = -1;
    }
}


/* A connection that a try may have now; NULL: there is none, and there may be no more. */
static ngx_http_checkout_conn_t *
ngx_http_checkout_pool_take(ngx_http_checkout_pool_t *pool)
{
    ngx_queue_t  *q;

    if (ngx_http_checkout_threads_free(pool->access) == 0) {
        return NULL;
    }

    if (!ngx_queue_empty(&pool->idle)) {
        q = ngx_queue_head(&pool->idle);
        ngx_queue_remove(q);
        return ngx_queue_data(q, ngx_http_checkout_conn_t, queue);
    }

    return pool->connections < pool->access->pool.size ? ngx_http_checkout_conn_create(pool) : NULL;
}


/* NGX_OK: the task runs. NGX_AGAIN: it waits. NGX_BUSY: too many wait. */
ngx_int_t
ngx_http_checkout_pool_enter(ngx_http_checkout_pool_t *pool, ngx_http_checkout_task_t *task)
{
    ngx_http_checkout_conn_t  *conn;

    task->pool = pool;

    if (pool->nwaiting == 0) {
        conn = ngx_http_checkout_pool_take(pool);

        if (conn != NULL) {
            ngx_http_checkout_task_run(task, conn);
            return NGX_OK;
        }
    }

    if (pool->nwaiting == pool->access->pool.queue) {
        task->pool = NULL;
        return NGX_BUSY;
    }

    ngx_queue_insert_tail(&pool->waiting, &task->queue);
    pool->nwaiting++;
    ngx_http_checkout_zone_sql_waiting(1);

    return NGX_AGAIN;
}


/* The task waits no more. */
void
ngx_http_checkout_pool_leave(ngx_http_checkout_task_t *task)
{
    ngx_queue_remove(&task->queue);
    task->pool->nwaiting--;
    ngx_http_checkout_zone_sql_waiting(-1);
}


/* Starts one task of the pool, if one waits and can have a connection. */
static ngx_uint_t
ngx_http_checkout_pool_serve(ngx_http_checkout_pool_t *pool)
{
    ngx_http_checkout_conn_t  *conn;
    ngx_http_checkout_task_t  *task;

    if (pool->nwaiting == 0) {
        return 0;
    }

    conn = ngx_http_checkout_pool_take(pool);

    if (conn == NULL) {
        return 0;
    }

    task = ngx_queue_data(ngx_queue_head(&pool->waiting), ngx_http_checkout_task_t, queue);
    ngx_http_checkout_pool_leave(task);
    ngx_http_checkout_task_run(task, conn);

    return 1;
}


/* Bounded by the threads: each task that starts takes one. */
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

        for (q = ngx_queue_head(&ngx_http_checkout_pools); ; q = next) {
            next = ngx_queue_next(q);
            pool = ngx_queue_data(q, ngx_http_checkout_pool_t, queue);

            /* who was served stands behind the others from now on */
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


/* A try ended well: the connection can be used again. */
void
ngx_http_checkout_pool_put(ngx_http_checkout_conn_t *conn)
{
    conn->idle_since = ngx_current_msec;
    conn->used = 1;
    ngx_queue_insert_head(&conn->pool->idle, &conn->queue);
}


/* A connection that is not idle is not wanted any more. */
void
ngx_http_checkout_pool_drop(ngx_http_checkout_conn_t *conn)
{
    if (conn->db.mysql != NULL) {
        ngx_http_checkout_try_close(conn);
        return;
    }

    ngx_http_checkout_conn_free(conn);
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
        conn = ngx_queue_data(q, ngx_http_checkout_conn_t, queue);
        age = ngx_current_msec - conn->idle_since;

        if (age < pool->access->pool.idle) {
            next = pool->access->pool.idle - age;
            break;
        }

        ngx_queue_remove(q);
        ngx_http_checkout_try_close(conn);
    }

    ngx_add_timer(&pool->timer, next);
}


/* The process ends, its threads are gone: nothing runs any more. */
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
            ngx_http_checkout_conn_free(ngx_queue_data(q, ngx_http_checkout_conn_t, all));
        }

        ngx_http_checkout_pool_free(pool);
    }
}
