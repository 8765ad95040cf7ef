/*
 * A job on a MySQL server: a step of a request that waits, its servers one
 * after the other, and its outcome.
 *
 * A balancer gives a server, the server's pool a connection, at once or after
 * a wait; a run does the job there. A server that does not answer is reported
 * to the balancer, and the next one is asked while there is one and the
 * request has time. What a server says of the statement or its data
 * ends the job: another would say the same.
 *
 * The job is freed when its outcome was reported, or its request has gone, and
 * no run of it is under way. The request may go at any time; a run that is
 * under way then goes on, and its connection is used again. The outcome is
 * reported from an event of its own, so no caller is called back from within.
 * Runs have their time-outs also without a request: so a server that is silent
 * is found out, and its thread comes free.
 */
#include "sql/job.h"

#include "request/sticky.h"
#include "sql/balancer.h"
#include "sql/errors.h"
#include "sql/pool.h"
#include "sql/thread.h"
#include "sql/upstream_state.h"
#include "stats/assert.h"
#include "stats/counters.h"
#include "stats/histograms.h"


#define NGX_HTTP_CHECKOUT_JOBS_MAX   16384 /* of one worker process */
#define NGX_HTTP_CHECKOUT_JOBS_KEPT  1024  /* of these, for writing jobs */


typedef enum {
    /* not started, or with nothing more to ask */
    NGX_HTTP_CHECKOUT_JOB_IDLE,
    /* for a connection; timer: the longest wait */
    NGX_HTTP_CHECKOUT_JOB_WAITING,
    NGX_HTTP_CHECKOUT_JOB_CONNECTING, /* in a run; timer: its time-out */
    /* in a run; timer: the time-out of the statement under way */
    NGX_HTTP_CHECKOUT_JOB_RUNNING
} ngx_http_checkout_job_state_e;

/* The whole of a job; others have a pointer to its public part. */
typedef struct {
    ngx_http_checkout_job_t                  public;
    ngx_http_checkout_job_state_e            state;
    /*
     * one until the outcome was reported or the request has gone, one for each
     * run
     */
    ngx_uint_t                               refs;
    /* its request; NULL: gone or answered */
    ngx_http_checkout_waiting_t             *waiting;
    const ngx_http_checkout_sql_settings_t  *settings;
    ngx_http_checkout_peer_t                 peer;
    ngx_http_checkout_pool_t                *pool;  /* while it waits or runs */
    ngx_http_checkout_pool_wait_t            wait;
    ngx_http_checkout_run_t                 *run;      /* while it runs */
    ngx_uint_t                               repeats;  /* of it, as it lost */
    ngx_http_checkout_upstream_state_t       upstream_state;
    ngx_event_t                              timer;
    /* posted with the outcome */
    ngx_event_t                              report;
    ngx_http_checkout_sql_outcome_e          outcome;
    struct sql_result                        result;
    /* the outcome is known, or nobody waits for it */
    unsigned                                 decided:1;
    /* the primary is asked for a client that has just written */
    unsigned                                 sticky:1;
    /* a server that answers had no connection */
    unsigned                                 saturated:1;
} ngx_http_checkout_sql_job_t;


static ngx_uint_t  ngx_http_checkout_njobs;


static void ngx_http_checkout_job_timeout(ngx_event_t *ev);
static void ngx_http_checkout_job_late(void *data);
static void ngx_http_checkout_job_gone(void *data);
static void ngx_http_checkout_job_report(ngx_event_t *ev);
static void ngx_http_checkout_job_connected(
    ngx_http_checkout_pool_wait_t *wait, ngx_http_checkout_conn_t *conn);
static void ngx_http_checkout_job_next(ngx_http_checkout_sql_job_t *job);
static void ngx_http_checkout_job_run_ended(ngx_http_checkout_run_t *run);


static const ngx_http_checkout_step_t  ngx_http_checkout_job_step = {
    ngx_http_checkout_job_late, ngx_http_checkout_job_gone
};


static ngx_http_checkout_sql_job_t *
ngx_http_checkout_job_whole(ngx_http_checkout_job_t *public)
{
    return ngx_queue_data(public, ngx_http_checkout_sql_job_t, public);
}


