/*
 * GET ready: can this nginx sell, and is what it sells worked off?
 *
 * Redis is asked by one script, then, where it allows that, for settings that
 * a shop should have ("warnings"); then MySQL by a server of
 * "checkout_read_from", where reads go there. A worker process has one
 * question under way for each location: requests that arrive meanwhile wait
 * for its answer, and for NGX_HTTP_CHECKOUT_READY_KEPT ms the answer serves
 * those that come later. So many checkers cost no more than one.
 *
 * The question is asked in the name of the request that has waited longest,
 * the leader. When the leader goes away, the next one asks again. Only the
 * leader has a time-out; it ends the question, and so the wait of all.
 *
 * The state belongs to the worker process and lives as long as its cycle.
 * What waits is of the requests' pools.
 */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "conf/conf.h"
#include "handlers/handlers.h"
#include "redis/script_call.h"
#include "redis/script.h"
#include "request/context.h"
#include "request/read.h"
#include "request/response.h"
#include "sql/job.h"
#include "checkout_scripts.h"
#include "mysql/db.h"
#include "mysql/sql_job.h"
#include <hiredis/hiredis.h>


#define NGX_HTTP_CHECKOUT_READY_KEPT  1000 /* ms */
/* ms since the last heartbeat of a worker that is alive */
#define NGX_HTTP_CHECKOUT_READY_ALIVE  10000
#define NGX_HTTP_CHECKOUT_READY_TEXT   1024 /* bytes of an answer */
/* ms without a question for settings, after one that was not answered */
#define NGX_HTTP_CHECKOUT_READY_REFUSED  3600000
/* bytes of a name in the reply */
#define NGX_HTTP_CHECKOUT_READY_NAME  32


typedef enum {
    /* not asked: another check says why, or all are busy */
    NGX_HTTP_CHECKOUT_CHECK_UNKNOWN,
    NGX_HTTP_CHECKOUT_CHECK_ABSENT, /* there is no such server */
    NGX_HTTP_CHECKOUT_CHECK_OK,
    NGX_HTTP_CHECKOUT_CHECK_FAILED
} ngx_http_checkout_check_e;

enum {
    NGX_HTTP_CHECKOUT_CHECK_REDIS,
    NGX_HTTP_CHECKOUT_CHECK_EVICTION,
    NGX_HTTP_CHECKOUT_CHECK_PRODUCTS,
    NGX_HTTP_CHECKOUT_CHECK_OLDEST_JOB,
    NGX_HTTP_CHECKOUT_CHECK_WORKERS,
    NGX_HTTP_CHECKOUT_CHECK_REPLICA,
    NGX_HTTP_CHECKOUT_CHECKS
};

/* The question. */
typedef enum {
    NGX_HTTP_CHECKOUT_READY_IDLE,   /* no request waits */
    NGX_HTTP_CHECKOUT_READY_POSTED, /* asked after this event */
    NGX_HTTP_CHECKOUT_READY_REDIS,  /* the leader waits for Redis */
    NGX_HTTP_CHECKOUT_READY_CONFIG, /* the leader waits for its settings */
    NGX_HTTP_CHECKOUT_READY_MYSQL   /* the leader waits for MySQL */
} ngx_http_checkout_ready_state_e;

typedef struct {
    ngx_http_checkout_check_e  result;
    /* JSON members beside "ok", each with its comma in front; ends with NUL */
    u_char                     members[96];
} ngx_http_checkout_check_t;

typedef struct ngx_http_checkout_ready_s  ngx_http_checkout_ready_t;

typedef struct {
    ngx_queue_t                   queue;
    ngx_http_checkout_waiting_t  *waiting;
    ngx_http_checkout_ready_t    *ready;
} ngx_http_checkout_ready_waiter_t;

struct ngx_http_checkout_ready_s {
    ngx_http_checkout_ready_conf_t   *conf;

    ngx_http_checkout_ready_state_e   state;
    ngx_queue_t                       waiters;  /* the leader is the first */
    ngx_event_t                       ask;

    ngx_http_checkout_check_t         checks[NGX_HTTP_CHECKOUT_CHECKS];

