/*
 * One run of a job on one connection, in a thread of nginx's pool: connect
 * where needed, run the job, report to the event loop.
 *
 * sql/thread.h says what each side may touch, who frees, and what becomes of a
 * thread that hangs.
 *
 * Time-outs are nginx's: the client library knows whole seconds, and counts
 * them for each read. The thread may have closed its descriptor of the socket,
 * and nginx may use that number for something else by now; so the event loop
 * shuts a second one down, its own. Whoever changes `phase` first decides
 * whether the job begins, so none begins once its run was abandoned.
 *
 * No more runs are under way than there are threads, whatever the pools allow,
 * and jobs that read leave some threads to those that write: a name may turn
 * out to have more addresses than were counted with the configuration.
 */
#include "sql/thread.h"

#include "sql/errors.h"
#include "stats/counters.h"
#include "stats/histograms.h"

#include <dirent.h>
#include <pthread.h>


#define NGX_HTTP_CHECKOUT_END_WAIT  1000 /* ms, for threads to end */

/* ms by which the client library rounds its time-outs up */
#define NGX_HTTP_CHECKOUT_OVERDUE_MARGIN  2000


static ngx_thread_pool_t  *ngx_http_checkout_threads;
static void              (*ngx_http_checkout_threads_released)(void);
static ngx_uint_t          ngx_http_checkout_threads_max;
static ngx_uint_t          ngx_http_checkout_threads_kept;
static ngx_uint_t          ngx_http_checkout_threads_busy;
static ngx_uint_t          ngx_http_checkout_threads_reading;  /* and busy */
static pthread_key_t       ngx_http_checkout_thread_key;


static void ngx_http_checkout_run_ended(ngx_event_t *ev);


/* Threads that a process has; 0: the system does not say. */
static ngx_uint_t
ngx_http_checkout_threads_count(void)
{
    DIR            *dir;
    ngx_uint_t      n;
    struct dirent  *entry;

    dir = opendir("/proc/self/task");

    if (dir == NULL) {
        return 0;
    }

    for (n = 0, entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        n += entry->d_name[0] != '.';
    }

    (void) closedir(dir);

    return n;
}


static void
ngx_http_checkout_thread_end(void *data)
{
    db_thread_end();
}


ngx_int_t
ngx_http_checkout_threads_init(ngx_cycle_t *cycle,
    ngx_http_checkout_threads_settings_t *settings, void (*released)(void))
{
    ngx_uint_t  n;

    ngx_http_checkout_threads = ngx_thread_pool_get(cycle, &settings->pool);
    ngx_http_checkout_threads_released = released;
    ngx_http_checkout_threads_max = settings->max;
    ngx_http_checkout_threads_kept = settings->kept;
    ngx_http_checkout_threads_busy = 0;
    ngx_http_checkout_threads_reading = 0;

    if (ngx_http_checkout_threads == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "checkout: there is no thread pool \"%V\"",
                      &settings->pool);
        return NGX_ERROR;
    }

    /* one is the event loop itself */
    n = ngx_http_checkout_threads_count();

    if (n != 0 && n < settings->max + 1) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, 0,
                      "checkout: the process has %ui threads, "
                      "\"checkout_thread_pool %V threads=%ui\" needs more: "
                      "jobs will wait for each other",
                      n - 1, &settings->pool, settings->max);
    }

    if (mysql_library_init(0, NULL, NULL) != 0
        || pthread_key_create(&ngx_http_checkout_thread_key,
                              ngx_http_checkout_thread_end)
               != 0)
    {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "checkout: the MySQL client library cannot be used");
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * nginx has told its threads to end, but does not wait until they are gone.
 * The libraries' clean-up for each thread, which they still do, must not meet
 * the clean-up for all, here or when nginx unloads the module.
 */
ngx_uint_t
ngx_http_checkout_threads_wait(void)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_CHECKOUT_END_WAIT; i++) {
        if (ngx_http_checkout_threads_count() <= 1) {
            break;
        }

        ngx_msleep(1);
    }

    return i < NGX_HTTP_CHECKOUT_END_WAIT;
}


ngx_uint_t
ngx_http_checkout_threads_free(ngx_uint_t writes)
{
    if (ngx_http_checkout_threads_busy >= ngx_http_checkout_threads_max) {
        return 0;
    }

    return writes
           || ngx_http_checkout_threads_reading
                  < ngx_http_checkout_threads_max
                        - ngx_http_checkout_threads_kept;
}