ngx_http_checkout_job_t *
ngx_http_checkout_job_create(const ngx_http_checkout_sql_settings_t *settings)
{
    ngx_uint_t                    kept;
    ngx_pool_t                   *pool;
    ngx_http_checkout_sql_job_t  *job;

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

    job = ngx_pcalloc(pool, sizeof(ngx_http_checkout_sql_job_t));

    if (job == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    job->public.pool = pool;
    job->settings = settings;
    job->refs = 1;
    job->state = NGX_HTTP_CHECKOUT_JOB_IDLE;
    job->wait.ready = ngx_http_checkout_job_connected;

    job->timer.handler = ngx_http_checkout_job_timeout;
    job->report.handler = ngx_http_checkout_job_report;
    job->timer.data = job->report.data = job;
    job->timer.log = job->report.log = ngx_cycle->log;

    ngx_http_checkout_njobs++;

    return &job->public;
}


static void
ngx_http_checkout_job_unref(ngx_http_checkout_sql_job_t *job)
{
    if (!ngx_http_checkout_assert(job->refs > 0) || --job->refs != 0) {
        return;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "checkout sql job %p: freed", job);

    ngx_http_checkout_peer_end(&job->peer);
    buffer_free(&job->result.body);
    ngx_destroy_pool(job->public.pool);
    ngx_http_checkout_njobs--;
}


void
ngx_http_checkout_job_destroy(ngx_http_checkout_job_t *public)
{
    ngx_http_checkout_job_unref(ngx_http_checkout_job_whole(public));
}


/* NULL: it is answered, or has gone. */
static ngx_http_request_t *
ngx_http_checkout_job_request(ngx_http_checkout_sql_job_t *job)
{
    return job->waiting != NULL ? job->waiting->request : NULL;
}


static ngx_log_t *
ngx_http_checkout_job_log(ngx_http_checkout_sql_job_t *job)
{
    return job->waiting != NULL ? job->waiting->request->connection->log
                                : ngx_cycle->log;
}


/* The entry of the present run in r->upstream_states is complete. */
static void
ngx_http_checkout_job_close_state(ngx_http_checkout_sql_job_t *job,
    ngx_uint_t status, ngx_http_checkout_run_t *run)
{
    ngx_http_checkout_upstream_state_close(
        &job->upstream_state, ngx_http_checkout_job_request(job), status, run);
}


/* While servers are away each request has an error; one a second is enough. */
static ngx_uint_t
ngx_http_checkout_job_log_level(time_t *logged)
{
    if (*logged == ngx_time()) {
        return NGX_LOG_INFO;
    }

    *logged = ngx_time();

    return NGX_LOG_ERR;
}


static void
ngx_http_checkout_job_set_state(ngx_http_checkout_sql_job_t *job,
    ngx_http_checkout_job_state_e state)
{
#if (NGX_DEBUG)
    static const char  *names[] = { "idle", "waiting", "connecting",
                                    "running" };

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, ngx_http_checkout_job_log(job), 0,
                   "checkout sql job %p: %s, server %V", job, names[state],
                   &job->peer.name);
#endif

    job->state = state;
}


static void
ngx_http_checkout_job_stop_timer(ngx_http_checkout_sql_job_t *job)
{
    if (job->timer.timer_set) {
        ngx_del_timer(&job->timer);
    }
}


/* The request is answered, or goes away. */
static void
ngx_http_checkout_job_detach(ngx_http_checkout_sql_job_t *job)
{
    job->waiting = NULL;
    job->upstream_state.open = 0;
    ngx_http_checkout_peer_detach(&job->peer);
}


/* No more server is asked; the outcome is reported soon. */
static void
ngx_http_checkout_job_decide(ngx_http_checkout_sql_job_t *job,
    ngx_http_checkout_sql_outcome_e outcome)
{
    if (job->decided) {
        return;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ngx_http_checkout_job_log(job), 0,
                   "checkout sql job %p: outcome %d", job, (int) outcome);

    job->decided = 1;
    job->outcome = outcome;
    ngx_http_checkout_count(sql_jobs[outcome], 1);
    ngx_post_event(&job->report, &ngx_posted_events);
}


