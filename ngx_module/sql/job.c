/*
 * A job on a MySQL server: its clock, its servers one after the other, and its answer.
 *
 * A job is made by whoever answers the request, and started. A balancer gives a server, the server's pool a connection,
 * at once or after a wait; a try runs the job there. A server that does not answer is reported to the balancer, and
 * the next one is asked while there is one and the request's clock runs. What a server says of the statement or its
 * data ends the job: another would say the same.
 *
 * The job is freed when nobody counts on it any more: it has been answered, or its request has gone, and no try of it
 * runs. Its request may go at any time; a try that runs then is let be, and its connection is used again. The outcome
 * is told from an event of its own, so no caller is called back from within. Time-outs of tries are kept also without
 * a request: a server that is silent is found out, and a thread that hangs is freed.
 */
#include "sql/private.h"


#define NGX_HTTP_CHECKOUT_LOCK_WAIT  1205    /* MySQL's number: Lock wait timeout exceeded */


typedef enum {
    NGX_HTTP_CHECKOUT_TRY_DONE,
    NGX_HTTP_CHECKOUT_TRY_REFUSED,     /* the data is */
    NGX_HTTP_CHECKOUT_TRY_WRONG,       /* the statement, or its moment: every server would say so */
    NGX_HTTP_CHECKOUT_TRY_SLOW,        /* the statement: the server has ended it in time */
    NGX_HTTP_CHECKOUT_TRY_LOCKED,      /* somebody else kept a row for too long: nothing was changed */
    NGX_HTTP_CHECKOUT_TRY_STALE,       /* the server had closed an idle connection */
    NGX_HTTP_CHECKOUT_TRY_LOST,        /* against somebody else, and the connection with it */
    NGX_HTTP_CHECKOUT_TRY_FAILED       /* the server */
} ngx_http_checkout_try_verdict_e;


static ngx_uint_t  ngx_http_checkout_njobs;


static void ngx_http_checkout_task_timer(ngx_event_t *ev);
static void ngx_http_checkout_task_alarm(ngx_event_t *ev);
static void ngx_http_checkout_task_ended(ngx_event_t *ev);
static void ngx_http_checkout_task_next(ngx_http_checkout_task_t *task);