    /* when Redis did not tell its settings */
    ngx_msec_t                        refused;
    unsigned                          is_refused:1;
    /* memory is not freed beside the commands */
    unsigned                          lazy_freeing_off:1;

    ngx_msec_t                        seen;  /* when text was made */
    /* of the answer; 0: there was none yet */
    ngx_uint_t                        status;
    size_t                            len;
    u_char                            text[NGX_HTTP_CHECKOUT_READY_TEXT];
};


static ngx_http_checkout_ready_t *ngx_http_checkout_ready_get(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_checkout_ready_wait(ngx_http_request_t *r,
    ngx_http_checkout_ready_t *ready);
static void ngx_http_checkout_ready_gone(void *data);
static void ngx_http_checkout_ready_ask_redis(ngx_event_t *ev);
static ngx_int_t ngx_http_checkout_ready_write_call(
    ngx_http_checkout_script_call_t *call);
static void ngx_http_checkout_ready_redis_answered(
    ngx_http_checkout_script_call_t *call, ngx_http_request_t *r,
    redisReply *reply);
static ngx_http_checkout_script_call_t *ngx_http_checkout_ready_create_call(
    ngx_http_checkout_ready_t *ready, ngx_http_request_t *r,
    ngx_http_checkout_script_write_pt write,
    ngx_http_checkout_script_done_pt done);
static void ngx_http_checkout_ready_ask_config(
    ngx_http_checkout_ready_t *ready, ngx_http_request_t *r);
static ngx_int_t ngx_http_checkout_ready_write_config(
    ngx_http_checkout_script_call_t *call);
static void ngx_http_checkout_ready_config_answered(
    ngx_http_checkout_script_call_t *call, ngx_http_request_t *r,
    redisReply *reply);
static void ngx_http_checkout_ready_ask_mysql(ngx_http_checkout_ready_t *ready,
    ngx_http_request_t *r);
static enum db_result ngx_http_checkout_ready_run(struct db *db,
    const void *input, struct sql_result *result);
static void ngx_http_checkout_ready_mysql_answered(
    ngx_http_checkout_job_t *job, ngx_http_request_t *r,
    ngx_http_checkout_sql_outcome_e outcome, struct sql_result *result);
static void ngx_http_checkout_ready_judge_redis(
    ngx_http_checkout_ready_t *ready, redisReply *reply);
static void ngx_http_checkout_ready_judge_mysql(
    ngx_http_checkout_ready_t *ready, ngx_http_checkout_sql_outcome_e outcome);
static void ngx_http_checkout_ready_finish(ngx_http_checkout_ready_t *ready);
static void ngx_http_checkout_ready_write(ngx_http_checkout_ready_t *ready);
static ngx_int_t ngx_http_checkout_ready_send(ngx_http_checkout_ready_t *ready,
    ngx_http_request_t *r);


static const char
    *const ngx_http_checkout_check_names[NGX_HTTP_CHECKOUT_CHECKS] = {
        "redis", "eviction", "products", "oldest_job", "workers", "replica"
    };


ngx_int_t
ngx_http_checkout_ready_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_http_checkout_ready_t  *ready;

    rc = ngx_http_checkout_read_method(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    ready = ngx_http_checkout_ready_get(r);

    if (ready == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ready->status
        && ngx_current_msec - ready->seen < NGX_HTTP_CHECKOUT_READY_KEPT)
    {
        return ngx_http_checkout_ready_send(ready, r);
    }

    return ngx_http_checkout_ready_wait(r, ready);
}


/* The state of the location's question in this process; NULL: no memory. */
static ngx_http_checkout_ready_t *
ngx_http_checkout_ready_get(ngx_http_request_t *r)
{
    ngx_http_checkout_ready_t       *ready;
    ngx_http_checkout_ready_conf_t  *conf;

    conf = ngx_http_checkout_location(r)->ready;

    if (conf->state != NULL) {
        return conf->state;
    }

    ready = ngx_pcalloc(ngx_cycle->pool, sizeof(ngx_http_checkout_ready_t));

    if (ready == NULL) {
        return NULL;
    }

    ready->conf = conf;
    ngx_queue_init(&ready->waiters);
    ready->ask.handler = ngx_http_checkout_ready_ask_redis;
    ready->ask.data = ready;
    ready->ask.log = ngx_cycle->log;
    conf->state = ready;

    return ready;
}


static void
ngx_http_checkout_ready_enter(ngx_http_checkout_ready_t *ready,
    ngx_http_checkout_ready_state_e state)
{
    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "checkout ready: state %d -> %d", ready->state, state);

    ready->state = state;
}