static void
ngx_http_checkout_job_stop_waiting(ngx_http_checkout_sql_job_t *job)
{
    ngx_http_checkout_job_stop_timer(job);
    ngx_http_checkout_pool_leave(&job->wait);
    ngx_http_checkout_job_set_state(job, NGX_HTTP_CHECKOUT_JOB_IDLE);
    ngx_http_checkout_peer_release(&job->peer, 0);
}


/* The request goes away. */
static void
ngx_http_checkout_job_gone(void *data)
{
    ngx_http_checkout_sql_job_t  *job = data;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, ngx_http_checkout_job_log(job), 0,
                   "checkout sql job %p: its request goes away", job);

    if (!job->decided) {
        job->decided = 1;
        ngx_http_checkout_count(sql_gone, 1);
    }

    if (job->report.posted) {
        ngx_delete_posted_event(&job->report);
    }

    if (job->state == NGX_HTTP_CHECKOUT_JOB_WAITING) {
        ngx_http_checkout_job_stop_waiting(job);
    }

    ngx_http_checkout_job_detach(job);
    ngx_http_checkout_job_unref(job);
}


/* done() may free the request, and start another job for it. */
static void
ngx_http_checkout_job_report(ngx_event_t *ev)
{
    ngx_http_checkout_sql_job_t  *job = ev->data;

    ngx_http_request_t  *r;

    r = job->waiting->request;
    ngx_http_checkout_waiting_answered(job->waiting);
    ngx_http_checkout_job_detach(job);

    job->public.done(
        &job->public, r, job->outcome,
        job->outcome == NGX_HTTP_CHECKOUT_SQL_DONE ? &job->result : NULL);

    ngx_http_checkout_job_unref(job);
}


/* The request's time has run out. The outcome is reported soon. */
static void
ngx_http_checkout_job_late(void *data)
{
    ngx_http_checkout_sql_job_t  *job = data;

    if (job->state == NGX_HTTP_CHECKOUT_JOB_WAITING) {
        ngx_http_checkout_job_stop_waiting(job);
    }

    ngx_http_checkout_job_close_state(job, NGX_HTTP_GATEWAY_TIME_OUT, NULL);
    ngx_http_checkout_job_decide(job, NGX_HTTP_CHECKOUT_SQL_LATE);
}


static ngx_http_upstream_srv_conf_t *
ngx_http_checkout_job_upstream(ngx_http_checkout_sql_job_t *job,
    ngx_http_request_t *r)
{
    const ngx_http_checkout_sql_settings_t  *settings;

    settings = job->settings;

    if (job->public.primary || settings->read_from == NULL) {
        job->public.of_primary = 1;
        return settings->primary;
    }

    /*
     * A client that has just written reads from the primary, if there is
     * one.
     */
    job->sticky = settings->primary != NULL && ngx_http_checkout_sticky(r);
    job->public.of_primary = job->sticky;

    return job->sticky ? settings->primary : settings->read_from;
}


/*
 * No server of the upstream answers. For a sticky client the replicas are
 * asked then: what may be old is better than nothing.
 */
static void
ngx_http_checkout_job_no_answer(ngx_http_checkout_sql_job_t *job)
{
    if (job->decided || !job->sticky) {
        ngx_http_checkout_job_decide(job, NGX_HTTP_CHECKOUT_SQL_FAILED);
        return;
    }

    job->sticky = 0;
    job->public.of_primary = 0;
    ngx_http_checkout_peer_end(&job->peer);
    ngx_memzero(&job->peer, sizeof(ngx_http_checkout_peer_t));

    if (ngx_http_checkout_peer_init(&job->peer, job->waiting->request,
                                    job->settings->read_from, job->public.pool)
        != NGX_OK)
    {
        ngx_http_checkout_job_decide(job, NGX_HTTP_CHECKOUT_SQL_FAILED);
        return;
    }

    ngx_http_checkout_job_next(job);
}


/* No server is left: those that answer have no connection, or none answers. */
static void
ngx_http_checkout_job_no_server(ngx_http_checkout_sql_job_t *job)
{
    if (job->saturated) {
        ngx_http_checkout_job_decide(job, NGX_HTTP_CHECKOUT_SQL_BUSY);

    } else {
        ngx_http_checkout_job_no_answer(job);
    }
}


