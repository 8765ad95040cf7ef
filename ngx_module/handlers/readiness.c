/*
 * Health, which asks nobody; and readiness: can this nginx sell, and is what it sells worked off?
 *
 * Readiness is asked of Redis by one script, then of MySQL, where reads go there, by a server of "checkout_read_from".
 * One question at a time is under way in a worker process for each location:
 * requests that arrive meanwhile wait for its answer, and for NGX_HTTP_CHECKOUT_READY_KEPT ms the answer serves those
 * that come later, so that many checkers cost no more than one.
 *
 * The question is asked in the name of the request that has waited longest, the leader. If that goes away, the next
 * one asks again. Only the leader has a time; it ends the question, and so the wait of all. The state below is of the worker process and lives as long as the cycle; what waits is of the
 * requests' pools.
 */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "conf/conf.h"
#include "handlers/handlers.h"
#include "redis/lookup.h"
#include "redis/script.h"
#include "request/read.h"
#include "request/response.h"
#include "request/context.h"
#include "sql/job.h"
#include "checkout_scripts.h"
#include "mysql/db.h"
#include "mysql/sql_job.h"
#include <hiredis/hiredis.h>


#define NGX_HTTP_CHECKOUT_READY_KEPT   1000     /* ms */
#define NGX_HTTP_CHECKOUT_READY_ALIVE  10000    /* ms since the last heartbeat of a worker that is alive */
#define NGX_HTTP_CHECKOUT_READY_TEXT   1024     /* bytes of an answer */
#define NGX_HTTP_CHECKOUT_READY_WORD   32       /* bytes of a word of Redis's */


typedef enum {
    NGX_HTTP_CHECKOUT_CHECK_UNKNOWN,     /* nobody could be asked: another check says why, or all are busy */
    NGX_HTTP_CHECKOUT_CHECK_ABSENT,      /* there is nobody to be asked */
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

/* What is told beside "ok": in this form, as the members of the object that follow. */
typedef struct {
    ngx_http_checkout_check_e      result;
    u_char                         members[96];    /* each with its comma in front; NUL at the end */
} ngx_http_checkout_check_t;

typedef struct {
    ngx_queue_t                    queue;
    ngx_http_request_t            *request;
    ngx_http_checkout_ready_t     *ready;
} ngx_http_checkout_ready_waiter_t;

struct ngx_http_checkout_ready_s {
    uint64_t                       oldest_job;     /* ms that a job may wait */

    ngx_queue_t                    waiters;        /* the leader is the first, while a question is under way */
    ngx_event_t                    start;          /* posted */
    ngx_uint_t                     asking;         /* a question is under way, or its start is posted */

    ngx_http_checkout_check_t      checks[NGX_HTTP_CHECKOUT_CHECKS];

    ngx_msec_t                     seen;           /* when the text was made */
    ngx_uint_t                     status;         /* of the answer; 0: there was none yet */
    size_t                         len;
    u_char                         text[NGX_HTTP_CHECKOUT_READY_TEXT];
};


static void ngx_http_checkout_ready_start(ngx_event_t *ev);


static const char  *ngx_http_checkout_check_names[NGX_HTTP_CHECKOUT_CHECKS] = {
    "redis", "eviction", "products", "oldest_job", "workers", "replica"
};


/* checkout_ready [oldest_job=time]; */
char *
ngx_http_checkout_set_ready(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_checkout_loc_conf_t  *clcf = conf;

    ngx_str_t                  *value, text;
    ngx_msec_t                  time;
    ngx_http_checkout_ready_t  *ready;

    ready = ngx_pcalloc(cf->pool, sizeof(ngx_http_checkout_ready_t));

    if (ready == NULL) {
        return NGX_CONF_ERROR;
    }

    ready->oldest_job = 60000;
    value = cf->args->elts;

    if (cf->args->nelts == 2) {
        text.data = value[1].data + sizeof("oldest_job=") - 1;
        text.len = value[1].len - (sizeof("oldest_job=") - 1);

        if (ngx_strncmp(value[1].data, "oldest_job=", sizeof("oldest_job=") - 1) != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"", &value[1]);
            return NGX_CONF_ERROR;
        }

        time = ngx_parse_time(&text, 0);

        if (time == (ngx_msec_t) NGX_ERROR || time == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid time in \"%V\"", &value[1]);
            return NGX_CONF_ERROR;
        }

        ready->oldest_job = time;
    }

    ngx_queue_init(&ready->waiters);
    ready->start.handler = ngx_http_checkout_ready_start;
    ready->start.data = ready;
    clcf->ready = ready;
    clcf->request.sticky = 0;    /* whoever asks, the question is for the replicas */

    return ngx_http_checkout_set_handler(cf, cmd, conf);
}