static void
ngx_http_checkout_ready_post(ngx_http_checkout_ready_t *ready)
{
    ngx_http_checkout_ready_enter(ready, NGX_HTTP_CHECKOUT_READY_POSTED);
    ngx_post_event(&ready->ask, &ngx_posted_events);
}


static ngx_int_t
ngx_http_checkout_ready_wait(ngx_http_request_t *r,
    ngx_http_checkout_ready_t *ready)
{
    ngx_http_checkout_ctx_t           *ctx;
    ngx_http_checkout_ready_waiter_t  *waiter;

    ctx = ngx_http_checkout_ctx_create(r, NGX_HTTP_CHECKOUT_REQUEST_OTHER);
    waiter = ngx_palloc(r->pool, sizeof(ngx_http_checkout_ready_waiter_t));

    if (ctx == NULL || waiter == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    waiter->waiting = &ctx->waiting;
    waiter->ready = ready;
    ngx_http_checkout_waiting_on_gone(&ctx->waiting,
                                      ngx_http_checkout_ready_gone, waiter);
    ngx_queue_insert_tail(&ready->waiters, &waiter->queue);

    if (ready->state == NGX_HTTP_CHECKOUT_READY_IDLE) {
        ngx_http_checkout_ready_post(ready);
    }

    return ngx_http_checkout_waiting_begin(&ctx->waiting, NULL);
}


/* The request goes away unanswered. */
static void
ngx_http_checkout_ready_gone(void *data)
{
    ngx_uint_t                         leads;
    ngx_http_checkout_ready_t         *ready;
    ngx_http_checkout_ready_waiter_t  *waiter = data;

    ready = waiter->ready;
    leads = ngx_queue_head(&ready->waiters) == &waiter->queue;
    ngx_queue_remove(&waiter->queue);

    if (leads) {
        ngx_http_checkout_ready_post(ready);
    }
}


/* Begins in the name of the leader, if somebody waits. */
static void
ngx_http_checkout_ready_ask_redis(ngx_event_t *ev)
{
    ngx_http_request_t                *r;
    ngx_http_checkout_ready_t         *ready;
    ngx_http_checkout_waiting_t       *waiting;
    ngx_http_checkout_script_call_t   *call;
    ngx_http_checkout_loc_conf_t      *clcf;
    ngx_http_checkout_ready_waiter_t  *leader;

    ready = ev->data;

    if (ngx_queue_empty(&ready->waiters)) {
        ngx_http_checkout_ready_enter(ready, NGX_HTTP_CHECKOUT_READY_IDLE);
        return;
    }

    ngx_http_checkout_ready_enter(ready, NGX_HTTP_CHECKOUT_READY_REDIS);
    ngx_memzero(ready->checks, sizeof(ready->checks));
    ready->lazy_freeing_off = 0;

    leader = ngx_queue_data(ngx_queue_head(&ready->waiters),
                            ngx_http_checkout_ready_waiter_t, queue);
    waiting = leader->waiting;
    r = waiting->request;
    clcf = ngx_http_checkout_location(r);
    ngx_http_checkout_waiting_restart(waiting, clcf->clock);
    call = ngx_http_checkout_ready_create_call(
        ready, r, ngx_http_checkout_ready_write_call,
        ngx_http_checkout_ready_redis_answered);

    if (call != NULL
        && ngx_http_checkout_script_call_start(call, waiting,
                                               clcf->redis_clock)
               == NGX_DONE)
    {
        return;
    }

    ngx_http_checkout_ready_judge_redis(ready, NULL);
    ngx_http_checkout_ready_ask_mysql(ready, r);
}


/* NULL: no memory, or too many are on their way. */
static ngx_http_checkout_script_call_t *
ngx_http_checkout_ready_create_call(ngx_http_checkout_ready_t *ready,
    ngx_http_request_t *r, ngx_http_checkout_script_write_pt write,
    ngx_http_checkout_script_done_pt done)
{
    ngx_http_checkout_script_call_t  *call;

    call = ngx_http_checkout_script_call_create(
        ngx_http_checkout_location(r)->redis, r->connection->log);

    if (call != NULL) {
        call->write = write;
        call->done = done;
        call->data = ready;
    }

    return call;
}


static ngx_int_t
ngx_http_checkout_ready_write_call(ngx_http_checkout_script_call_t *call)
{
    ngx_http_checkout_script_begin(&checkout_script_readiness, call->source,
                                   4);
    ngx_http_checkout_script_key("", "order-processing-queue",
                                 sizeof("order-processing-queue") - 1, "");
    ngx_http_checkout_script_key("", "gate", sizeof("gate") - 1, "");
    ngx_http_checkout_script_key("", "workers", sizeof("workers") - 1, "");
    ngx_http_checkout_script_key("", "products:recovering",
                                 sizeof("products:recovering") - 1, "");
    ngx_http_checkout_script_number(NGX_HTTP_CHECKOUT_READY_ALIVE);

    return ngx_http_checkout_script_end(&call->command);
}


/* reply: NULL when Redis gave no answer. */
static void
ngx_http_checkout_ready_redis_answered(ngx_http_checkout_script_call_t *call,
    ngx_http_request_t *r, redisReply *reply)
{
    ngx_http_checkout_ready_judge_redis(call->data, reply);

    if (reply != NULL) {
        ngx_http_checkout_ready_ask_config(call->data, r);

    } else {
        ngx_http_checkout_ready_ask_mysql(call->data, r);
    }
}


/*
 * Services that run Redis for others refuse CONFIG, and so may an ACL: then it
 * is not asked again for a while, and there is no warning.
 */
static void
ngx_http_checkout_ready_ask_config(ngx_http_checkout_ready_t *ready,
    ngx_http_request_t *r)
{
    ngx_http_checkout_ctx_t          *ctx;
    ngx_http_checkout_script_call_t  *call;

    if (ready->is_refused
        && ngx_current_msec - ready->refused < NGX_HTTP_CHECKOUT_READY_REFUSED)
    {
        ngx_http_checkout_ready_ask_mysql(ready, r);
        return;
    }

    ngx_http_checkout_ready_enter(ready, NGX_HTTP_CHECKOUT_READY_CONFIG);
    ctx = ngx_http_get_module_ctx(r, ngx_http_checkout_module);
    call = ngx_http_checkout_ready_create_call(
        ready, r, ngx_http_checkout_ready_write_config,
        ngx_http_checkout_ready_config_answered);

    if (call == NULL
        || ngx_http_checkout_script_call_start(
               call, &ctx->waiting, ngx_http_checkout_location(r)->redis_clock)
               != NGX_DONE)
    {
        ngx_http_checkout_ready_ask_mysql(ready, r);
    }
}


static ngx_int_t
ngx_http_checkout_ready_write_config(ngx_http_checkout_script_call_t *call)
{
    int  len;

    /* no script may run it */
    len = redisFormatCommand(&call->command.text,
                             "CONFIG GET lazyfree-lazy-*");

    if (len < 0) {
        call->command.text = NULL;
        return NGX_ERROR;
    }

    ngx_http_checkout_command_prepare(&call->command, len);

    return NGX_OK;
}


/* 1: one of the settings that let keys go at once is off; else 0. */
static ngx_uint_t
ngx_http_checkout_ready_is_off(redisReply *reply)
{
    size_t       i;
    redisReply  *name, *value;

    for (i = 0; i + 1 < reply->elements; i += 2) {
        name = reply->element[i];
        value = reply->element[i + 1];

        if (name->type == REDIS_REPLY_STRING
            && value->type == REDIS_REPLY_STRING
            && ngx_strcmp(value->str, "no") == 0
            && (ngx_strcmp(name->str, "lazyfree-lazy-expire") == 0
                || ngx_strcmp(name->str, "lazyfree-lazy-server-del") == 0
                || ngx_strcmp(name->str, "lazyfree-lazy-user-del") == 0))
        {
            return 1;
        }
    }

    return 0;
}


/* reply: NULL when Redis refused it. */
static void
ngx_http_checkout_ready_config_answered(ngx_http_checkout_script_call_t *call,
    ngx_http_request_t *r, redisReply *reply)
{
    ngx_http_checkout_ready_t  *ready = call->data;

    ready->is_refused = reply == NULL;
    ready->refused = ngx_current_msec;
    ready->lazy_freeing_off = reply != NULL && reply->type == REDIS_REPLY_ARRAY
                              && ngx_http_checkout_ready_is_off(reply);
    ngx_http_checkout_ready_ask_mysql(ready, r);
}


/* Where reads go to MySQL. */
static void
ngx_http_checkout_ready_ask_mysql(ngx_http_checkout_ready_t *ready,
    ngx_http_request_t *r)
{
    ngx_http_checkout_ctx_t       *ctx;
    ngx_http_checkout_job_t       *job;
    ngx_http_checkout_loc_conf_t  *clcf;

    clcf = ngx_http_checkout_location(r);

    if (clcf->sql.access == NULL || clcf->sql.read_from == NULL) {
        ready->checks[NGX_HTTP_CHECKOUT_CHECK_REPLICA]
            .result = NGX_HTTP_CHECKOUT_CHECK_ABSENT;
        ngx_http_checkout_ready_finish(ready);
        return;
    }

    ngx_http_checkout_ready_enter(ready, NGX_HTTP_CHECKOUT_READY_MYSQL);
    job = ngx_http_checkout_job_create(&clcf->sql);

    if (job != NULL) {
        job->run = ngx_http_checkout_ready_run;
        job->done = ngx_http_checkout_ready_mysql_answered;
        job->data = ready;

        ctx = ngx_http_get_module_ctx(r, ngx_http_checkout_module);
        ngx_http_checkout_job_start(job, &ctx->waiting);
        return;
    }

    ngx_http_checkout_ready_judge_mysql(ready, NGX_HTTP_CHECKOUT_SQL_BUSY);
    ngx_http_checkout_ready_finish(ready);
}


/* In a thread: any answer will do. */
static enum db_result
ngx_http_checkout_ready_run(struct db *db, const void *input,
    struct sql_result *result)
{
    return db_text(db, "DO 1");
}


static void
ngx_http_checkout_ready_mysql_answered(ngx_http_checkout_job_t *job,
    ngx_http_request_t *r, ngx_http_checkout_sql_outcome_e outcome,
    struct sql_result *result)
{
    ngx_http_checkout_ready_judge_mysql(job->data, outcome);
    ngx_http_checkout_ready_finish(job->data);
}


static void
ngx_http_checkout_ready_check(ngx_http_checkout_ready_t *ready,
    ngx_uint_t which, ngx_uint_t ok, const char *format, ...)
{
    u_char                     *end;
    va_list                     args;
    ngx_http_checkout_check_t  *check;

    check = &ready->checks[which];
    check->result = ok ? NGX_HTTP_CHECKOUT_CHECK_OK
                       : NGX_HTTP_CHECKOUT_CHECK_FAILED;

    va_start(args, format);
    end = ngx_vslprintf(check->members,
                        check->members + sizeof(check->members) - 1, format,
                        args);
    va_end(args);

    *end = '\0';
}


/* 1, and a name of the reply that may stand in JSON as it is; else 0. */
static ngx_uint_t
ngx_http_checkout_ready_name(redisReply *reply, ngx_str_t *name)
{
    size_t  i;

    if (reply->type != REDIS_REPLY_STRING
        || reply->len > NGX_HTTP_CHECKOUT_READY_NAME)
    {
        return 0;
    }

    name->data = (u_char *) reply->str;
    name->len = reply->len;

    for (i = 0; i < name->len; i++) {
        if (!((name->data[i] >= 'a' && name->data[i] <= 'z')
              || name->data[i] == '-' || name->data[i] == '_'))
        {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
ngx_http_checkout_ready_name_is(ngx_str_t *name, const char *text)
{
    return name->len == ngx_strlen(text)
           && ngx_strncmp(name->data, text, name->len) == 0;
}


/*
 * readiness.lua: { eviction policy, why Redis refuses to write or "", products
 * loaded, the gate's state, age of the oldest job in ms, workers that are
 * alive, 1 where one is paused }. NGX_ERROR: the reply is another one.
 */
static ngx_int_t
ngx_http_checkout_ready_judge_reply(ngx_http_checkout_ready_t *ready,
    redisReply *reply)
{
    ngx_str_t     policy, fault, state;
    ngx_uint_t    i;
    redisReply  **e;

    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY
        || reply->elements != 7)
    {
        return NGX_ERROR;
    }

    e = reply->element;

    if (!ngx_http_checkout_ready_name(e[0], &policy)
        || !ngx_http_checkout_ready_name(e[1], &fault)
        || !ngx_http_checkout_ready_name(e[3], &state))
    {
        return NGX_ERROR;
    }

    for (i = 2; i < 7; i++) {
        if (i != 3 && e[i]->type != REDIS_REPLY_INTEGER) {
            return NGX_ERROR;
        }
    }

    if (fault.len) {
        ngx_http_checkout_ready_check(ready, NGX_HTTP_CHECKOUT_CHECK_REDIS, 0,
                                      ",\"error\":\"%V\"", &fault);

    } else {
        ngx_http_checkout_ready_check(ready, NGX_HTTP_CHECKOUT_CHECK_REDIS, 1,
                                      "");
    }

    ngx_http_checkout_ready_check(
        ready, NGX_HTTP_CHECKOUT_CHECK_EVICTION,
        ngx_http_checkout_ready_name_is(&policy, "noeviction")
            || ngx_http_checkout_ready_name_is(&policy, "unknown"),
        ",\"policy\":\"%V\"", &policy);
    ngx_http_checkout_ready_check(
        ready, NGX_HTTP_CHECKOUT_CHECK_PRODUCTS,
        e[2]->integer > 0
            && !ngx_http_checkout_ready_name_is(&state, "rebuilding"),
        ",\"loaded\":%L,\"state\":\"%V\"", (int64_t) e[2]->integer, &state);
    ngx_http_checkout_ready_check(
        ready, NGX_HTTP_CHECKOUT_CHECK_OLDEST_JOB,
        (uint64_t) e[4]->integer <= ready->conf->oldest_job, ",\"age_ms\":%L",
        (int64_t) e[4]->integer);
    ngx_http_checkout_ready_check(
        ready, NGX_HTTP_CHECKOUT_CHECK_WORKERS, e[5]->integer > 0,
        ",\"alive\":%L,\"paused\":%s", (int64_t) e[5]->integer,
        e[6]->integer ? "true" : "false");

    return NGX_OK;
}


/* reply: NULL when Redis gave no answer. */
static void
ngx_http_checkout_ready_judge_redis(ngx_http_checkout_ready_t *ready,
    redisReply *reply)
{
    if (ngx_http_checkout_ready_judge_reply(ready, reply) != NGX_OK) {
        ngx_http_checkout_ready_check(ready, NGX_HTTP_CHECKOUT_CHECK_REDIS, 0,
                                      ",\"error\":\"no_answer\"");
    }
}


static void
ngx_http_checkout_ready_judge_mysql(ngx_http_checkout_ready_t *ready,
    ngx_http_checkout_sql_outcome_e outcome)
{
    const char  *error;

    switch (outcome) {

    case NGX_HTTP_CHECKOUT_SQL_DONE:
        ngx_http_checkout_ready_check(ready, NGX_HTTP_CHECKOUT_CHECK_REPLICA,
                                      1, "");
        return;

    case NGX_HTTP_CHECKOUT_SQL_BUSY:
        /* other reads have all connections: that is no fault of a server */
        ready->checks[NGX_HTTP_CHECKOUT_CHECK_REPLICA]
            .result = NGX_HTTP_CHECKOUT_CHECK_UNKNOWN;
        return;

    case NGX_HTTP_CHECKOUT_SQL_LATE:
        error = "timeout";
        break;

    default:
        error = "no_answer";
    }

    ngx_http_checkout_ready_check(ready, NGX_HTTP_CHECKOUT_CHECK_REPLICA, 0,
                                  ",\"error\":\"%s\"", error);
}


/* Every check has its result: all requests that wait are answered. */
static void
ngx_http_checkout_ready_finish(ngx_http_checkout_ready_t *ready)
{
    ngx_queue_t                       *q, waiters;
    ngx_http_checkout_waiting_t       *waiting;
    ngx_http_checkout_ready_waiter_t  *waiter;

    ngx_http_checkout_ready_write(ready);
    ngx_http_checkout_ready_enter(ready, NGX_HTTP_CHECKOUT_READY_IDLE);

    /* an answer may bring a new request on its connection */
    ngx_queue_init(&waiters);
    ngx_queue_add(&waiters, &ready->waiters);
    ngx_queue_init(&ready->waiters);

    while (!ngx_queue_empty(&waiters)) {
        q = ngx_queue_head(&waiters);
        ngx_queue_remove(q);
        waiter = ngx_queue_data(q, ngx_http_checkout_ready_waiter_t, queue);
        waiting = waiter->waiting;

        /* it is on no list now, whatever becomes of it while it is answered */
        ngx_http_checkout_waiting_on_gone(waiting, NULL, NULL);
        ngx_http_checkout_waiting_finish(
            waiting, ngx_http_checkout_ready_send(ready, waiting->request));
    }
}


static u_char *
ngx_http_checkout_ready_write_check(ngx_http_checkout_ready_t *ready,
    ngx_uint_t i, u_char *p, u_char *end)
{
    ngx_http_checkout_check_t  *check;

    check = &ready->checks[i];

    switch (check->result) {

    case NGX_HTTP_CHECKOUT_CHECK_OK:
        return ngx_slprintf(p, end, "%s\"%s\":{\"ok\":true%s}", i ? "," : "",
                            ngx_http_checkout_check_names[i], check->members);

    case NGX_HTTP_CHECKOUT_CHECK_FAILED:
        return ngx_slprintf(p, end, "%s\"%s\":{\"ok\":false%s}", i ? "," : "",
                            ngx_http_checkout_check_names[i], check->members);

    case NGX_HTTP_CHECKOUT_CHECK_ABSENT:
        return p;

    default: /* NGX_HTTP_CHECKOUT_CHECK_UNKNOWN */
        return ngx_slprintf(p, end, "%s\"%s\":{\"ok\":null}", i ? "," : "",
                            ngx_http_checkout_check_names[i]);
    }
}


static void
ngx_http_checkout_ready_write(ngx_http_checkout_ready_t *ready)
{
    u_char      *p, *end;
    ngx_uint_t   i, failed;

    p = ready->text;
    end = p + sizeof(ready->text);

    for (i = 0, failed = 0; i < NGX_HTTP_CHECKOUT_CHECKS; i++) {
        failed += ready->checks[i].result == NGX_HTTP_CHECKOUT_CHECK_FAILED;
    }

    p = ngx_slprintf(p, end, "{\"status\":\"%s\",\"failed\":[",
                     failed ? "not_ready" : "ready");

    for (i = 0; i < NGX_HTTP_CHECKOUT_CHECKS; i++) {
        if (ready->checks[i].result == NGX_HTTP_CHECKOUT_CHECK_FAILED) {
            p = ngx_slprintf(p, end, "%s\"%s\"", p[-1] == '[' ? "" : ",",
                             ngx_http_checkout_check_names[i]);
        }
    }

    p = ngx_slprintf(p, end, "],\"warnings\":[%s],\"checks\":{",
                     ready->lazy_freeing_off ? "\"lazy_freeing\"" : "");

    for (i = 0; i < NGX_HTTP_CHECKOUT_CHECKS; i++) {
        p = ngx_http_checkout_ready_write_check(ready, i, p, end);
    }

    p = ngx_slprintf(p, end, "}}");

    ready->len = p - ready->text;
    ready->status = failed ? NGX_HTTP_SERVICE_UNAVAILABLE : NGX_HTTP_OK;
    ready->seen = ngx_current_msec;
}


static ngx_int_t
ngx_http_checkout_ready_send(ngx_http_checkout_ready_t *ready,
    ngx_http_request_t *r)
{
    ngx_buf_t  *b;

    b = ngx_create_temp_buf(r->pool, ready->len);

    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_cpymem(b->pos, ready->text, ready->len);

    return ngx_http_checkout_send(r, ready->status, b);
}