void
ngx_http_checkout_job_start(ngx_http_checkout_job_t *public,
    ngx_http_checkout_waiting_t *waiting)
{
    ngx_http_request_t                   *r;
    ngx_http_checkout_sql_job_t          *job;
    ngx_http_upstream_srv_conf_t         *upstream;
    const ngx_http_checkout_directive_t  *handler;

    r = waiting->request;
    job = ngx_http_checkout_job_whole(public);
    job->waiting = waiting;

    ngx_http_checkout_waiting_ask(waiting, &ngx_http_checkout_job_step, job,
                                  NULL);

    upstream = ngx_http_checkout_job_upstream(job, r);

    if (upstream == NULL
        || ngx_http_checkout_peer_init(&job->peer, r, upstream, public->pool)
               != NGX_OK)
    {
        handler = job->settings->handler;
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "checkout: no MySQL server can be chosen for \"%V\" "
                      "in %V:%ui",
                      &handler->name, &handler->file, handler->line);
        ngx_http_checkout_job_decide(job, NGX_HTTP_CHECKOUT_SQL_FAILED);
        return;
    }

    ngx_http_checkout_upstream_state_separate(r);
    ngx_http_checkout_job_next(job);
}


/* Starts a run. */
static void
ngx_http_checkout_job_run_on(ngx_http_checkout_sql_job_t *job,
    ngx_http_checkout_conn_t *conn)
{
    ngx_http_checkout_work_t     work;
    ngx_http_checkout_access_t  *access;

    work.job = job->public.run;
    work.input = job->public.input;
    work.repeats = job->repeats;
    work.done = ngx_http_checkout_job_run_ended;
    work.data = job;

    access = job->settings->access;
    job->run = ngx_http_checkout_run_start(conn, &work);
    ngx_http_checkout_job_stop_timer(job);

    if (job->run == NULL) {
        ngx_http_checkout_job_set_state(job, NGX_HTTP_CHECKOUT_JOB_IDLE);
        ngx_http_checkout_pool_drop(conn);
        ngx_http_checkout_peer_release(&job->peer, 0);
        ngx_http_checkout_job_decide(job, NGX_HTTP_CHECKOUT_SQL_BUSY);
        return;
    }

    job->refs++;

    if (job->waiting != NULL) {
        ngx_http_checkout_upstream_state_open(
            &job->upstream_state, job->waiting->request, &job->peer.name);
    }

    if (job->run->connects) {
        ngx_http_checkout_job_set_state(job, NGX_HTTP_CHECKOUT_JOB_CONNECTING);
        ngx_add_timer(&job->timer,
                      ngx_min(access->connect_timeout, access->read_timeout));

    } else {
        ngx_http_checkout_job_set_state(job, NGX_HTTP_CHECKOUT_JOB_RUNNING);
        ngx_add_timer(&job->timer, access->read_timeout);
    }
}


/* A connection has come free for a job that waits. */
static void
ngx_http_checkout_job_connected(ngx_http_checkout_pool_wait_t *wait,
    ngx_http_checkout_conn_t *conn)
{
    ngx_http_checkout_job_run_on(
        ngx_queue_data(wait, ngx_http_checkout_sql_job_t, wait), conn);
}


/*
 * Asks the held server's pool for a connection. NGX_DONE: the job runs, waits
 * or is decided. NGX_AGAIN: another server may be asked.
 */
static ngx_int_t
ngx_http_checkout_job_enter(ngx_http_checkout_sql_job_t *job,
    ngx_http_checkout_pool_t *pool)
{
    ngx_int_t                  rc;
    ngx_http_checkout_conn_t  *conn;

    job->pool = pool;
    rc = ngx_http_checkout_pool_enter(pool, &job->wait, &conn);

    if (rc == NGX_OK) {
        ngx_http_checkout_job_run_on(job, conn);
        return NGX_DONE;
    }

    if (rc == NGX_AGAIN) {
        ngx_http_checkout_job_set_state(job, NGX_HTTP_CHECKOUT_JOB_WAITING);
        ngx_add_timer(&job->timer, job->settings->access->pool.timeout);
        return NGX_DONE;
    }

    job->saturated |= ngx_http_checkout_pool_answers(pool);
    ngx_http_checkout_peer_release(&job->peer, 0);

    if (ngx_http_checkout_peer_left(&job->peer)) {
        return NGX_AGAIN;
    }

    ngx_http_checkout_job_no_server(job);

    return NGX_DONE;
}