ngx_http_checkout_job_t *
ngx_http_checkout_job_create(ngx_http_request_t *r,
    ngx_http_checkout_sql_settings_t *settings)
{
    ngx_uint_t                 kept;
    ngx_pool_t                *pool;
    ngx_http_checkout_task_t  *task;

    if (settings->access == NULL) {
        return NULL;
    }

    kept = settings->access->writes ? 0 : NGX_HTTP_CHECKOUT_JOBS_KEPT;

    if (ngx_http_checkout_njobs >= NGX_HTTP_CHECKOUT_JOBS_MAX - kept) {
        return NULL;
    }

    pool = ngx_create_pool(4096, ngx_cycle->log);

    if (pool == NULL) {
        return NULL;
    }

    task = ngx_pcalloc(pool, sizeof(ngx_http_checkout_task_t));

    if (task == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    task->job.pool = pool;
    task->settings = settings;
    task->refs = 1;
    task->state = NGX_HTTP_CHECKOUT_TASK_RESTING;

    task->timer.handler = ngx_http_checkout_task_timer;
    task->alarm.handler = ngx_http_checkout_task_alarm;
    task->ended.handler = ngx_http_checkout_task_ended;
    task->timer.data = task->alarm.data = task->ended.data = task;
    task->timer.log = task->alarm.log = task->ended.log = ngx_cycle->log;

    ngx_http_checkout_njobs++;

    return &task->job;
}


void
ngx_http_checkout_task_release(ngx_http_checkout_task_t *task)
{
    if (--task->refs != 0) {
        return;
    }

    ngx_http_checkout_peer_end(&task->peer);
    buffer_free(&task->result.body);
    ngx_destroy_pool(task->job.pool);
    ngx_http_checkout_njobs--;
}


/* A job that was not started. */
void
ngx_http_checkout_job_destroy(ngx_http_checkout_job_t *job)
{
    ngx_http_checkout_task_release((ngx_http_checkout_task_t *) job);
}


static ngx_log_t *
ngx_http_checkout_task_log(ngx_http_checkout_task_t *task)
{
    return task->request != NULL ? task->request->connection->log : ngx_cycle->log;
}


/* While servers are away each request has an error to tell: one in a second is told as such, as the gate does it. */
static ngx_uint_t
ngx_http_checkout_task_level(time_t *logged)
{
    if (*logged == ngx_time()) {
        return NGX_LOG_INFO;
    }

    *logged = ngx_time();

    return NGX_LOG_ERR;
}


static void
ngx_http_checkout_task_stop_timer(ngx_event_t *ev)
{
    if (ev->timer_set) {
        ngx_del_timer(ev);
    }
}


/* The request is not this job's any more, whether it is answered or goes away. */
static ngx_http_request_t *
ngx_http_checkout_task_take_request(ngx_http_checkout_task_t *task)
{
    ngx_http_request_t  *r;

    r = task->request;
    task->request = NULL;
    task->logged = 0;
    ngx_http_checkout_peer_forget_request(&task->peer);
    ngx_http_checkout_task_stop_timer(&task->alarm);

    if (r != NULL) {
        task->cleanup->handler = NULL;
    }

    return r;
}


/* Nothing more is tried; the outcome is told soon. */
static void
ngx_http_checkout_task_decide(ngx_http_checkout_task_t *task, ngx_http_checkout_sql_outcome_e outcome)
{
    if (task->decided) {
        return;
    }

    task->decided = 1;
    task->outcome = outcome;
    ngx_http_checkout_task_stop_timer(&task->alarm);
    ngx_http_checkout_count(sql_jobs[outcome], 1);
    ngx_post_event(&task->ended, &ngx_posted_events);
}


static void
ngx_http_checkout_task_stop_waiting(ngx_http_checkout_task_t *task)
{
    ngx_http_checkout_task_stop_timer(&task->timer);
    ngx_http_checkout_pool_leave(task);
    task->state = NGX_HTTP_CHECKOUT_TASK_RESTING;
    ngx_http_checkout_peer_release(&task->peer, 0);
}


/* The request goes away. */
static void
ngx_http_checkout_task_detach(void *data)
{
    ngx_http_checkout_task_t *task = data;

    if (!task->decided) {
        task->decided = 1;
        ngx_http_checkout_count(sql_gone, 1);
    }

    if (task->ended.posted) {
        ngx_delete_posted_event(&task->ended);
    }

    if (task->state == NGX_HTTP_CHECKOUT_TASK_WAITING) {
        ngx_http_checkout_task_stop_waiting(task);
    }

    (void) ngx_http_checkout_task_take_request(task);
    ngx_http_checkout_task_release(task);
}


/* The outcome is told. The caller may free the request, and start another job for it. */
static void
ngx_http_checkout_task_ended(ngx_event_t *ev)
{
    ngx_http_checkout_task_t *task = ev->data;

    ngx_http_request_t  *r;

    r = ngx_http_checkout_task_take_request(task);

    task->job.done(&task->job, r, task->outcome,
                   task->outcome == NGX_HTTP_CHECKOUT_SQL_DONE ? &task->result : NULL);

    ngx_http_checkout_task_release(task);
}


/* The request's own clock. */
static void
ngx_http_checkout_task_alarm(ngx_event_t *ev)
{
    ngx_http_checkout_task_t *task = ev->data;

    ngx_http_checkout_ctx_t  *ctx;

    ctx = task->request != NULL ? ngx_http_get_module_ctx(task->request, ngx_http_checkout_module) : NULL;

    if (ctx != NULL) {
        ctx->waiting.late = 1;
    }

    if (task->state == NGX_HTTP_CHECKOUT_TASK_WAITING) {
        ngx_http_checkout_task_stop_waiting(task);
    }

    ngx_http_checkout_state_end(task, NULL, NGX_HTTP_GATEWAY_TIME_OUT);
    ngx_http_checkout_task_decide(task, NGX_HTTP_CHECKOUT_SQL_LATE);
}


static ngx_int_t
ngx_http_checkout_task_attach(ngx_http_checkout_task_t *task, ngx_http_request_t *r)
{
    task->cleanup = ngx_http_cleanup_add(r, 0);

    if (task->cleanup == NULL) {
        return NGX_ERROR;
    }

    task->cleanup->handler = ngx_http_checkout_task_detach;
    task->cleanup->data = task;
    task->request = r;

    return NGX_OK;
}


/* The request waits, and nginx looks whether its client is still there. */
static void
ngx_http_checkout_task_watch_client(ngx_http_request_t *r)
{
    /* while a body is passed over, reading is the business of that */
    if (r != r->main || r->discard_body) {
        return;
    }

    r->read_event_handler = ngx_http_test_reading;

    if (r->connection->read->ready) {
        ngx_post_event(r->connection->read, &ngx_posted_events);

    } else {
        (void) ngx_handle_read_event(r->connection->read, 0);
    }
}


static ngx_msec_t
ngx_http_checkout_task_time(ngx_http_request_t *r, ngx_http_checkout_task_t *task, ngx_uint_t again)
{
    ngx_msec_int_t            left;
    ngx_http_checkout_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_checkout_module);

    if (!again || ctx == NULL) {
        return task->settings->timeout;
    }

    left = (ngx_msec_int_t) (ctx->started + task->settings->timeout - ngx_current_msec);

    return left > 0 ? (ngx_msec_t) left : 1;
}