static void
ngx_http_checkout_ready_check(ngx_http_checkout_ready_t *ready, ngx_uint_t which, ngx_uint_t ok,
    const char *format, ...)
{
    u_char                     *end;
    va_list                     args;
    ngx_http_checkout_check_t  *check;

    check = &ready->checks[which];
    check->result = ok ? NGX_HTTP_CHECKOUT_CHECK_OK : NGX_HTTP_CHECKOUT_CHECK_FAILED;

    va_start(args, format);
    end = ngx_vslprintf(check->members, check->members + sizeof(check->members) - 1, format, args);
    va_end(args);

    *end = '\0';
}


static u_char *
ngx_http_checkout_ready_write_check(ngx_http_checkout_ready_t *ready, ngx_uint_t i, u_char *p, u_char *end)
{
    ngx_http_checkout_check_t  *check;

    check = &ready->checks[i];

    switch (check->result) {

    case NGX_HTTP_CHECKOUT_CHECK_OK:
        return ngx_slprintf(p, end, "%s\"%s\":{\"ok\":true%s}", i ? "," : "", ngx_http_checkout_check_names[i],
                            check->members);

    case NGX_HTTP_CHECKOUT_CHECK_FAILED:
        return ngx_slprintf(p, end, "%s\"%s\":{\"ok\":false%s}", i ? "," : "", ngx_http_checkout_check_names[i],
                            check->members);

    case NGX_HTTP_CHECKOUT_CHECK_ABSENT:
        return p;

    default: /* NGX_HTTP_CHECKOUT_CHECK_UNKNOWN */
        return ngx_slprintf(p, end, "%s\"%s\":{\"ok\":null}", i ? "," : "", ngx_http_checkout_check_names[i]);
    }
}


/* The answer, of the checks. */
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

    p = ngx_slprintf(p, end, "{\"status\":\"%s\",\"failed\":[", failed ? "not_ready" : "ready");

    for (i = 0; i < NGX_HTTP_CHECKOUT_CHECKS; i++) {
        if (ready->checks[i].result == NGX_HTTP_CHECKOUT_CHECK_FAILED) {
            p = ngx_slprintf(p, end, "%s\"%s\"", p[-1] == '[' ? "" : ",", ngx_http_checkout_check_names[i]);
        }
    }

    p = ngx_slprintf(p, end, "],\"checks\":{");

    for (i = 0; i < NGX_HTTP_CHECKOUT_CHECKS; i++) {
        p = ngx_http_checkout_ready_write_check(ready, i, p, end);
    }

    p = ngx_slprintf(p, end, "}}");

    ready->len = p - ready->text;
    ready->status = failed ? NGX_HTTP_SERVICE_UNAVAILABLE : NGX_HTTP_OK;
    ready->seen = ngx_current_msec;
}


static ngx_int_t
ngx_http_checkout_ready_send(ngx_http_checkout_ready_t *ready, ngx_http_request_t *r)
{
    ngx_buf_t  *b;

    b = ngx_create_temp_buf(r->pool, ready->len);

    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_cpymem(b->pos, ready->text, ready->len);

    return ngx_http_checkout_send(r, ready->status, b);
}


