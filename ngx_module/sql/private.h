/*
 * What the rooms of MySQL share among themselves; others need only section "sql" of ngx_http_checkout.h.
 *
 *     mysql    directives: which servers, how to enter, how many connections
 *     sql      a job: its clock, its peers one after the other, its answer
 *     peer     the choice of a server by the native upstream
 *     pool     the connections to one server, and the jobs that wait for one
 *     try      one run of a job on one connection, in a thread
 *
 * Everything but the body of a try belongs to the event loop. A job lives while its request waits for it or a try of it
 * runs; a try and its connection live until the thread is done with them, whatever became of the job meanwhile.
 */
#ifndef NGX_HTTP_CHECKOUT_SQL_PRIVATE_H
#define NGX_HTTP_CHECKOUT_SQL_PRIVATE_H

#include "request/response.h"
#include "request/sticky.h"
#include "request/context.h"
#include "sql/job.h"
#include "stats/counters.h"
#include "stats/histograms.h"


#define NGX_HTTP_CHECKOUT_JOBS_MAX       16384    /* that one worker process holds */
#define NGX_HTTP_CHECKOUT_JOBS_KEPT      1024     /* of these, for locations that write */
#define NGX_HTTP_CHECKOUT_JOB_AGAIN      5        /* runs more, of a job that lost against somebody else */


typedef struct ngx_http_checkout_pool_s  ngx_http_checkout_pool_t;
typedef struct ngx_http_checkout_conn_s  ngx_http_checkout_conn_t;
typedef struct ngx_http_checkout_try_s   ngx_http_checkout_try_t;
typedef struct ngx_http_checkout_task_s  ngx_http_checkout_task_t;


/* peer */

typedef struct {
    ngx_http_request_t          *shadow;     /* a copy of the request, for the balancer */
    ngx_str_t                    name;       /* of the server that is held; in the job's pool */
    ngx_sockaddr_t               sockaddr;
    socklen_t                    socklen;
    unsigned                     held:1;
} ngx_http_checkout_peer_t;

ngx_int_t ngx_http_checkout_peer_init(ngx_http_checkout_peer_t *peer, ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *upstream, ngx_pool_t *pool);
ngx_int_t ngx_http_checkout_peer_next(ngx_http_checkout_peer_t *peer, ngx_log_t *log);
ngx_uint_t ngx_http_checkout_peer_left(ngx_http_checkout_peer_t *peer);
void ngx_http_checkout_peer_release(ngx_http_checkout_peer_t *peer, ngx_uint_t state);
void ngx_http_checkout_peer_forget_request(ngx_http_checkout_peer_t *peer);
void ngx_http_checkout_peer_end(ngx_http_checkout_peer_t *peer);

void ngx_http_checkout_state_separate(ngx_http_request_t *r);
void ngx_http_checkout_state_begin(ngx_http_checkout_task_t *task);
void ngx_http_checkout_state_end(ngx_http_checkout_task_t *task, ngx_http_checkout_try_t *try, ngx_uint_t status);


/* pool */

struct ngx_http_checkout_conn_s {
    ngx_queue_t                  queue;      /* among the idle ones of its pool */
    ngx_queue_t                  all;        /* among all of its pool */
    ngx_http_checkout_pool_t    *pool;
    struct db                    db;         /* of the thread, while a try runs */
    int                          fd;         /* a second descriptor of its socket, -1: none; see try */
    ngx_msec_t                   idle_since;
    unsigned                     used:1;     /* it has run a job since it was opened */
    unsigned                     stale:1;    /* the server has closed it: the next try opens it again */
};

struct ngx_http_checkout_pool_s {
    ngx_queue_t                  queue;      /* among all pools of the process */
    ngx_http_checkout_access_t  *access;
    struct db_server             server;     /* where, and how to enter */
    ngx_sockaddr_t               sockaddr;
    socklen_t                    socklen;
    char                         host[NGX_SOCKADDR_STRLEN + 1];    /* the literal address, or the path of the socket */

    ngx_queue_t                  idle;       /* connections, the last used first */
    ngx_queue_t                  all;
    ngx_uint_t                   connections;
    ngx_queue_t                  waiting;    /* tasks, the oldest first */
    ngx_uint_t                   nwaiting;
    ngx_event_t                  timer;      /* closes what is idle for too long */
    time_t                       logged;     /* second of its last failure that was logged as an error */
    unsigned                     failing:1;  /* the server did not answer the last try */
};

void ngx_http_checkout_pools_init(void);
void ngx_http_checkout_pools_exit(void);
ngx_http_checkout_pool_t *ngx_http_checkout_pool_get(ngx_http_checkout_access_t *access,
    ngx_http_checkout_peer_t *peer);
ngx_int_t ngx_http_checkout_pool_enter(ngx_http_checkout_pool_t *pool, ngx_http_checkout_task_t *task);
void ngx_http_checkout_pool_leave(ngx_http_checkout_task_t *task);
void ngx_http_checkout_pool_put(ngx_http_checkout_conn_t *conn);
void ngx_http_checkout_pool_drop(ngx_http_checkout_conn_t *conn);
void ngx_http_checkout_pool_dispatch(void);
void ngx_http_checkout_conn_free(ngx_http_checkout_conn_t *conn);
void ngx_http_checkout_conn_forget_socket(ngx_http_checkout_conn_t *conn);