static ngx_http_upstream_srv_conf_t *
ngx_http_checkout_task_upstream(ngx_http_checkout_task_t *task, ngx_http_request_t *r)
{
    if (task->job.primary || task->settings->read_from == NULL) {
        task->job.of_primary = 1;
        return task->settings->primary;
    }

    /* a client that has just written reads from the primary, where there is one */
    task->sticky = task->settings->primary != NULL && ngx_http_checkout_sticky(r);
    task->job.of_primary = task->sticky;

    return task->sticky ? task->settings->primary : task->settings->read_from;
}


/* No server of the upstream answers. A sticky client would rather read what may be old than nothing. */
static void
ngx_http_checkout_task_fail(ngx_http_checkout_task_t *task)
{
    if (task->decided || !task->sticky) {
        ngx_http_checkout_task_decide(task, NGX_HTTP_CHECKOUT_SQL_FAILED);
        return;
    }

    task->sticky = 0;
    task->job.of_primary = 0;
    ngx_http_checkout_peer_end(&task->peer);
    ngx_memzero(&task->peer, sizeof(ngx_http_checkout_peer_t));

    if (ngx_http_checkout_peer_init(&task->peer, task->request, task->settings->read_from, task->job.pool) != NGX_OK) {
        ngx_http_checkout_task_decide(task, NGX_HTTP_CHECKOUT_SQL_FAILED);
        return;
    }

    ngx_http_checkout_task_next(task);
}


/* No server is left to be asked: for want of connections to one that works, or for want of one that works. */
static void
ngx_http_checkout_task_no_server(ngx_http_checkout_task_t *task)
{
    if (task->crowded) {
        ngx_http_checkout_task_decide(task, NGX_HTTP_CHECKOUT_SQL_BUSY);

    } else {
        ngx_http_checkout_task_fail(task);
    }
}