/* The client library wants to know when a thread begins and when it ends. */
static void
ngx_http_checkout_thread_enter(void)
{
    if (pthread_getspecific(ngx_http_checkout_thread_key) == NULL) {
        (void) mysql_thread_init();
        (void) pthread_setspecific(ngx_http_checkout_thread_key,
                                   &ngx_http_checkout_thread_key);
    }
}


static void
ngx_http_checkout_run_note_error(ngx_http_checkout_run_t *run, struct db *db)
{
    run->code = db->code;
    ngx_memcpy(run->error, db->error, sizeof(run->error));
}


static void
ngx_http_checkout_run_clear_result(struct sql_result *result)
{
    buffer_free(&result->body);
    ngx_memzero(result, sizeof(struct sql_result));
}


ngx_http_checkout_run_phase_e
ngx_http_checkout_run_phase(ngx_http_checkout_run_t *run)
{
    return __atomic_load_n(&run->phase, __ATOMIC_ACQUIRE);
}


uint64_t
ngx_http_checkout_run_since(ngx_http_checkout_run_t *run)
{
    uint64_t  since;

    since = ngx_http_checkout_run_phase(run) == NGX_HTTP_CHECKOUT_RUN_RUNNING
                ? run->connected
                : run->begun;

    /* a statement of the run before, on the same connection, is older */
    return ngx_max(since, db_begun(&run->conn->db));
}


