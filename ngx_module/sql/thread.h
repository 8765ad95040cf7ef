/*
 * One run of a job on one connection, in a thread of nginx's pool.
 *
 * All functions are the event loop's; none blocks but
 * ngx_http_checkout_threads_wait().
 *
 * What a thread may touch: from run_start() until done() the thread alone uses
 * the run's result, rc, code, error and repeats, and conn->db. It reads
 * work.input, which nobody changes meanwhile. It touches no request, no pool
 * of nginx and no list. Both sides use `phase` (atomic), `fd` and `connected`
 * (the thread writes them before it sets the phase to RUNNING), and
 * db_begun(). Of conn->fd, a second descriptor of the socket, the thread
 * knows nothing.
 *
 * Who frees: run_start() makes the run, the callee of done() frees it by
 * run_free(), with its result. The job and its pool belong to sql/job.c, whose
 * reference for each run keeps them, and so work.input, until done(). The
 * connection belongs to its pool (sql/pool.h): done() gives it back by
 * pool_put() or pool_drop().
 *
 * A thread that hangs: sql/job.c counts its time, and abandons the run; its
 * request is answered, or another server is asked, without waiting for the
 * thread. run_abandon() shuts the socket down, which ends a blocking read at
 * once. A thread that still connects is not woken: the client library gives
 * up by its own time-out (the connect time-out, and for each read the read
 * time-out plus a second, both in whole seconds, rounded up), or the
 * connection comes about, and then no job begins. A run for which nginx has no
 * thread yet ends when it gets one. Until then the thread, the connection's
 * place in its pool and the job's memory stay taken; then done() is called as
 * ever, and sql/job.c drops the connection.
 */
#ifndef NGX_HTTP_CHECKOUT_SQL_THREAD_H
#define NGX_HTTP_CHECKOUT_SQL_THREAD_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_thread_pool.h>

#include "mysql/sql_job.h"
#include "sql/connection.h"
#include "sql/settings.h"


typedef struct ngx_http_checkout_run_s  ngx_http_checkout_run_t;

/*
 * Called once in the event loop when the thread is done with the run and its
 * connection, also where the run was abandoned. Both are the callee's now: it
 * frees the run, and gives the connection back to its pool, or to a new run.
 */
typedef void (*ngx_http_checkout_run_pt)(ngx_http_checkout_run_t *run);

/* What a run does, and whom it tells. */
typedef struct {
    sql_job_pt                 job;    /* NULL: close the connection */
    const void                *input;  /* of the job; outlives the run */
    /* that were needed before, as the job lost */
    ngx_uint_t                 repeats;
    ngx_http_checkout_run_pt   done;
    void                      *data;  /* for done() */
} ngx_http_checkout_work_t;

typedef enum {
    NGX_HTTP_CHECKOUT_RUN_CONNECTING, /* or not begun */
    NGX_HTTP_CHECKOUT_RUN_RUNNING,    /* set by the thread */
    /* set by the event loop: a job that has not begun will not */
    NGX_HTTP_CHECKOUT_RUN_ABANDONED
} ngx_http_checkout_run_phase_e;

/* What done() may read of it; until then only `begun` and `connects`. */
struct ngx_http_checkout_run_s {
    ngx_http_checkout_work_t   work;
    ngx_http_checkout_conn_t  *conn;

    struct sql_result          result;  /* whole where rc is DB_OK */
    enum db_result             rc;
    unsigned                   code;  /* MySQL's number of the error */
    char                       error[sizeof(((struct db *) 0)->error)];
    uint64_t                   begun;       /* us, of CLOCK_MONOTONIC */
    uint64_t                   connected;   /* us; 0: it never was */
    ngx_uint_t                 repeats;     /* work.repeats, and its own */
    unsigned                   connects:1;  /* it has to connect first */
    /* the connection has run a job before, and stayed open */
    unsigned                   reused:1;
    /* of thread.c */
    /* the server has closed the connection */
    unsigned                   reopen:1;
    /* ngx_http_checkout_run_phase_e; atomic */
    uint32_t                   phase;
    /*
     * as in conn, of a connection that this run has opened; the thread's until
     * it is RUNNING
     */
    int                        fd;
    /*
     * A timer that does nothing, while the run is abandoned: a worker process
     * that exits stays in its event loop while a timer is set, and so does
     * not leave before the thread, but no longer than the library's time-outs
     */
    ngx_event_t                overdue;
    ngx_thread_task_t          task;
};

/*
 * A worker process starts. released(): called whenever a thread has come free,
 * after the run's done(); here it is ngx_http_checkout_pool_dispatch().
 * NGX_ERROR: what is missing is logged.
 */
ngx_int_t ngx_http_checkout_threads_init(ngx_cycle_t *cycle,
    ngx_http_checkout_threads_settings_t *settings, void (*released)(void));

/*
 * A worker process ends: blocks for up to a second until its threads are gone.
 * 0: some are still there; what they use must not be freed.
 */
ngx_uint_t ngx_http_checkout_threads_wait(void);

/* 1: a run may start now, of a job that writes, or of one that reads. */
ngx_uint_t ngx_http_checkout_threads_free(ngx_uint_t writes);

/*
 * Starts a run; *work is copied. The caller has asked
 * ngx_http_checkout_threads_free(), except where a connection is closed.
 * NULL: no memory, or nginx's queue of tasks is full; the connection stays the
 * caller's and done() is not called.
 */
ngx_http_checkout_run_t *ngx_http_checkout_run_start(
    ngx_http_checkout_conn_t *conn, const ngx_http_checkout_work_t *work);

ngx_http_checkout_run_phase_e ngx_http_checkout_run_phase(
    ngx_http_checkout_run_t *run);

/*
 * us: when the statement under way was sent; before the first one, when the
 * run was connected, or else when it was started.
 */
uint64_t ngx_http_checkout_run_since(ngx_http_checkout_run_t *run);

/*
 * Nobody waits for the run any longer: a job that has not begun will not, and
 * the socket is shut down, so that the thread wakes up (see above for when it
 * does not). done() follows later, never from within; run and connection stay
 * the run's until then. Once for each run.
 */
void ngx_http_checkout_run_abandon(ngx_http_checkout_run_t *run);

/* Only after done() was called; the connection is not touched. */
void ngx_http_checkout_run_free(ngx_http_checkout_run_t *run);


#endif