ngx_int_t
ngx_http_checkout_job_start(ngx_http_request_t *r, ngx_http_checkout_job_t *job, ngx_uint_t again)
{
    ngx_http_checkout_task_t      *task;
    ngx_http_upstream_srv_conf_t  *upstream;

    task = (ngx_http_checkout_task_t *) job;

    if (ngx_http_checkout_task_attach(task, r) != NGX_OK) {
        ngx_http_checkout_job_destroy(job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_add_timer(&task->alarm, ngx_http_checkout_task_time(r, task, again));
    upstream = ngx_http_checkout_task_upstream(task, r);

    if (upstream == NULL || ngx_http_checkout_peer_init(&task->peer, r, upstream, job->pool) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "checkout: no MySQL server can be chosen for \"%V\" in %V:%ui", &task->settings->handler->name,
                      &task->settings->handler->file, task->settings->handler->line);
        ngx_http_checkout_task_decide(task, NGX_HTTP_CHECKOUT_SQL_FAILED);

    } else {
        ngx_http_checkout_state_separate(r);
        ngx_http_checkout_task_next(task);
    }

    if (!again) {
        r->main->count++;
        ngx_http_checkout_task_watch_client(r);
    }

    return NGX_DONE;
}


/* A server could not be asked for want of a connection. NGX_AGAIN: another may be. */
static ngx_int_t
ngx_http_checkout_task_crowded(ngx_http_checkout_task_t *task, ngx_http_checkout_pool_t *pool)
{
    task->crowded |= !pool->failing;
    ngx_http_checkout_peer_release(&task->peer, 0);

    if (ngx_http_checkout_peer_left(&task->peer)) {
        return NGX_AGAIN;
    }

    ngx_http_checkout_task_no_server(task);

    return NGX_DONE;
}


/* Asks the servers that are left, until one has a connection or a place in its queue. */
static void
ngx_http_checkout_task_next(ngx_http_checkout_task_t *task)
{
    ngx_int_t                  rc;
    ngx_http_checkout_pool_t  *pool;

    do {
        rc = ngx_http_checkout_peer_next(&task->peer, ngx_http_checkout_task_log(task));

        if (rc != NGX_OK) {
            ngx_log_error(ngx_http_checkout_task_level(&task->settings->access->logged), ngx_http_checkout_task_log(task), 0,
                          "checkout: no live MySQL server is left for \"%V\" in %V:%ui", &task->settings->handler->name,
                          &task->settings->handler->file, task->settings->handler->line);
            ngx_http_checkout_task_no_server(task);
            return;
        }

        pool = ngx_http_checkout_pool_get(task->settings->access, &task->peer);

        if (pool == NULL) {
            ngx_http_checkout_peer_release(&task->peer, 0);
            ngx_http_checkout_task_decide(task, NGX_HTTP_CHECKOUT_SQL_FAILED);
            return;
        }

        rc = ngx_http_checkout_pool_enter(pool, task);

        if (rc == NGX_AGAIN) {
            task->state = NGX_HTTP_CHECKOUT_TASK_WAITING;
            ngx_add_timer(&task->timer, pool->access->pool.timeout);
            return;
        }

        if (rc == NGX_BUSY) {
            rc = ngx_http_checkout_task_crowded(task, pool);
        }

    } while (rc == NGX_AGAIN);
}


/* A connection has come free for it, or is there. */
void
ngx_http_checkout_task_run(ngx_http_checkout_task_t *task, ngx_http_checkout_conn_t *conn)
{
    ngx_http_checkout_access_t  *access;

    access = conn->pool->access;
    task->try = ngx_http_checkout_try_start(task, conn);
    ngx_http_checkout_task_stop_timer(&task->timer);

    if (task->try == NULL) {
        task->state = NGX_HTTP_CHECKOUT_TASK_RESTING;
        ngx_http_checkout_pool_drop(conn);
        ngx_http_checkout_peer_release(&task->peer, 0);
        ngx_http_checkout_task_decide(task, NGX_HTTP_CHECKOUT_SQL_BUSY);
        return;
    }

    ngx_http_checkout_state_begin(task);

    if (task->try->connects) {
        task->state = NGX_HTTP_CHECKOUT_TASK_CONNECTING;
        ngx_add_timer(&task->timer, ngx_min(access->connect_timeout, access->read_timeout));

    } else {
        task->state = NGX_HTTP_CHECKOUT_TASK_RUNNING;
        ngx_add_timer(&task->timer, access->read_timeout);
    }
}


/* The server that is held does not answer. */
static void
ngx_http_checkout_task_peer_failed(ngx_http_checkout_task_t *task)
{
    task->pool->failing = 1;
    task->state = NGX_HTTP_CHECKOUT_TASK_RESTING;
    ngx_http_checkout_peer_release(&task->peer, NGX_PEER_FAILED);

    if (task->decided) {
        return;
    }

    if (ngx_http_checkout_peer_left(&task->peer) == 0) {
        ngx_http_checkout_task_no_server(task);
        return;
    }

    ngx_http_checkout_task_next(task);
}


/* The try's time is over. */
static void
ngx_http_checkout_task_give_up(ngx_http_checkout_task_t *task)
{
    ngx_uint_t                connecting;
    ngx_http_checkout_try_t  *try;

    try = task->try;
    task->try = NULL;
    connecting = task->state == NGX_HTTP_CHECKOUT_TASK_CONNECTING;

    if (connecting) {
        ngx_http_checkout_count(sql_connect_timeouts, 1);

    } else {
        ngx_http_checkout_count(sql_read_timeouts, 1);
    }

    ngx_log_error(ngx_http_checkout_task_level(&task->pool->logged), ngx_http_checkout_task_log(task), 0,
                  "checkout: MySQL %V timed out while it was %s, for \"%V\" in %V:%ui", &task->peer.name,
                  connecting ? "connected to" : "running the job", &task->settings->handler->name, &task->settings->handler->file,
                  task->settings->handler->line);

    ngx_http_checkout_state_end(task, try, NGX_HTTP_GATEWAY_TIME_OUT);
    ngx_http_checkout_try_abandon(try);
    ngx_http_checkout_task_peer_failed(task);
}


static ngx_msec_int_t
ngx_http_checkout_task_left(uint64_t since, ngx_msec_t timeout)
{
    return (ngx_msec_int_t) timeout - (ngx_msec_int_t) ((ngx_http_checkout_now_us() - since) / 1000);
}


/*
 * The time-out of a try may be over. The thread does not say what it has come to, so that is looked at here: at least
 * as often as the read time-out, which begins anew with each statement, at the moment that the thread noted.
 */
static void
ngx_http_checkout_task_look(ngx_http_checkout_task_t *task)
{
    ngx_msec_int_t               left;
    ngx_http_checkout_access_t  *access;

    access = task->pool->access;

    if (ngx_http_checkout_try_phase(task->try) == NGX_HTTP_CHECKOUT_TRY_RUN) {
        task->state = NGX_HTTP_CHECKOUT_TASK_RUNNING;
    }

    if (task->state == NGX_HTTP_CHECKOUT_TASK_RUNNING) {
        left = ngx_http_checkout_task_left(ngx_http_checkout_try_since(task->try), access->read_timeout);

    } else {
        left = ngx_min(ngx_http_checkout_task_left(task->try->begun, access->connect_timeout),
                       (ngx_msec_int_t) access->read_timeout);
    }

    if (left <= 0) {
        ngx_http_checkout_task_give_up(task);
        return;
    }

    ngx_add_timer(&task->timer, (ngx_msec_t) left);
}


/* The longest wait for a connection, or the time-out of a try, is over. */
static void
ngx_http_checkout_task_timer(ngx_event_t *ev)
{
    ngx_http_checkout_task_t *task = ev->data;

    switch (task->state) {

    case NGX_HTTP_CHECKOUT_TASK_WAITING:
        task->crowded |= !task->pool->failing;
        ngx_http_checkout_task_stop_waiting(task);

        /* its connections may hang, and another server be idle */
        if (ngx_http_checkout_peer_left(&task->peer)) {
            ngx_http_checkout_task_next(task);
            return;
        }

        ngx_http_checkout_task_no_server(task);
        return;

    case NGX_HTTP_CHECKOUT_TASK_CONNECTING:
    case NGX_HTTP_CHECKOUT_TASK_RUNNING:
        ngx_http_checkout_task_look(task);
        return;

    case NGX_HTTP_CHECKOUT_TASK_RESTING:
        return;
    }
}


/*
 * Errors that are the server's own trouble, and that another server need not have: MySQL Reference Manual and MariaDB
 * Knowledge Base, "Error Codes". All others are taken for the statement's.
 */
static ngx_uint_t
ngx_http_checkout_is_servers_error(unsigned code)
{
    ngx_uint_t  i;

    static const unsigned  codes[] = {
        1021, 1026, 1030, 1037, 1038, 1041, 1114,   /* disk, memory */
        1040, 1129, 1130, 1203, 1226,               /* too many connections, host blocked, resources used up */
        1053, 1077, 1079, 1080, 1927, 3169, 4031,   /* it shuts down, or ends this session */
        1158, 1159, 1160, 1161,                     /* network */
        1194, 1195, 1290, 1792, 1836,               /* a table is broken; read-only */
    };

    if (code >= 2000 && code < 3000) {
        return 1;    /* the client library: no connection, or one that was lost */
    }

    for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i] == code) {
            return 1;
        }
    }

    return 0;
}