/* Every check has its result: all who wait are answered. */
static void
ngx_http_checkout_ready_finish(ngx_http_checkout_ready_t *ready)
{
    ngx_queue_t                       *q, waiters;
    ngx_http_request_t                *r;
    ngx_http_checkout_ready_waiter_t  *waiter;

    ngx_http_checkout_ready_write(ready);
    ready->asking = 0;

    /* An answer may bring a new request on its connection. */
    ngx_queue_init(&waiters);
    ngx_queue_add(&waiters, &ready->waiters);
    ngx_queue_init(&ready->waiters);

    while (!ngx_queue_empty(&waiters)) {
        q = ngx_queue_head(&waiters);
        ngx_queue_remove(q);
        waiter = ngx_queue_data(q, ngx_http_checkout_ready_waiter_t, queue);
        r = waiter->request;
        ngx_http_checkout_finish(r, ngx_http_checkout_ready_send(ready, r));
    }
}


/* A word of Redis's, fit to stand in JSON. */
static ngx_uint_t
ngx_http_checkout_ready_word(redisReply *reply, ngx_str_t *word)
{
    size_t  i;

    if (reply->type != REDIS_REPLY_STRING || reply->len > NGX_HTTP_CHECKOUT_READY_WORD) {
        return 0;
    }

    word->data = (u_char *) reply->str;
    word->len = reply->len;

    for (i = 0; i < word->len; i++) {
        if (!((word->data[i] >= 'a' && word->data[i] <= 'z') || word->data[i] == '-' || word->data[i] == '_')) {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
ngx_http_checkout_ready_is(ngx_str_t *word, const char *text)
{
    return word->len == ngx_strlen(text) && ngx_strncmp(word->data, text, word->len) == 0;
}


/* What readiness.lua says; NGX_ERROR when it is nothing of the kind. */
static ngx_int_t
ngx_http_checkout_ready_judge(ngx_http_checkout_ready_t *ready, redisReply *reply)
{
    ngx_str_t     policy, fault, state;
    ngx_uint_t    i;
    redisReply  **e;

    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements != 7) {
        return NGX_ERROR;
    }

    e = reply->element;

    if (!ngx_http_checkout_ready_word(e[0], &policy) || !ngx_http_checkout_ready_word(e[1], &fault)
        || !ngx_http_checkout_ready_word(e[3], &state))
    {
        return NGX_ERROR;
    }

    for (i = 2; i < 7; i++) {
        if (i != 3 && e[i]->type != REDIS_REPLY_INTEGER) {
            return NGX_ERROR;
        }
    }

    if (fault.len) {
        ngx_http_checkout_ready_check(ready, NGX_HTTP_CHECKOUT_CHECK_REDIS, 0, ",\"error\":\"%V\"", &fault);

    } else {
        ngx_http_checkout_ready_check(ready, NGX_HTTP_CHECKOUT_CHECK_REDIS, 1, "");
    }

    ngx_http_checkout_ready_check(ready, NGX_HTTP_CHECKOUT_CHECK_EVICTION,
                                  ngx_http_checkout_ready_is(&policy, "noeviction")
                                  || ngx_http_checkout_ready_is(&policy, "unknown"),
                                  ",\"policy\":\"%V\"", &policy);
    ngx_http_checkout_ready_check(ready, NGX_HTTP_CHECKOUT_CHECK_PRODUCTS,
                                  e[2]->integer > 0 && ngx_http_checkout_ready_is(&state, "open"),
                                  ",\"loaded\":%L,\"state\":\"%V\"", (int64_t) e[2]->integer, &state);
    ngx_http_checkout_ready_check(ready, NGX_HTTP_CHECKOUT_CHECK_OLDEST_JOB,
                                  (uint64_t) e[4]->integer <= ready->oldest_job,
                                  ",\"age_ms\":%L", (int64_t) e[4]->integer);
    ngx_http_checkout_ready_check(ready, NGX_HTTP_CHECKOUT_CHECK_WORKERS, e[5]->integer > 0,
                                  ",\"alive\":%L,\"paused\":%s", (int64_t) e[5]->integer,
                                  e[6]->integer ? "true" : "false");

    return NGX_OK;
}


static ngx_int_t
ngx_http_checkout_ready_write_call(ngx_http_checkout_lookup_t *lookup)
{
    ngx_http_checkout_script_begin(&checkout_script_readiness, lookup->source, 3);
    ngx_http_checkout_script_key("", "order-processing-queue", sizeof("order-processing-queue") - 1, "");
    ngx_http_checkout_script_key("", "gate", sizeof("gate") - 1, "");
    ngx_http_checkout_script_key("", "workers", sizeof("workers") - 1, "");
    ngx_http_checkout_script_number(NGX_HTTP_CHECKOUT_READY_ALIVE);

    return ngx_http_checkout_script_end(&lookup->call);
}


/* In a thread: any answer will do. */
static enum db_result
ngx_http_checkout_ready_run(struct db *db, const void *input, struct sql_result *result)
{
    return db_text(db, "DO 1");
}


static void
ngx_http_checkout_ready_replica(ngx_http_checkout_ready_t *ready, ngx_http_checkout_sql_outcome_e outcome)
{
    const char  *error;

    switch (outcome) {

    case NGX_HTTP_CHECKOUT_SQL_DONE:
        ngx_http_checkout_ready_check(ready, NGX_HTTP_CHECKOUT_CHECK_REPLICA, 1, "");
        return;

    case NGX_HTTP_CHECKOUT_SQL_BUSY:
        /* Others read so much that no connection came free: it says nothing against the servers. */
        ready->checks[NGX_HTTP_CHECKOUT_CHECK_REPLICA].result = NGX_HTTP_CHECKOUT_CHECK_UNKNOWN;
        return;

    case NGX_HTTP_CHECKOUT_SQL_LATE:
        error = "timeout";
        break;

    default:
        error = "no_answer";
    }

    ngx_http_checkout_ready_check(ready, NGX_HTTP_CHECKOUT_CHECK_REPLICA, 0, ",\"error\":\"%s\"", error);
}


static void
ngx_http_checkout_ready_asked(ngx_http_checkout_job_t *job, ngx_http_request_t *r,
    ngx_http_checkout_sql_outcome_e outcome, struct sql_result *result)
{
    ngx_http_checkout_ready_t  *ready = job->data;

    ngx_http_checkout_ready_replica(ready, outcome);
    ngx_http_checkout_ready_finish(ready);
}


/* After Redis: MySQL, where reads go there. */
static void
ngx_http_checkout_ready_go_on(ngx_http_checkout_ready_t *ready, ngx_http_request_t *r)
{
    ngx_http_checkout_job_t       *job;
    ngx_http_checkout_loc_conf_t  *clcf;

    clcf = ngx_http_checkout_location(r);

    if (clcf->sql.access == NULL || clcf->sql.read_from == NULL) {
        ready->checks[NGX_HTTP_CHECKOUT_CHECK_REPLICA].result = NGX_HTTP_CHECKOUT_CHECK_ABSENT;
        ngx_http_checkout_ready_finish(ready);
        return;
    }

    job = ngx_http_checkout_job_create(r, &ngx_http_checkout_location(r)->sql);

    if (job != NULL) {
        job->run = ngx_http_checkout_ready_run;
        job->done = ngx_http_checkout_ready_asked;
        job->data = ready;

        if (ngx_http_checkout_job_start(r, job, 1) == NGX_DONE) {
            return;
        }
    }

    ngx_http_checkout_ready_replica(ready, NGX_HTTP_CHECKOUT_SQL_BUSY);
    ngx_http_checkout_ready_finish(ready);
}


/* What Redis said; reply: NULL when it did not. */
static void
ngx_http_checkout_ready_heard(ngx_http_checkout_ready_t *ready, ngx_http_request_t *r, redisReply *reply)
{
    if (ngx_http_checkout_ready_judge(ready, reply) != NGX_OK) {
        ngx_http_checkout_ready_check(ready, NGX_HTTP_CHECKOUT_CHECK_REDIS, 0, ",\"error\":\"no_answer\"");
    }

    ngx_http_checkout_ready_go_on(ready, r);
}


static void
ngx_http_checkout_ready_done(ngx_http_checkout_lookup_t *lookup, ngx_http_request_t *r, redisReply *reply)
{
    ngx_http_checkout_loc_conf_t  *clcf;

    clcf = ngx_http_checkout_location(r);

    ngx_http_checkout_ready_heard(clcf->ready, r, reply);
}


/* Asks in the name of the leader, if somebody waits. */
static void
ngx_http_checkout_ready_start(ngx_event_t *ev)
{
    ngx_http_request_t                *r;
    ngx_http_checkout_ctx_t           *ctx;
    ngx_http_checkout_ready_t         *ready;
    ngx_http_checkout_lookup_t        *lookup;
    ngx_http_checkout_loc_conf_t      *clcf;
    ngx_http_checkout_ready_waiter_t  *leader;

    ready = ev->data;

    if (ngx_queue_empty(&ready->waiters)) {
        ready->asking = 0;
        return;
    }

    ngx_memzero(ready->checks, sizeof(ready->checks));

    leader = ngx_queue_data(ngx_queue_head(&ready->waiters), ngx_http_checkout_ready_waiter_t, queue);
    r = leader->request;
    ctx = ngx_http_get_module_ctx(r, ngx_http_checkout_module);
    clcf = ngx_http_checkout_location(r);
    ngx_http_checkout_waiting_restart(&ctx->waiting, clcf->clock);
    lookup = ngx_http_checkout_lookup_create(clcf->redis, r->connection->log);

    if (lookup != NULL) {
        lookup->write = ngx_http_checkout_ready_write_call;
        lookup->done = ngx_http_checkout_ready_done;

        if (ngx_http_checkout_lookup_start(lookup, &ctx->waiting, clcf->lookup_clock) == NGX_DONE) {
            return;
        }
    }

    ngx_http_checkout_ready_heard(ready, r, NULL);
}


/* The request goes away unanswered. */
static void
ngx_http_checkout_ready_leave(void *data)
{
    ngx_uint_t                         leads;
    ngx_http_checkout_ready_t         *ready;
    ngx_http_checkout_ready_waiter_t  *waiter = data;

    ready = waiter->ready;
    leads = ngx_queue_head(&ready->waiters) == &waiter->queue;
    ngx_queue_remove(&waiter->queue);

    if (leads) {
        ngx_post_event(&ready->start, &ngx_posted_events);
    }
}


static ngx_int_t
ngx_http_checkout_ready_wait(ngx_http_request_t *r, ngx_http_checkout_ready_t *ready)
{
    ngx_http_checkout_ctx_t           *ctx;
    ngx_http_checkout_ready_waiter_t  *waiter;

    ctx = ngx_http_checkout_ctx_create(r, NGX_HTTP_CHECKOUT_REQUEST_OTHER);
    waiter = ngx_palloc(r->pool, sizeof(ngx_http_checkout_ready_waiter_t));

    if (ctx == NULL || waiter == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    waiter->request = r;
    waiter->ready = ready;
    ngx_http_checkout_waiting_on_gone(&ctx->waiting, ngx_http_checkout_ready_leave, waiter);
    ngx_queue_insert_tail(&ready->waiters, &waiter->queue);

    if (!ready->asking) {
        ready->asking = 1;
        ready->start.log = ngx_cycle->log;
        ngx_post_event(&ready->start, &ngx_posted_events);
    }

    return ngx_http_checkout_waiting_begin(&ctx->waiting, NULL);
}


ngx_int_t
ngx_http_checkout_ready_handler(ngx_http_request_t *r)
{
    ngx_int_t                      rc;
    ngx_http_checkout_ready_t     *ready;
    ngx_http_checkout_loc_conf_t  *clcf;

    rc = ngx_http_checkout_read_method(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    clcf = ngx_http_checkout_location(r);
    ready = clcf->ready;

    if (ready->status && ngx_current_msec - ready->seen < NGX_HTTP_CHECKOUT_READY_KEPT) {
        return ngx_http_checkout_ready_send(ready, r);
    }

    return ngx_http_checkout_ready_wait(r, ready);
}


/* The process runs and answers; what else is up is asked elsewhere. */
ngx_int_t
ngx_http_checkout_health_handler(ngx_http_request_t *r)
{
    ngx_int_t          rc;
    ngx_buf_t         *b;
    static const char  text[] = "{\"status\":\"ok\"}";

    rc = ngx_http_checkout_read_method(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    b = ngx_calloc_buf(r->pool);

    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->pos = (u_char *) text;
    b->last = b->pos + sizeof(text) - 1;
    b->memory = 1;

    return ngx_http_checkout_send(r, NGX_HTTP_OK, b);
}