/* In the thread. 1: the job may begin; 0: the run was abandoned before. */
static ngx_uint_t
ngx_http_checkout_run_begin(ngx_http_checkout_run_t *run, struct db *db)
{
    uint32_t  phase = NGX_HTTP_CHECKOUT_RUN_CONNECTING;

    run->connected = ngx_http_checkout_now_us();

    if (__atomic_compare_exchange_n(&run->phase, &phase,
                                    NGX_HTTP_CHECKOUT_RUN_RUNNING, 0,
                                    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
    {
        return 1;
    }

    if (run->fd != -1) {
        (void) close(run->fd);
        run->fd = -1;
    }

    db_close(db);

    return 0;
}


/* In the thread. 1: the job may begin. */
static ngx_uint_t
ngx_http_checkout_run_connect(ngx_http_checkout_run_t *run, struct db *db)
{
    if (run->reopen) {
        db_close(db);
    }

    if (ngx_http_checkout_run_phase(run) == NGX_HTTP_CHECKOUT_RUN_ABANDONED) {
        db_close(db);
        return 0;
    }

    if (db->mysql == NULL) {
        run->rc = db_open(db);

        if (run->rc != DB_OK) {
            ngx_http_checkout_run_note_error(run, db);
            return 0;
        }

        run->fd = fcntl((int) db->mysql->net.fd, F_DUPFD_CLOEXEC, 0);
    }

    return ngx_http_checkout_run_begin(run, db);
}


/* In the thread. What a job leaves open would meet the next one. */
static void
ngx_http_checkout_run_leave_clean(ngx_http_checkout_run_t *run, struct db *db)
{
    if (db->mysql == NULL) {
        return;
    }

    if (run->rc != DB_OK) {
        db_rollback(db);
        return;
    }

    if ((db->mysql->server_status & SERVER_STATUS_IN_TRANS)
        || mysql_more_results(db->mysql))
    {
        run->rc = DB_RETRY;
        run->code = 0;
        (void) ngx_cpystrn((u_char *) run->error,
                           (u_char *) "the job ended in the middle of a "
                                      "transaction",
                           sizeof(run->error));
        ngx_http_checkout_run_clear_result(&run->result);
        db_close(db);
    }
}


/* In the thread. */
static void
ngx_http_checkout_run_body(void *data, ngx_log_t *log)
{
    ngx_http_checkout_run_t  *run = data;

    struct db  *db;

    ngx_http_checkout_thread_enter();

    db = &run->conn->db;

    if (run->work.job == NULL) {
        db_close(db);
        return;
    }

    if (!ngx_http_checkout_run_connect(run, db)) {
        return;
    }

    do {
        run->rc = run->work.job(db, run->work.input, &run->result);

        if (run->rc != DB_OK) {
            ngx_http_checkout_run_note_error(run, db);
            ngx_http_checkout_run_clear_result(&run->result);
        }

        ngx_http_checkout_run_leave_clean(run, db);

    } while (
        run->rc == DB_AGAIN && run->repeats++ < NGX_HTTP_CHECKOUT_REPEATS_MAX
        && db->mysql != NULL
        && ngx_http_checkout_run_phase(run) == NGX_HTTP_CHECKOUT_RUN_RUNNING);
}


/* Does the connection have to be opened again? */
static ngx_uint_t
ngx_http_checkout_run_reopens(ngx_http_checkout_conn_t *conn)
{
    ngx_uint_t  reopen;

    reopen = conn->stale;
    conn->stale = 0;

    if (!reopen && ngx_http_checkout_conn_is_stale(conn)) {
        ngx_http_checkout_count(sql_reconnects, 1);
        reopen = 1;
    }

    if (reopen || !ngx_http_checkout_conn_is_open(conn)) {
        ngx_http_checkout_conn_close_fd(conn);
    }

    return reopen;
}


ngx_http_checkout_run_t *
ngx_http_checkout_run_start(ngx_http_checkout_conn_t *conn,
    const ngx_http_checkout_work_t *work)
{
    ngx_uint_t                reopen;
    ngx_http_checkout_run_t  *run;

    reopen = work->job != NULL ? ngx_http_checkout_run_reopens(conn) : 0;

    run = ngx_calloc(sizeof(ngx_http_checkout_run_t), ngx_cycle->log);

    if (run == NULL) {
        return NULL;
    }

    run->task.ctx = run;
    run->task.handler = ngx_http_checkout_run_body;
    run->task.event.data = run;
    run->task.event.handler = ngx_http_checkout_run_ended;
    run->task.event.log = ngx_cycle->log;
    run->work = *work;
    run->repeats = work->repeats;
    run->conn = conn;
    run->begun = ngx_http_checkout_now_us();
    run->phase = NGX_HTTP_CHECKOUT_RUN_CONNECTING;
    run->fd = -1;
    run->connects = reopen || !ngx_http_checkout_conn_is_open(conn);
    run->reused = conn->used && !run->connects;
    run->reopen = reopen;

    if (ngx_thread_task_post(ngx_http_checkout_threads, &run->task) != NGX_OK)
    {
        ngx_free(run);
        return NULL;
    }

    ngx_http_checkout_threads_busy++;
    ngx_http_checkout_threads_reading += !conn->writes;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "checkout sql run %p: started on connection %p, %s", run,
                   conn,
                   work->job == NULL ? "closes it"
                   : run->connects   ? "connects"
                                     : "is connected");

    return run;
}


/* The second descriptor goes from the run that has opened the connection. */
static void
ngx_http_checkout_run_move_fd(ngx_http_checkout_run_t *run)
{
    if (run->fd != -1) {
        ngx_http_checkout_count(sql_connects, 1);
        ngx_http_checkout_conn_close_fd(run->conn);
        run->conn->fd = run->fd;
        run->fd = -1;
    }
}


static void
ngx_http_checkout_run_overdue(ngx_event_t *ev)
{
    /* void */
}


/*
 * A worker process that is told to exit stays in its event loop while a timer
 * runs, and only there it can wait for the thread: nginx's end of a thread
 * pool asks again and again, and keeps a core busy. The timer is for as long
 * as the client library may take.
 */
void
ngx_http_checkout_run_abandon(ngx_http_checkout_run_t *run)
{
    uint32_t                 phase;
    const struct db_server  *server;

    phase = __atomic_exchange_n(&run->phase, NGX_HTTP_CHECKOUT_RUN_ABANDONED,
                                __ATOMIC_ACQ_REL);

    if (phase == NGX_HTTP_CHECKOUT_RUN_RUNNING) {
        ngx_http_checkout_run_move_fd(run);
    }

    if (run->conn->fd != -1) {
        (void) shutdown(run->conn->fd, SHUT_RDWR);
    }

    server = run->conn->db.server;

    run->overdue.handler = ngx_http_checkout_run_overdue;
    run->overdue.data = run;
    run->overdue.log = ngx_cycle->log;
    ngx_add_timer(&run->overdue, server->connect_timeout + server->timeout
                                     + NGX_HTTP_CHECKOUT_OVERDUE_MARGIN);

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "checkout sql run %p: abandoned", run);
}


void
ngx_http_checkout_run_free(ngx_http_checkout_run_t *run)
{
    ngx_http_checkout_run_clear_result(&run->result);
    ngx_free(run);
}


/* The thread is done: in the event loop. */
static void
ngx_http_checkout_run_ended(ngx_event_t *ev)
{
    ngx_http_checkout_run_t  *run = ev->data;

    ngx_http_checkout_threads_busy--;
    ngx_http_checkout_threads_reading -= !run->conn->writes;
    ngx_http_checkout_run_move_fd(run);

    if (run->overdue.timer_set) {
        ngx_del_timer(&run->overdue);
    }

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "checkout sql run %p: ended, result %d, error %ud", run,
                   (int) run->rc, run->code);

    run->work.done(run);

    ngx_http_checkout_threads_released();
}