/* Errors by which a session that the server has ended shows itself. */
static ngx_uint_t
ngx_http_checkout_is_lost(unsigned code)
{
    return (code >= 2000 && code < 3000) || code == 1053 || code == 1927 || code == 3169 || code == 4031
           || (code >= 1158 && code <= 1161);
}


static ngx_http_checkout_try_verdict_e
ngx_http_checkout_try_verdict(ngx_http_checkout_try_t *try)
{
    if (try->connected == 0) {
        return NGX_HTTP_CHECKOUT_TRY_FAILED;
    }

    switch (try->rc) {

    case DB_OK:
        return NGX_HTTP_CHECKOUT_TRY_DONE;

    case DB_POISON:
        return NGX_HTTP_CHECKOUT_TRY_REFUSED;

    case DB_AGAIN:
        return try->runs <= NGX_HTTP_CHECKOUT_JOB_AGAIN ? NGX_HTTP_CHECKOUT_TRY_LOST : NGX_HTTP_CHECKOUT_TRY_WRONG;

    case DB_RETRY:
        break;
    }

    if (error_is_timeout(try->code)) {
        return NGX_HTTP_CHECKOUT_TRY_SLOW;
    }

    if (try->code == NGX_HTTP_CHECKOUT_LOCK_WAIT) {
        return NGX_HTTP_CHECKOUT_TRY_LOCKED;
    }

    if (try->reused && ngx_http_checkout_is_lost(try->code)) {
        return NGX_HTTP_CHECKOUT_TRY_STALE;
    }

    return ngx_http_checkout_is_servers_error(try->code) ? NGX_HTTP_CHECKOUT_TRY_FAILED
                                                         : NGX_HTTP_CHECKOUT_TRY_WRONG;
}