/* Asks the servers that are left. */
static void
ngx_http_checkout_job_next(ngx_http_checkout_sql_job_t *job)
{
    ngx_log_t                            *log;
    ngx_http_checkout_pool_t             *pool;
    ngx_http_checkout_access_t           *access;
    const ngx_http_checkout_directive_t  *handler;

    access = job->settings->access;
    log = ngx_http_checkout_job_log(job);

    do {
        if (ngx_http_checkout_peer_next(&job->peer, log) != NGX_OK) {
            handler = job->settings->handler;
            ngx_log_error(ngx_http_checkout_job_log_level(&access->logged),
                          log, 0,
                          "checkout: no live MySQL server is left for \"%V\" "
                          "in %V:%ui",
                          &handler->name, &handler->file, handler->line);
            ngx_http_checkout_job_no_server(job);
            return;
        }

        pool = ngx_http_checkout_pool_get(access, &job->peer.sockaddr,
                                          job->peer.socklen);

        if (pool == NULL) {
            ngx_http_checkout_peer_release(&job->peer, 0);
            ngx_http_checkout_job_decide(job, NGX_HTTP_CHECKOUT_SQL_FAILED);
            return;
        }

    } while (ngx_http_checkout_job_enter(job, pool) == NGX_AGAIN);
}


/* The server that is held does not answer. */
static void
ngx_http_checkout_job_server_failed(ngx_http_checkout_sql_job_t *job)
{
    ngx_http_checkout_pool_set_answers(job->pool, 0);
    ngx_http_checkout_job_set_state(job, NGX_HTTP_CHECKOUT_JOB_IDLE);
    ngx_http_checkout_peer_release(&job->peer, NGX_PEER_FAILED);

    if (job->decided) {
        return;
    }

    if (ngx_http_checkout_peer_left(&job->peer) == 0) {
        ngx_http_checkout_job_no_server(job);
        return;
    }

    ngx_http_checkout_job_next(job);
}


/* The run's time is over. Its thread and its reference end later. */
static void
ngx_http_checkout_job_abandon_run(ngx_http_checkout_sql_job_t *job)
{
    time_t                               *logged;
    ngx_uint_t                            connecting;
    ngx_http_checkout_run_t              *run;
    const ngx_http_checkout_directive_t  *handler;

    run = job->run;
    job->run = NULL;
    handler = job->settings->handler;
    logged = ngx_http_checkout_pool_logged(job->pool);
    connecting = job->state == NGX_HTTP_CHECKOUT_JOB_CONNECTING;

    if (connecting) {
        ngx_http_checkout_count(sql_connect_timeouts, 1);

    } else {
        ngx_http_checkout_count(sql_read_timeouts, 1);
    }

    ngx_log_error(
        ngx_http_checkout_job_log_level(logged),
        ngx_http_checkout_job_log(job), 0,
        "checkout: MySQL %V timed out while it was %s, for \"%V\" "
        "in %V:%ui",
        &job->peer.name, connecting ? "connected to" : "running the job",
        &handler->name, &handler->file, handler->line);

    ngx_http_checkout_job_close_state(job, NGX_HTTP_GATEWAY_TIME_OUT, run);
    ngx_http_checkout_run_abandon(run);
    ngx_http_checkout_job_server_failed(job);
}


/* ms that are left of a time-out; negative: it is over. */
static ngx_msec_int_t
ngx_http_checkout_job_time_left(uint64_t since, ngx_msec_t timeout)
{
    uint64_t  passed;

    passed = (ngx_http_checkout_now_us() - since) / 1000;

    return (ngx_msec_int_t) timeout - (ngx_msec_int_t) passed;
}


/*
 * The time-out of a run may be over. The thread does not report its steps, so
 * they are checked here, at least once in a read time-out. That begins anew
 * with each statement, at the moment that the thread has noted.
 */
