/*
 * One run of a job on one connection, in a thread of nginx's pool: connect where needed, run, report to the event loop.
 *
 * The event loop makes a try and frees it; in between the thread alone uses try and connection, but for `phase`, which
 * both change, `fd`, which the thread publishes with it, and the moment of the last statement (db_begun()). The job's
 * input outlives the try, which counts as one of the job's references.
 *
 * A time-out is nginx's: the client library knows whole seconds, and counts them for each read. When a try is given up,
 * its thread is woken by shutting down the socket, through a second descriptor of it: that one belongs to the event
 * loop, so that no number is hit that the thread has closed and nginx uses for something else. While it connects there
 * is no descriptor yet, and the thread ends with the library's own time-out, or finds when it is connected that the try
 * was given up: whoever changes `phase` first decides whether the job begins, so that none runs after its answer.
 *
 * No more tries run at once than there are threads, whatever the pools would allow, and some of these are out of the
 * readers' reach: servers that a name stands for may be more than were known when the threads were counted.
 */
#include "sql/private.h"

#include <dirent.h>
#include <pthread.h>


#define NGX_HTTP_CHECKOUT_END_WAIT     1000    /* ms, for threads that end */
#define NGX_HTTP_CHECKOUT_HANG_MARGIN  2000    /* ms, by which the client library rounds its time-outs up */


static ngx_thread_pool_t  *ngx_http_checkout_threads;
static ngx_uint_t          ngx_http_checkout_threads_max;
static ngx_uint_t          ngx_http_checkout_threads_kept;      /* for who writes */
static ngx_uint_t          ngx_http_checkout_threads_busy;
static ngx_uint_t          ngx_http_checkout_threads_reading;   /* of the busy ones */
static pthread_key_t       ngx_http_checkout_thread_key;


static void ngx_http_checkout_try_done(ngx_event_t *ev);


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


/* A worker process starts. */
ngx_int_t
ngx_http_checkout_threads_init(ngx_cycle_t *cycle,
    ngx_http_checkout_threads_settings_t *settings)
{
    ngx_uint_t  n;

    ngx_http_checkout_threads = ngx_thread_pool_get(cycle, &settings->pool);
    ngx_http_checkout_threads_max = settings->max;
    ngx_http_checkout_threads_kept = settings->kept;
    ngx_http_checkout_threads_busy = 0;
    ngx_http_checkout_threads_reading = 0;

    if (ngx_http_checkout_threads == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0, "checkout: there is no thread pool \"%V\"", &settings->pool);
        return NGX_ERROR;
    }

    /* one is the event loop itself */
    n = ngx_http_checkout_threads_count();

    if (n != 0 && n < settings->max + 1) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, 0,
                      "checkout: the process has %ui threads, \"checkout_thread_pool %V threads=%ui\" needs more: "
                      "jobs will wait for each other", n - 1, &settings->pool, settings->max);
    }

    if (mysql_library_init(0, NULL, NULL) != 0 || pthread_key_create(&ngx_http_checkout_thread_key,
                                                                    ngx_http_checkout_thread_end) != 0)
    {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0, "checkout: the MySQL client library cannot be used");
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * A worker process ends. nginx has told its threads to, but does not wait until they are gone; what they still do then,
 * the libraries' clean-up for each thread, must not meet the clean-up for all, here or when nginx unloads the module.
 * 0: some are still there, and what they use stays for the system to take back.
 */
ngx_uint_t
ngx_http_checkout_threads_wait(void)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_CHECKOUT_END_WAIT && ngx_http_checkout_threads_count() > 1; i++) {
        ngx_msleep(1);
    }

    return i < NGX_HTTP_CHECKOUT_END_WAIT;
}


/* May a try start now? */
ngx_uint_t
ngx_http_checkout_threads_free(ngx_http_checkout_access_t *access)
{
    if (ngx_http_checkout_threads_busy >= ngx_http_checkout_threads_max) {
        return 0;
    }

    return access->writes || ngx_http_checkout_threads_reading < ngx_http_checkout_threads_max
                                                                 - ngx_http_checkout_threads_kept;
}


/* In a thread that speaks to MySQL: the client library wants to be told of its beginning and of its end. */
static void
ngx_http_checkout_thread_enter(void)
{
    if (pthread_getspecific(ngx_http_checkout_thread_key) == NULL) {
        (void) mysql_thread_init();
        (void) pthread_setspecific(ngx_http_checkout_thread_key, &ngx_http_checkout_thread_key);
    }
}


static void
ngx_http_checkout_try_note_error(ngx_http_checkout_try_t *try, struct db *db)
{
    try->code = db->code;
    ngx_memcpy(try->error, db->error, sizeof(try->error));
}


static void
ngx_http_checkout_try_forget_result(struct sql_result *result)
{
    buffer_free(&result->body);
    ngx_memzero(result, sizeof(struct sql_result));
}