static void
ngx_http_checkout_task_log_error(ngx_http_checkout_task_t *task, ngx_http_checkout_try_t *try, ngx_uint_t level)
{
    ngx_log_error(level, ngx_http_checkout_task_log(task), 0,
                  "checkout: MySQL %V %s: error %ud \"%s\", for \"%V\" in %V:%ui", &task->peer.name,
                  try->connected ? "did not run the job" : "could not be connected to", try->code, try->error,
                  &task->settings->handler->name, &task->settings->handler->file, task->settings->handler->line);
}


/* What $upstream_status says of a server that answered. */
static ngx_uint_t
ngx_http_checkout_outcome_status(ngx_http_checkout_sql_outcome_e outcome)
{
    switch (outcome) {

    case NGX_HTTP_CHECKOUT_SQL_DONE:
        return NGX_HTTP_OK;

    case NGX_HTTP_CHECKOUT_SQL_BUSY:
        return NGX_HTTP_SERVICE_UNAVAILABLE;

    case NGX_HTTP_CHECKOUT_SQL_LATE:
        return NGX_HTTP_GATEWAY_TIME_OUT;

    default:
        return NGX_HTTP_BAD_GATEWAY;
    }
}


/* The server answered, and the job is over. */
static void
ngx_http_checkout_task_answered(ngx_http_checkout_task_t *task, ngx_http_checkout_try_t *try,
    ngx_http_checkout_sql_outcome_e outcome)
{
    task->pool->failing = 0;
    task->state = NGX_HTTP_CHECKOUT_TASK_RESTING;
    ngx_http_checkout_state_end(task, try, ngx_http_checkout_outcome_status(outcome));
    ngx_http_checkout_peer_release(&task->peer, 0);

    if (try->conn->db.mysql != NULL) {
        ngx_http_checkout_pool_put(try->conn);

    } else {
        ngx_http_checkout_pool_drop(try->conn);
    }

    if (!task->decided) {
        task->result = try->result;
        ngx_memzero(&try->result, sizeof(struct sql_result));
        ngx_http_checkout_task_decide(task, outcome);
    }
}


/* Once more, on a new connection to the same server. */
static void
ngx_http_checkout_task_reconnect(ngx_http_checkout_task_t *task, ngx_http_checkout_try_t *try)
{
    ngx_http_checkout_state_end(task, try, NGX_HTTP_BAD_GATEWAY);
    task->runs = try->runs;
    try->conn->stale = try->conn->db.mysql != NULL;

    if (task->decided) {
        task->state = NGX_HTTP_CHECKOUT_TASK_RESTING;
        ngx_http_checkout_pool_drop(try->conn);
        ngx_http_checkout_peer_release(&task->peer, 0);
        return;
    }

    ngx_http_checkout_task_run(task, try->conn);
}