static void
ngx_http_checkout_job_check_run(ngx_http_checkout_sql_job_t *job)
{
    uint64_t                        since;
    ngx_msec_int_t                  left;
    ngx_http_checkout_access_t     *access;
    ngx_http_checkout_run_phase_e   phase;

    access = job->settings->access;
    phase = ngx_http_checkout_run_phase(job->run);

    if (job->state == NGX_HTTP_CHECKOUT_JOB_CONNECTING
        && phase == NGX_HTTP_CHECKOUT_RUN_RUNNING)
    {
        ngx_http_checkout_job_set_state(job, NGX_HTTP_CHECKOUT_JOB_RUNNING);
    }

    if (job->state == NGX_HTTP_CHECKOUT_JOB_RUNNING) {
        since = ngx_http_checkout_run_since(job->run);
        left = ngx_http_checkout_job_time_left(since, access->read_timeout);

    } else {
        left = ngx_http_checkout_job_time_left(job->run->begun,
                                               access->connect_timeout);
        left = ngx_min(left, (ngx_msec_int_t) access->read_timeout);
    }

    if (left <= 0) {
        ngx_http_checkout_job_abandon_run(job);
        return;
    }

    ngx_add_timer(&job->timer, (ngx_msec_t) left);
}


/* It has waited for a connection as long as it may. */
static void
ngx_http_checkout_job_wait_over(ngx_http_checkout_sql_job_t *job)
{
    job->saturated |= ngx_http_checkout_pool_answers(job->pool);
    ngx_http_checkout_job_stop_waiting(job);

    /* the connections may hang, while another server has one to spare */
    if (ngx_http_checkout_peer_left(&job->peer)) {
        ngx_http_checkout_job_next(job);
        return;
    }

    ngx_http_checkout_job_no_server(job);
}


/* The timer of the present state. */
static void
ngx_http_checkout_job_timeout(ngx_event_t *ev)
{
    ngx_http_checkout_sql_job_t  *job = ev->data;

    switch (job->state) {

    case NGX_HTTP_CHECKOUT_JOB_WAITING:
        ngx_http_checkout_job_wait_over(job);
        return;

    case NGX_HTTP_CHECKOUT_JOB_CONNECTING:
    case NGX_HTTP_CHECKOUT_JOB_RUNNING:
        ngx_http_checkout_job_check_run(job);
        return;

    case NGX_HTTP_CHECKOUT_JOB_IDLE:
        return;
    }
}


static ngx_http_checkout_run_class_e
ngx_http_checkout_job_classify(ngx_http_checkout_run_t *run)
{
    ngx_http_checkout_run_end_t  end;

    end.connected = run->connected != 0;
    end.reused = run->reused;
    end.result = run->rc;
    end.code = run->code;
    end.repeats = run->repeats;

    return ngx_http_checkout_run_classify(&end);
}


static void
ngx_http_checkout_job_log_error(ngx_http_checkout_sql_job_t *job,
    ngx_http_checkout_run_t *run, ngx_uint_t level)
{
    const ngx_http_checkout_directive_t  *handler;

    handler = job->settings->handler;

    ngx_log_error(
        level, ngx_http_checkout_job_log(job), 0,
        "checkout: MySQL %V %s: error %ud \"%s\", for \"%V\" "
        "in %V:%ui",
        &job->peer.name,
        run->connected ? "did not run the job" : "could not be connected to",
        run->code, run->error, &handler->name, &handler->file, handler->line);
}


/* What $upstream_status says of a server that answered. */
static ngx_uint_t
ngx_http_checkout_job_upstream_status(ngx_http_checkout_sql_outcome_e outcome)
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


/* The server answered; no other is asked. */
static void
ngx_http_checkout_job_server_answered(ngx_http_checkout_sql_job_t *job,
    ngx_http_checkout_run_t *run, ngx_http_checkout_sql_outcome_e outcome)
{
    ngx_uint_t  status;

    status = ngx_http_checkout_job_upstream_status(outcome);

    ngx_http_checkout_pool_set_answers(job->pool, 1);
    ngx_http_checkout_job_set_state(job, NGX_HTTP_CHECKOUT_JOB_IDLE);
    ngx_http_checkout_job_close_state(job, status, run);
    ngx_http_checkout_peer_release(&job->peer, 0);

    if (ngx_http_checkout_conn_is_open(run->conn)) {
        ngx_http_checkout_pool_put(run->conn);

    } else {
        ngx_http_checkout_pool_drop(run->conn);
    }

    if (!job->decided) {
        job->result = run->result;
        ngx_memzero(&run->result, sizeof(struct sql_result));
        ngx_http_checkout_job_decide(job, outcome);
    }
}