ngx_http_checkout_try_phase_e
ngx_http_checkout_try_phase(ngx_http_checkout_try_t *try)
{
    return __atomic_load_n(&try->phase, __ATOMIC_ACQUIRE);
}


/* µs: when the statement that is under way was sent, or else the try's own last step. */
uint64_t
ngx_http_checkout_try_since(ngx_http_checkout_try_t *try)
{
    uint64_t  since;

    since = ngx_http_checkout_try_phase(try) == NGX_HTTP_CHECKOUT_TRY_RUN ? try->connected : try->begun;

    /* one of the job before it, on the same connection, is older */
    return ngx_max(since, db_begun(&try->conn->db));
}


/* In the thread: the job begins, unless the try was given up before. */
static ngx_uint_t
ngx_http_checkout_try_begin(ngx_http_checkout_try_t *try, struct db *db)
{
    uint32_t  phase = NGX_HTTP_CHECKOUT_TRY_CONNECT;

    try->connected = ngx_http_checkout_now_us();

    if (__atomic_compare_exchange_n(&try->phase, &phase, NGX_HTTP_CHECKOUT_TRY_RUN, 0, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
    {
        return 1;
    }

    if (try->fd != -1) {
        (void) close(try->fd);
        try->fd = -1;
    }

    db_close(db);

    return 0;
}


/* In the thread. The job may begin: 1. */
static ngx_uint_t
ngx_http_checkout_try_connect(ngx_http_checkout_try_t *try, struct db *db)
{
    if (try->reopen) {
        db_close(db);
    }

    if (ngx_http_checkout_try_phase(try) == NGX_HTTP_CHECKOUT_TRY_GIVEN_UP) {
        db_close(db);
        return 0;
    }

    if (db->mysql == NULL) {
        try->rc = db_open(db);

        if (try->rc != DB_OK) {
            ngx_http_checkout_try_note_error(try, db);
            return 0;
        }

        try->fd = fcntl((int) db->mysql->net.fd, F_DUPFD_CLOEXEC, 0);
    }

    return ngx_http_checkout_try_begin(try, db);
}


/* In the thread. What is left open would meet the next job on this connection. */
static void
ngx_http_checkout_try_leave_clean(ngx_http_checkout_try_t *try, struct db *db)
{
    if (db->mysql == NULL) {
        return;
    }

    if (try->rc != DB_OK) {
        db_rollback(db);
        return;
    }

    if ((db->mysql->server_status & SERVER_STATUS_IN_TRANS) || mysql_more_results(db->mysql)) {
        try->rc = DB_RETRY;
        try->code = 0;
        (void) ngx_cpystrn((u_char *) try->error, (u_char *) "the job ended in the middle of a transaction",
                           sizeof(try->error));
        ngx_http_checkout_try_forget_result(&try->result);
        db_close(db);
    }
}


/* The body of a try, in a thread. */
static void
ngx_http_checkout_try_body(void *data, ngx_log_t *log)
{
    ngx_http_checkout_try_t *try = data;

    struct db                 *db;
    ngx_http_checkout_task_t  *task;

    ngx_http_checkout_thread_enter();

    db = &try->conn->db;
    task = try->task;

    if (task == NULL) {
        db_close(db);
        return;
    }

    if (!ngx_http_checkout_try_connect(try, db)) {
        return;
    }

    do {
        try->rc = task->job.run(db, task->job.input, &try->result);

        if (try->rc != DB_OK) {
            ngx_http_checkout_try_note_error(try, db);
            ngx_http_checkout_try_forget_result(&try->result);
        }

        ngx_http_checkout_try_leave_clean(try, db);

    } while (try->rc == DB_AGAIN && try->runs++ < NGX_HTTP_CHECKOUT_JOB_AGAIN && db->mysql != NULL
             && ngx_http_checkout_try_phase(try) == NGX_HTTP_CHECKOUT_TRY_RUN);
}


/* Has the server closed a connection that should be silent? */
static ngx_uint_t
ngx_http_checkout_try_is_stale(ngx_http_checkout_conn_t *conn)
{
    char     byte;
    ssize_t  n;

    if (conn->db.mysql == NULL || conn->fd == -1) {
        return 0;
    }

    n = recv(conn->fd, &byte, 1, MSG_PEEK|MSG_DONTWAIT);

    return n >= 0 || (ngx_socket_errno != NGX_EAGAIN && ngx_socket_errno != NGX_EINTR);
}


static ngx_http_checkout_try_t *
ngx_http_checkout_try_post(ngx_http_checkout_task_t *task, ngx_http_checkout_conn_t *conn, ngx_uint_t reopen)
{
    ngx_http_checkout_try_t  *try;

    try = ngx_calloc(sizeof(ngx_http_checkout_try_t), ngx_cycle->log);

    if (try == NULL) {
        return NULL;
    }

    try->thread.ctx = try;
    try->thread.handler = ngx_http_checkout_try_body;
    try->thread.event.data = try;
    try->thread.event.handler = ngx_http_checkout_try_done;
    try->thread.event.log = ngx_cycle->log;
    try->task = task;
    try->conn = conn;
    try->begun = ngx_http_checkout_now_us();
    try->phase = NGX_HTTP_CHECKOUT_TRY_CONNECT;
    try->fd = -1;
    try->connects = reopen || conn->db.mysql == NULL;
    try->reused = conn->used && !try->connects;
    try->reopen = reopen;
    try->runs = task != NULL ? task->runs : 0;

    if (ngx_thread_task_post(ngx_http_checkout_threads, &try->thread) != NGX_OK) {
        ngx_free(try);
        return NULL;
    }

    ngx_http_checkout_threads_busy++;
    ngx_http_checkout_threads_reading += !conn->pool->access->writes;

    return try;
}


/* NULL: no memory, or the thread pool takes no more. */
ngx_http_checkout_try_t *
ngx_http_checkout_try_start(ngx_http_checkout_task_t *task, ngx_http_checkout_conn_t *conn)
{
    ngx_uint_t                reopen;
    ngx_http_checkout_try_t  *try;

    reopen = conn->stale;
    conn->stale = 0;

    if (!reopen && ngx_http_checkout_try_is_stale(conn)) {
        ngx_http_checkout_count(sql_reconnects, 1);
        reopen = 1;
    }

    if (reopen || conn->db.mysql == NULL) {
        ngx_http_checkout_conn_forget_socket(conn);
    }

    try = ngx_http_checkout_try_post(task, conn, reopen);

    if (try != NULL) {
        task->refs++;
    }

    return try;
}


/* A new connection's second descriptor goes from the try, whose thread has published it, to the connection. */
static void
ngx_http_checkout_try_take_socket(ngx_http_checkout_try_t *try)
{
    if (try->fd != -1) {
        ngx_http_checkout_count(sql_connects, 1);
        ngx_http_checkout_conn_forget_socket(try->conn);
        try->conn->fd = try->fd;
        try->fd = -1;
    }
}


static void
ngx_http_checkout_try_hangs_on(ngx_event_t *ev)
{
    /* void */
}


/*
 * The task goes on without it. A worker process that is told to exit stays in its event loop while a timer runs, and
 * only there it can wait for the thread: nginx's end of a thread pool asks again and again, and keeps a core busy. The
 * timer is for as long as the client library may take.
 */
void
ngx_http_checkout_try_abandon(ngx_http_checkout_try_t *try)
{
    uint32_t  phase;

    phase = __atomic_exchange_n(&try->phase, NGX_HTTP_CHECKOUT_TRY_GIVEN_UP, __ATOMIC_ACQ_REL);

    if (phase == NGX_HTTP_CHECKOUT_TRY_RUN) {
        ngx_http_checkout_try_take_socket(try);
    }

    if (try->conn->fd != -1) {
        (void) shutdown(try->conn->fd, SHUT_RDWR);
    }

    try->hanging.handler = ngx_http_checkout_try_hangs_on;
    try->hanging.data = try;
    try->hanging.log = ngx_cycle->log;
    ngx_add_timer(&try->hanging, try->conn->pool->server.connect_timeout + try->conn->pool->server.timeout
                                 + NGX_HTTP_CHECKOUT_HANG_MARGIN);
}


/* Closes a connection in a thread; its place stays taken until that is done. */
void
ngx_http_checkout_try_close(ngx_http_checkout_conn_t *conn)
{
    if (ngx_http_checkout_try_post(NULL, conn, 0) == NULL) {
        ngx_http_checkout_conn_free(conn);
    }
}


void
ngx_http_checkout_try_free(ngx_http_checkout_try_t *try)
{
    ngx_http_checkout_try_forget_result(&try->result);
    ngx_free(try);
}


/* The thread is done: in the event loop. */
static void
ngx_http_checkout_try_done(ngx_event_t *ev)
{
    ngx_http_checkout_try_t *try = ev->data;

    ngx_http_checkout_task_t  *task;

    ngx_http_checkout_threads_busy--;
    ngx_http_checkout_threads_reading -= !try->conn->pool->access->writes;
    ngx_http_checkout_try_take_socket(try);

    if (try->hanging.timer_set) {
        ngx_del_timer(&try->hanging);
    }

    task = try->task;

    if (task == NULL) {
        ngx_http_checkout_conn_free(try->conn);
        ngx_http_checkout_try_free(try);

    } else if (ngx_http_checkout_try_phase(try) == NGX_HTTP_CHECKOUT_TRY_GIVEN_UP) {
        ngx_http_checkout_pool_drop(try->conn);
        ngx_http_checkout_try_free(try);
        ngx_http_checkout_task_release(task);

    } else {
        ngx_http_checkout_task_tried(task, try);
        ngx_http_checkout_task_release(task);
    }

    ngx_http_checkout_pool_dispatch();
}