/* The thread is done with a try that was not given up; its reference is the caller's. */
void
ngx_http_checkout_task_tried(ngx_http_checkout_task_t *task, ngx_http_checkout_try_t *try)
{
    ngx_http_checkout_try_verdict_e  verdict;

    task->try = NULL;
    ngx_http_checkout_task_stop_timer(&task->timer);
    verdict = ngx_http_checkout_try_verdict(try);

    switch (verdict) {

    case NGX_HTTP_CHECKOUT_TRY_REFUSED:
    case NGX_HTTP_CHECKOUT_TRY_WRONG:
    case NGX_HTTP_CHECKOUT_TRY_SLOW:
    case NGX_HTTP_CHECKOUT_TRY_LOCKED:
        ngx_http_checkout_task_log_error(task, try, NGX_LOG_ERR);
        break;

    case NGX_HTTP_CHECKOUT_TRY_FAILED:
        ngx_http_checkout_task_log_error(task, try, ngx_http_checkout_task_level(&task->pool->logged));
        break;

    default:
        break;
    }

    switch (verdict) {

    case NGX_HTTP_CHECKOUT_TRY_DONE:
        ngx_http_checkout_task_answered(task, try, NGX_HTTP_CHECKOUT_SQL_DONE);
        break;

    case NGX_HTTP_CHECKOUT_TRY_REFUSED:
        ngx_http_checkout_task_answered(task, try, NGX_HTTP_CHECKOUT_SQL_REFUSED);
        break;

    case NGX_HTTP_CHECKOUT_TRY_WRONG:
        ngx_http_checkout_task_answered(task, try, NGX_HTTP_CHECKOUT_SQL_FAILED);
        break;

    case NGX_HTTP_CHECKOUT_TRY_SLOW:
        ngx_http_checkout_task_answered(task, try, NGX_HTTP_CHECKOUT_SQL_LATE);
        break;

    case NGX_HTTP_CHECKOUT_TRY_LOCKED:
        ngx_http_checkout_task_answered(task, try, NGX_HTTP_CHECKOUT_SQL_BUSY);
        break;

    case NGX_HTTP_CHECKOUT_TRY_STALE:
        ngx_http_checkout_count(sql_reconnects, 1);
        ngx_http_checkout_task_reconnect(task, try);
        break;

    case NGX_HTTP_CHECKOUT_TRY_LOST:
        ngx_http_checkout_task_reconnect(task, try);
        break;

    case NGX_HTTP_CHECKOUT_TRY_FAILED:
        if (try->connected) {
            ngx_http_checkout_count(sql_losses, 1);

        } else {
            ngx_http_checkout_count(sql_connect_errors, 1);
        }

        ngx_http_checkout_state_end(task, try, NGX_HTTP_BAD_GATEWAY);
        ngx_http_checkout_pool_drop(try->conn);
        ngx_http_checkout_task_peer_failed(task);
        break;
    }

    ngx_http_checkout_try_free(try);
}


ngx_int_t
ngx_http_checkout_sql_refuse(ngx_http_request_t *r, ngx_http_checkout_sql_outcome_e outcome)
{
    switch (outcome) {

    case NGX_HTTP_CHECKOUT_SQL_REFUSED:
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_INVALID_REQUEST, NULL, 0);

    case NGX_HTTP_CHECKOUT_SQL_BUSY:
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_UNAVAILABLE, NULL, 0);

    case NGX_HTTP_CHECKOUT_SQL_LATE:
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_GATEWAY_TIMEOUT, NULL, 0);

    default:
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_BAD_GATEWAY, NULL, 0);
    }
}


/* A worker process starts, with its own user: can it read what the client library will? */
static void
ngx_http_checkout_sql_check_file(ngx_cycle_t *cycle, const char *name)
{
    if (name != NULL && access(name, R_OK) == -1) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, ngx_errno,
                      "checkout: the worker process cannot read \"%s\", which its connections to MySQL need", name);
    }
}


ngx_int_t
ngx_http_checkout_sql_init(ngx_cycle_t *cycle,
    ngx_http_checkout_threads_settings_t *threads, ngx_array_t *accesses)
{
    ngx_uint_t                    i;
    ngx_http_checkout_access_t  **list;

    ngx_http_checkout_pools_init();

    if (accesses->nelts == 0) {
        return NGX_OK;
    }

    list = accesses->elts;

    for (i = 0; i < accesses->nelts; i++) {
        ngx_http_checkout_sql_check_file(cycle, list[i]->server.ssl_ca);
        ngx_http_checkout_sql_check_file(cycle, list[i]->server.ssl_cert);
        ngx_http_checkout_sql_check_file(cycle, list[i]->server.ssl_key);
    }

    return ngx_http_checkout_threads_init(cycle, threads);
}


/* nginx has told the threads to end before. */
void
ngx_http_checkout_sql_exit(ngx_array_t *accesses)
{
    ngx_uint_t  alone;

    if (accesses->nelts) {
        alone = ngx_http_checkout_threads_wait();
        ngx_http_checkout_pools_exit();

        if (alone) {
            mysql_library_end();
        }
    }
}