/* Once more, on a new connection to the same server. */
static void
ngx_http_checkout_job_reconnect(ngx_http_checkout_sql_job_t *job,
    ngx_http_checkout_run_t *run)
{
    ngx_http_checkout_job_close_state(job, NGX_HTTP_BAD_GATEWAY, run);
    job->repeats = run->repeats;
    run->conn->stale = ngx_http_checkout_conn_is_open(run->conn);

    if (job->decided) {
        ngx_http_checkout_job_set_state(job, NGX_HTTP_CHECKOUT_JOB_IDLE);
        ngx_http_checkout_pool_drop(run->conn);
        ngx_http_checkout_peer_release(&job->peer, 0);
        return;
    }

    ngx_http_checkout_job_run_on(job, run->conn);
}


/* The server's own trouble. */
static void
ngx_http_checkout_job_run_failed(ngx_http_checkout_sql_job_t *job,
    ngx_http_checkout_run_t *run)
{
    time_t  *logged;

    logged = ngx_http_checkout_pool_logged(job->pool);
    ngx_http_checkout_job_log_error(job, run,
                                    ngx_http_checkout_job_log_level(logged));

    if (run->connected) {
        ngx_http_checkout_count(sql_losses, 1);

    } else {
        ngx_http_checkout_count(sql_connect_errors, 1);
    }

    ngx_http_checkout_job_close_state(job, NGX_HTTP_BAD_GATEWAY, run);
    ngx_http_checkout_pool_drop(run->conn);
    ngx_http_checkout_job_server_failed(job);
}


/* A run that was waited for has ended. */
static void
ngx_http_checkout_job_ran(ngx_http_checkout_sql_job_t *job,
    ngx_http_checkout_run_t *run)
{
    ngx_http_checkout_sql_outcome_e  outcome;

    job->run = NULL;
    ngx_http_checkout_job_stop_timer(job);

    switch (ngx_http_checkout_job_classify(run)) {

    case NGX_HTTP_CHECKOUT_RUN_DONE:
        ngx_http_checkout_job_server_answered(job, run,
                                              NGX_HTTP_CHECKOUT_SQL_DONE);
        return;

    case NGX_HTTP_CHECKOUT_RUN_STALE:
        ngx_http_checkout_count(sql_reconnects, 1);
        ngx_http_checkout_job_reconnect(job, run);
        return;

    case NGX_HTTP_CHECKOUT_RUN_LOST:
        ngx_http_checkout_job_reconnect(job, run);
        return;

    case NGX_HTTP_CHECKOUT_RUN_FAILED:
        ngx_http_checkout_job_run_failed(job, run);
        return;

    case NGX_HTTP_CHECKOUT_RUN_REFUSED:
        outcome = NGX_HTTP_CHECKOUT_SQL_REFUSED;
        break;

    case NGX_HTTP_CHECKOUT_RUN_SLOW:
        outcome = NGX_HTTP_CHECKOUT_SQL_LATE;
        break;

    case NGX_HTTP_CHECKOUT_RUN_LOCKED:
        outcome = NGX_HTTP_CHECKOUT_SQL_BUSY;
        break;

    default: /* NGX_HTTP_CHECKOUT_RUN_WRONG */
        outcome = NGX_HTTP_CHECKOUT_SQL_FAILED;
        break;
    }

    ngx_http_checkout_job_log_error(job, run, NGX_LOG_ERR);
    ngx_http_checkout_job_server_answered(job, run, outcome);
}


/* The thread is done with a run. Its reference ends, and may free the job. */
static void
ngx_http_checkout_job_run_ended(ngx_http_checkout_run_t *run)
{
    ngx_http_checkout_sql_job_t  *job = run->work.data;

    if (ngx_http_checkout_run_phase(run) == NGX_HTTP_CHECKOUT_RUN_ABANDONED) {
        ngx_http_checkout_pool_drop(run->conn);

    } else {
        ngx_http_checkout_job_ran(job, run);
    }

    ngx_http_checkout_run_free(run);
    ngx_http_checkout_job_unref(job);
}