/* try */

typedef enum {
    NGX_HTTP_CHECKOUT_TRY_CONNECT,           /* the thread connects, or has not begun */
    NGX_HTTP_CHECKOUT_TRY_RUN,               /* the job runs; set by the thread, if nobody came before it */
    NGX_HTTP_CHECKOUT_TRY_GIVEN_UP           /* its time is over: set by the event loop; a job not yet begun does not */
} ngx_http_checkout_try_phase_e;

struct ngx_http_checkout_try_s {
    ngx_thread_task_t            thread;
    ngx_http_checkout_task_t    *task;       /* NULL: the connection is to be closed, and nothing else */
    ngx_http_checkout_conn_t    *conn;

    struct sql_result            result;
    enum db_result               rc;
    unsigned                     code;       /* MySQL's number of the error */
    char                         error[sizeof(((struct db *) 0)->error)];
    uint64_t                     begun;      /* µs, ngx_http_checkout_now_us() */
    uint64_t                     connected;  /* µs; 0: it was not */
    uint32_t                     phase;      /* ngx_http_checkout_try_phase_e, atomic: of thread and event loop */
    int                          fd;         /* as in conn, of a new connection; the thread's until phase is RUN */

    ngx_uint_t                   runs;       /* of the job, that lost against somebody else */
    ngx_event_t                  hanging;    /* while it is given up: see ngx_http_checkout_try_abandon() */

    unsigned                     reopen:1;   /* the server has closed the connection: open it again first */
    unsigned                     connects:1; /* the connection was closed before: of the event loop */
    unsigned                     reused:1;   /* the connection has run a job before, and was not opened for this one */
};

ngx_int_t ngx_http_checkout_threads_init(ngx_cycle_t *cycle,
    ngx_http_checkout_threads_settings_t *settings);
ngx_uint_t ngx_http_checkout_threads_wait(void);
ngx_uint_t ngx_http_checkout_threads_free(ngx_http_checkout_access_t *access);
ngx_http_checkout_try_t *ngx_http_checkout_try_start(ngx_http_checkout_task_t *task, ngx_http_checkout_conn_t *conn);
ngx_http_checkout_try_phase_e ngx_http_checkout_try_phase(ngx_http_checkout_try_t *try);
uint64_t ngx_http_checkout_try_since(ngx_http_checkout_try_t *try);
void ngx_http_checkout_try_abandon(ngx_http_checkout_try_t *try);
void ngx_http_checkout_try_close(ngx_http_checkout_conn_t *conn);
void ngx_http_checkout_try_free(ngx_http_checkout_try_t *try);


/* sql */

typedef enum {
    NGX_HTTP_CHECKOUT_TASK_RESTING,          /* not started, or with nothing more to try */
    NGX_HTTP_CHECKOUT_TASK_WAITING,          /* for a connection: it is in pool->waiting, timer is the longest wait */
    NGX_HTTP_CHECKOUT_TASK_CONNECTING,       /* a try runs: timer is the connect time-out */
    NGX_HTTP_CHECKOUT_TASK_RUNNING           /* a try runs: timer is the read time-out of a statement */
} ngx_http_checkout_task_state_e;

struct ngx_http_checkout_task_s {
    ngx_http_checkout_job_t          job;    /* what others see of it */
    ngx_http_checkout_task_state_e   state;
    ngx_uint_t                       refs;   /* one while the outcome is waited for, one for each try */
    ngx_http_request_t              *request;   /* NULL once it is answered or gone */
    ngx_http_cleanup_t              *cleanup;   /* of the request */
    ngx_http_checkout_sql_settings_t  *settings;
    ngx_http_checkout_peer_t         peer;
    ngx_http_checkout_pool_t        *pool;   /* while it waits or runs */
    ngx_http_checkout_try_t         *try;    /* while it runs */
    ngx_queue_t                      queue;  /* while it waits */
    ngx_event_t                      timer;
    ngx_event_t                      alarm;  /* the request's clock */
    ngx_event_t                      ended;
    ngx_http_checkout_sql_outcome_e  outcome;
    struct sql_result                result;
    ngx_uint_t                       upstream_state;   /* of the try, in r->upstream_states */
    ngx_uint_t                       runs;   /* that lost against somebody else */
    ngx_msec_t                       tried_at;         /* when that began */
    unsigned                         logged:1;    /* the try stands in r->upstream_states */
    unsigned                         decided:1;   /* the outcome is, and nothing more is tried */
    unsigned                         sticky:1;    /* the primary is asked; if it fails, who is read from else */
    unsigned                         crowded:1;   /* a server that works had no connection for it */
};

void ngx_http_checkout_task_run(ngx_http_checkout_task_t *task, ngx_http_checkout_conn_t *conn);
void ngx_http_checkout_task_tried(ngx_http_checkout_task_t *task, ngx_http_checkout_try_t *try);
void ngx_http_checkout_task_release(ngx_http_checkout_task_t *task);


#endif
