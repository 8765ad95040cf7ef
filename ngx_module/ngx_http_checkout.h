/*
 * The edge: what the rooms of the module share.
 *
 *     module    directives, their merging, the life of a worker process
 *     server    which Redis, its password and TLS: configuration
 *     order     POST place-order: the request and its answer
 *     body      a request's body: its text, and what is wrong with it
 *     gate      orders of one turn of the event loop become one script call
 *     lookup    what reads have in common, and the asking of Redis for one
 *     status    order status
 *     stock     live stock of a product
 *     ready     health and readiness
 *     sticky    who reads from the primary
 *     query     statements in locations, and their rows as JSON; query_conf: their directives
 *     secret    passwords and tokens from files
 *     mysql     which MySQL servers, how to enter: configuration
 *     sql       jobs on MySQL servers; its own map: sql/private.h (peer, pool, try)
 *     redis     one connection: calls out, replies back in order
 *     connect   its opening: address, TLS, password, database
 *     script    the text of a script call
 *     zone      shared memory: what is sold out, counters
 *     metrics   the counters as Prometheus text
 *     variables what is known of a request, for log_format
 *     clock     each request's own time-out
 *     reply     answers in JSON, codes and messages
 *     init_stock  POST init-stock: a product and its stock are set
 *     admin     the administrator's token
 *     cancel    POST cancel: an order that is not paid is given up
 *     webhook   POST of a payment's event: its signature, its place in the inbox
 *     webhook_conf  the secrets of webhooks, from files
 *     random    bytes from the operating system's generator
 *
 * All state but the zone is that of one worker process, so nothing here takes a lock. Objects of configuration
 * (server, tls, redis, gate, clock, zone) live as long as the cycle; calls, batches and orders as their rooms say.
 */
#ifndef NGX_HTTP_CHECKOUT_H
#define NGX_HTTP_CHECKOUT_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <hiredis/hiredis.h>

#include "checkout_scripts.h"
#include "order/identifier.h"
#include "order/order.h"
#include "text/reply_reader.h"
#include "mysql/job.h"
#include "mysql/prepared.h"
#include "order/verdict.h"

#if !(NGX_THREADS)
#error "the checkout module needs an nginx that is configured --with-threads"
#endif


#define NGX_HTTP_CHECKOUT_BODY_MAX       16384    /* bytes of a place-order body */
#define NGX_HTTP_CHECKOUT_BATCH_ORDERS   256      /* orders in one script call */
#define NGX_HTTP_CHECKOUT_BATCH_GROUPS   64       /* products in one script call */
#define NGX_HTTP_CHECKOUT_ORDERS_MAX     65536    /* orders that one worker process holds */
#define NGX_HTTP_CHECKOUT_CALLS_MAX      2        /* batches on their way at once: orders gather meanwhile, and a call costs more than an order */
#define NGX_HTTP_CHECKOUT_LOOKUPS_MAX    16384    /* reads on their way at once */
#define NGX_HTTP_CHECKOUT_REPLY_MAX      (16 * 1024 * 1024)   /* bytes of one reply */
#define NGX_HTTP_CHECKOUT_KEY_MAX        255      /* bytes of an Idempotency-Key */
#define NGX_HTTP_CHECKOUT_ADDRESSES_MAX  8        /* of one name, that are tried in turn */

#define NGX_HTTP_CHECKOUT_ORDERS_URL     "/api/orders/"


extern ngx_module_t  ngx_http_checkout_module;


/* outcomes of a request: the codes of refusals, then what went well */

typedef enum {
    NGX_HTTP_CHECKOUT_INVALID_REQUEST,
    NGX_HTTP_CHECKOUT_UNKNOWN_PRODUCT,
    NGX_HTTP_CHECKOUT_IDEMPOTENCY_CONFLICT,
    NGX_HTTP_CHECKOUT_OUT_OF_STOCK,
    NGX_HTTP_CHECKOUT_SALE_NOT_STARTED,
    NGX_HTTP_CHECKOUT_SALE_ENDED,
    NGX_HTTP_CHECKOUT_PURCHASE_LIMIT,
    NGX_HTTP_CHECKOUT_QUEUE_FULL,
    NGX_HTTP_CHECKOUT_STOCK_NOT_LOADED,
    NGX_HTTP_CHECKOUT_UNAVAILABLE,
    NGX_HTTP_CHECKOUT_OUTCOME_UNKNOWN,
    NGX_HTTP_CHECKOUT_METHOD_NOT_ALLOWED,
    NGX_HTTP_CHECKOUT_BODY_TOO_LARGE,
    NGX_HTTP_CHECKOUT_UNSUPPORTED_TYPE,
    NGX_HTTP_CHECKOUT_ORDER_NOT_FOUND,
    NGX_HTTP_CHECKOUT_UNKNOWN_STOCK,
    NGX_HTTP_CHECKOUT_UNAUTHORIZED,
    NGX_HTTP_CHECKOUT_NOT_FOUND,
    NGX_HTTP_CHECKOUT_BAD_GATEWAY,
    NGX_HTTP_CHECKOUT_GATEWAY_TIMEOUT,
    NGX_HTTP_CHECKOUT_NO_ADMIN,
    NGX_HTTP_CHECKOUT_ORDERS_IN_FLIGHT,
    NGX_HTTP_CHECKOUT_STOCK_UNKNOWN,     /* MySQL may have been changed */
    NGX_HTTP_CHECKOUT_STOCK_NOT_PUSHED,  /* MySQL was changed, Redis not yet */
    NGX_HTTP_CHECKOUT_NOT_CANCELLABLE,
    NGX_HTTP_CHECKOUT_MISSING_SIGNATURE,
    NGX_HTTP_CHECKOUT_BAD_SIGNATURE,
    NGX_HTTP_CHECKOUT_STALE_TIMESTAMP,
    NGX_HTTP_CHECKOUT_INVALID_EVENT,
    NGX_HTTP_CHECKOUT_CODES,
    NGX_HTTP_CHECKOUT_QUEUED = NGX_HTTP_CHECKOUT_CODES,
    NGX_HTTP_CHECKOUT_KNOWN,             /* a keyed order that was placed before */
    NGX_HTTP_CHECKOUT_FOUND,             /* a read */
    NGX_HTTP_CHECKOUT_OUTCOMES
} ngx_http_checkout_code_e;


/* What became of an init-stock. */
typedef enum {
    NGX_HTTP_CHECKOUT_STOCK_SET,
    NGX_HTTP_CHECKOUT_STOCK_REFUSED,         /* 4xx */
    NGX_HTTP_CHECKOUT_STOCK_FAILED,          /* 5xx */
    NGX_HTTP_CHECKOUT_STOCK_OUTCOMES
} ngx_http_checkout_stock_outcome_e;


/* What became of a cancellation. */
typedef enum {
    NGX_HTTP_CHECKOUT_CANCEL_DONE,
    NGX_HTTP_CHECKOUT_CANCEL_REFUSED,        /* 4xx */
    NGX_HTTP_CHECKOUT_CANCEL_FAILED,         /* 5xx */
    NGX_HTTP_CHECKOUT_CANCEL_OUTCOMES
} ngx_http_checkout_cancel_outcome_e;


/* What became of a webhook. */
typedef enum {
    NGX_HTTP_CHECKOUT_WEBHOOK_RECEIVED,
    NGX_HTTP_CHECKOUT_WEBHOOK_REPEATED,
    NGX_HTTP_CHECKOUT_WEBHOOK_REFUSED,       /* 4xx */
    NGX_HTTP_CHECKOUT_WEBHOOK_FAILED,        /* 5xx: the provider sends it again */
    NGX_HTTP_CHECKOUT_WEBHOOK_OUTCOMES
} ngx_http_checkout_webhook_outcome_e;


/* clock */

typedef struct ngx_http_checkout_alarm_s  ngx_http_checkout_alarm_t;

typedef void (*ngx_http_checkout_alarm_pt)(ngx_http_checkout_alarm_t *alarm);

struct ngx_http_checkout_alarm_s {
    ngx_queue_t                  queue;      /* in its clock, while armed */
    ngx_msec_t                   deadline;
    ngx_http_checkout_alarm_pt   handler;
    unsigned                     armed:1;
};

/* All alarms of a clock have the same time-out, so they stand in the order of their deadlines. */
typedef struct {
    ngx_msec_t                   timeout;
    ngx_queue_t                  alarms;
    ngx_event_t                  timer;
} ngx_http_checkout_clock_t;

void ngx_http_checkout_clock_init(ngx_http_checkout_clock_t *clock);
void ngx_http_checkout_clock_start(ngx_http_checkout_clock_t *clock, ngx_http_checkout_alarm_t *alarm);
void ngx_http_checkout_clock_stop(ngx_http_checkout_clock_t *clock, ngx_http_checkout_alarm_t *alarm);


/* zone */

/* The number of a histogram's bounds; one more place takes what is above them. */
#define NGX_HTTP_CHECKOUT_BATCH_BUCKETS  9
#define NGX_HTTP_CHECKOUT_CALL_BUCKETS   13

typedef struct ngx_http_checkout_shared_s  ngx_http_checkout_shared_t;

typedef struct {
    ngx_shm_zone_t              *shm;
    ngx_http_checkout_shared_t  *shared;
} ngx_http_checkout_zone_t;

/* All members are ngx_atomic_t; a worker process has a slot of its own. */
typedef struct {
    ngx_atomic_t                 orders[NGX_HTTP_CHECKOUT_OUTCOMES];
    ngx_atomic_t                 reads[NGX_HTTP_CHECKOUT_OUTCOMES];
    ngx_atomic_t                 stock_inits[NGX_HTTP_CHECKOUT_STOCK_OUTCOMES];
    ngx_atomic_t                 cancels[NGX_HTTP_CHECKOUT_CANCEL_OUTCOMES];
    ngx_atomic_t                 webhooks[NGX_HTTP_CHECKOUT_WEBHOOK_OUTCOMES];
    ngx_atomic_t                 sold_out_local;
    ngx_atomic_t                 timeouts;
    ngx_atomic_t                 resent;
    ngx_atomic_t                 errors;
    ngx_atomic_t                 connects;
    ngx_atomic_t                 losses;
    ngx_atomic_t                 batches[NGX_HTTP_CHECKOUT_BATCH_BUCKETS + 1];
    ngx_atomic_t                 batch_orders;
    ngx_atomic_t                 calls[NGX_HTTP_CHECKOUT_CALL_BUCKETS + 1];
    ngx_atomic_t                 call_us;
    ngx_atomic_t                 sql_jobs[5];    /* by ngx_http_checkout_sql_outcome_e */
    ngx_atomic_t                 sql_gone;       /* jobs whose request went away first */
    ngx_atomic_t                 sql_connect_errors;
    ngx_atomic_t                 sql_connect_timeouts;
    ngx_atomic_t                 sql_losses;     /* the server failed while it ran a job */
    ngx_atomic_t                 sql_read_timeouts;
    ngx_atomic_t                 sql_connects;
    ngx_atomic_t                 sql_reconnects; /* connections that the server had closed while they were idle */
    ngx_atomic_t                 sql_fallbacks;  /* reads that a replica did not have, and the primary did */
    ngx_atomic_t                 sql_connections;   /* now, of the process pid */
    ngx_atomic_t                 sql_waiting;       /* jobs, now, of the process pid */
    ngx_atomic_t                 connections;    /* that can take calls now, of the process pid */
    ngx_atomic_t                 pid;
    ngx_atomic_t                 spare[8];       /* another process's slot begins in another cache line */
} ngx_http_checkout_counters_t;

/* What was last seen of a server. */
typedef struct {
    ngx_atomic_t                 server;         /* its key, 0: free */
    ngx_atomic_t                 queued;
} ngx_http_checkout_gauge_t;

extern ngx_http_checkout_counters_t  *ngx_http_checkout_counters;

#define ngx_http_checkout_count(counter, n)                                                                     \
    ((void) ngx_atomic_fetch_add(&ngx_http_checkout_counters->counter, n))

char *ngx_http_checkout_set_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
uint64_t ngx_http_checkout_zone_key(const ngx_str_t *name, ngx_uint_t database);
void ngx_http_checkout_zone_enter(ngx_http_checkout_shared_t *shared);
void ngx_http_checkout_zone_connections(ngx_int_t more);
void ngx_http_checkout_zone_sql_connections(ngx_int_t more);
void ngx_http_checkout_zone_sql_waiting(ngx_int_t more);
void ngx_http_checkout_zone_sum(ngx_http_checkout_shared_t *shared, ngx_http_checkout_counters_t *sum);
ngx_http_checkout_gauge_t *ngx_http_checkout_zone_gauge(ngx_http_checkout_shared_t *shared, uint64_t server);
ngx_int_t ngx_http_checkout_zone_left(ngx_http_checkout_shared_t *shared, uint64_t server, uint64_t product_id,
    ngx_msec_t max_age, uint64_t *left);
void ngx_http_checkout_zone_mark(ngx_http_checkout_shared_t *shared, uint64_t server, uint64_t product_id,
    uint64_t left, ngx_msec_t seen);


/* redis */

typedef struct ngx_http_checkout_call_s    ngx_http_checkout_call_t;
typedef struct ngx_http_checkout_waiter_s  ngx_http_checkout_waiter_t;

/*
 * Called once for each call whose first byte was written. reply is NULL when the connection was lost
 * before the reply came; it is freed by the connection. The handler may free the call, make new calls
 * and ask for the connection to be dropped.
 */
typedef void (*ngx_http_checkout_reply_pt)(ngx_http_checkout_call_t *call, redisReply *reply);

struct ngx_http_checkout_call_s {
    ngx_queue_t                  queue;
    ngx_buf_t                    buf;
    ngx_chain_t                  link;
    char                        *command;    /* made by hiredis, freed once it is written */
    ngx_http_checkout_reply_pt   handler;
    unsigned                     begun:1;    /* TLS may have written of it, though buf.pos does not show it */
};

/* Told once when the connection can take calls (again). */
struct ngx_http_checkout_waiter_s {
    ngx_queue_t                  queue;
    void                       (*handler)(ngx_http_checkout_waiter_t *waiter);
    unsigned                     waiting:1;
};

/* What "checkout_redis" names. */
typedef struct {
    ngx_str_t                    name;       /* as configured */
    ngx_str_t                    host;       /* empty for an address or a socket */
    in_port_t                    port;
    ngx_addr_t                  *addrs;      /* when the configuration was read */
    ngx_uint_t                   naddrs;
    ngx_uint_t                   database;
    ngx_str_t                    user;
    ngx_str_t                    password;   /* never logged */
} ngx_http_checkout_server_t;

#if (NGX_HTTP_SSL)

typedef struct {
    ngx_ssl_t                    ssl;
    ngx_str_t                    name;       /* that the certificate must have */
    ngx_str_t                    certificate;
    ngx_str_t                    certificate_key;
    ngx_str_t                    trusted_certificate;
    ngx_flag_t                   verify;
} ngx_http_checkout_tls_t;

#endif

typedef struct {
    ngx_sockaddr_t               sockaddr;
    socklen_t                    socklen;
} ngx_http_checkout_address_t;

typedef enum {
    NGX_HTTP_CHECKOUT_REDIS_CLOSED,        /* the next call opens it */
    NGX_HTTP_CHECKOUT_REDIS_WAITING,       /* for the moment to connect: this turn's end, or a backoff */
    NGX_HTTP_CHECKOUT_REDIS_RESOLVING,
    NGX_HTTP_CHECKOUT_REDIS_CONNECTING,
    NGX_HTTP_CHECKOUT_REDIS_SECURING,      /* the TLS handshake is under way */
    NGX_HTTP_CHECKOUT_REDIS_STARTING,      /* AUTH or SELECT is under way */
    NGX_HTTP_CHECKOUT_REDIS_READY
} ngx_http_checkout_redis_state_e;

typedef struct {
    ngx_http_checkout_server_t       *server;
#if (NGX_HTTP_SSL)
    ngx_http_checkout_tls_t          *tls;       /* NULL: none */
#endif
    ngx_resolver_t                   *resolver;
    uint64_t                          key;       /* stands for server and database in the zone */
    ngx_http_checkout_gauge_t        *gauge;
    ngx_msec_t                        connect_timeout;
    ngx_msec_t                        send_timeout;
    ngx_msec_t                        read_timeout;

    ngx_http_checkout_redis_state_e   state;
    ngx_peer_connection_t             peer;
    redisReader                      *reader;
    size_t                            unread;    /* bytes fed to the reader since the last reply */

    ngx_queue_t                       unsent;    /* calls not, or only partly, written */
    ngx_queue_t                       sent;      /* calls whose reply is awaited, oldest first */
    ngx_queue_t                       waiters;
    ngx_http_checkout_call_t          start;     /* AUTH, SELECT */

    ngx_resolver_ctx_t               *resolve;   /* while the name is asked for */
    ngx_http_checkout_address_t       addresses[NGX_HTTP_CHECKOUT_ADDRESSES_MAX];   /* found last */
    ngx_uint_t                        naddresses;
    ngx_str_t                         peer_name;
    u_char                            peer_text[NGX_SOCKADDR_STRLEN];

    ngx_event_t                       connect;   /* posted, or a timer in a backoff */
    ngx_uint_t                        failures;  /* connections lost in a row without a reply */
    ngx_uint_t                        next_addr;
    ngx_uint_t                        batches;   /* written by the gates and not answered */

    unsigned                          drop:1;
    unsigned                          authenticated:1;
} ngx_http_checkout_redis_t;

void ngx_http_checkout_redis_init(ngx_http_checkout_redis_t *redis, ngx_http_checkout_shared_t *shared);
void ngx_http_checkout_redis_exit(ngx_http_checkout_redis_t *redis);
ngx_int_t ngx_http_checkout_redis_ready(ngx_http_checkout_redis_t *redis);
void ngx_http_checkout_redis_wait(ngx_http_checkout_redis_t *redis, ngx_http_checkout_waiter_t *waiter);
void ngx_http_checkout_redis_wake(ngx_http_checkout_redis_t *redis);
void ngx_http_checkout_redis_call(ngx_http_checkout_redis_t *redis, ngx_http_checkout_call_t *call);
ngx_int_t ngx_http_checkout_redis_withdraw(ngx_http_checkout_call_t *call);
void ngx_http_checkout_redis_drop(ngx_http_checkout_redis_t *redis);
ngx_int_t ngx_http_checkout_redis_error_is(redisReply *reply, const char *word);

/* between redis and connect */
void ngx_http_checkout_connect(ngx_event_t *ev);
void ngx_http_checkout_redis_opened(ngx_http_checkout_redis_t *redis);
void ngx_http_checkout_redis_lost(ngx_http_checkout_redis_t *redis, const char *reason);
void ngx_http_checkout_redis_read(ngx_event_t *rev);
void ngx_http_checkout_redis_write(ngx_event_t *wev);
void ngx_http_checkout_call_prepare(ngx_http_checkout_call_t *call, size_t len);


/* script: one call is put together at a time, in memory of the process */

void ngx_http_checkout_script_begin(const struct checkout_script *script, ngx_uint_t source, ngx_uint_t keys);
void ngx_http_checkout_script_key(const char *prefix, const char *name, size_t len, const char *suffix);
/* orders:<today>, <yesterday>, and <tomorrow>, which a clock that is ahead wrote. */
void ngx_http_checkout_script_days(void);
void ngx_http_checkout_script_text(const char *text, size_t len);
void ngx_http_checkout_script_number(uint64_t value);
char *ngx_http_checkout_script_room(size_t size);
void ngx_http_checkout_script_take(size_t len);
ngx_int_t ngx_http_checkout_script_end(ngx_http_checkout_call_t *call);


/* reply */

ngx_int_t ngx_http_checkout_english(ngx_http_request_t *r);
ngx_int_t ngx_http_checkout_header(ngx_http_request_t *r, const char *name, u_char *value, size_t len);
ngx_int_t ngx_http_checkout_send(ngx_http_request_t *r, ngx_uint_t status, ngx_buf_t *body);
ngx_int_t ngx_http_checkout_send_type(ngx_http_request_t *r, ngx_uint_t status, const char *type, ngx_buf_t *body);
ngx_uint_t ngx_http_checkout_outcome_of(ngx_uint_t outcome, ngx_uint_t reads);
const char *ngx_http_checkout_outcome_name(ngx_uint_t outcome);
ngx_int_t ngx_http_checkout_refuse(ngx_http_request_t *r, ngx_http_checkout_code_e code, ngx_str_t *members,
    ngx_uint_t retry_after);
ngx_int_t ngx_http_checkout_refuse_method(ngx_http_request_t *r, const char *allow);
void ngx_http_checkout_finish(ngx_http_request_t *r, ngx_int_t rc);


/* body */

ngx_int_t ngx_http_checkout_body_read_json(ngx_http_request_t *r, ngx_http_client_body_handler_pt handler);
ngx_int_t ngx_http_checkout_refuse_unread(ngx_http_request_t *r, ngx_http_checkout_code_e code);
ngx_int_t ngx_http_checkout_body_text(ngx_http_request_t *r, size_t most, ngx_str_t *text);
u_char *ngx_http_checkout_body_syntax(u_char *p, u_char *end, u_char *first, const char *syntax, size_t offset,
    ngx_uint_t english);
u_char *ngx_http_checkout_body_field(u_char *p, u_char *end, u_char *first, const char *name,
    enum checkout_field_error error, uint64_t min, uint64_t max, ngx_uint_t english);


/* variables: what is known of a request */

typedef struct {
    ngx_http_request_t          *request;
    void                       (*detach)(void *worker);    /* called when the request goes away; or NULL */
    void                        *worker;
    ngx_str_t                    status;     /* of the order, or the code of the refusal; empty: not known */
    ngx_str_t                    key;        /* Idempotency-Key, empty: none */
    uint64_t                     user_id;    /* of checkout_user */
    uint64_t                     product_id;
    ngx_msec_t                   started;    /* ngx_current_msec */
    ngx_uint_t                   batch;      /* orders in the call that decided this one */
    unsigned                     refused:1;
    unsigned                     webhook:1;
    unsigned                     read:1;     /* a read, not an order */
    unsigned                     admin:1;    /* init-stock */
    unsigned                     cancel:1;   /* a cancellation */
    unsigned                     late:1;     /* a clock of it ran out */
    unsigned                     bad_key:1;  /* the Idempotency-Key is none */
    char                         identifier[CHECKOUT_IDENTIFIER_LEN];   /* first byte NUL: none */
} ngx_http_checkout_ctx_t;

ngx_int_t ngx_http_checkout_add_variables(ngx_conf_t *cf);
ngx_http_checkout_ctx_t *ngx_http_checkout_ctx_get(ngx_http_request_t *r);
ngx_http_checkout_ctx_t *ngx_http_checkout_ctx_create(ngx_http_request_t *r);
ngx_http_checkout_ctx_t *ngx_http_checkout_ctx_create_main(ngx_http_request_t *r, const char *directive);


/* order and gate */

typedef enum {
    NGX_HTTP_CHECKOUT_ACCEPTED,      /* code: QUEUED, or KNOWN, and status as in the record */
    NGX_HTTP_CHECKOUT_OVER_QUANTITY, /* number: the most that one order may have */
    NGX_HTTP_CHECKOUT_REFUSED        /* code, and number: units left, or ms to wait */
} ngx_http_checkout_verdict_e;

typedef struct {
    ngx_http_checkout_verdict_e  kind;
    ngx_http_checkout_code_e     code;
    uint64_t                     number;
    ngx_str_t                    status;
} ngx_http_checkout_verdict_t;

typedef struct {
    ngx_http_checkout_redis_t   *redis;
    ngx_http_checkout_zone_t    *zone;       /* NULL: none */
    ngx_uint_t                   queue_limit;

    ngx_queue_t                  pending;    /* orders not in a batch, oldest first */
    ngx_event_t                  flush;      /* posted by the first order of a turn */
    ngx_http_checkout_waiter_t   waiter;
    time_t                       logged;     /* second of the last error that was logged */

    unsigned                     source:1;   /* the next call carries the script itself */
} ngx_http_checkout_gate_t;

ngx_int_t ngx_http_checkout_user(ngx_http_request_t *r, uint64_t *user_id);
ngx_int_t ngx_http_checkout_order_handler(ngx_http_request_t *r);
void ngx_http_checkout_order_answer(ngx_http_checkout_ctx_t *ctx, const ngx_http_checkout_verdict_t *verdict);

void ngx_http_checkout_gate_init(ngx_http_checkout_gate_t *gate);
void ngx_http_checkout_gate_exit(ngx_http_checkout_gate_t *gate);
ngx_int_t ngx_http_checkout_gate_submit(ngx_http_checkout_gate_t *gate, ngx_http_checkout_clock_t *clock,
    ngx_http_checkout_ctx_t *ctx, const struct checkout_order *order);


/* sql: jobs on MySQL servers, in nginx's thread pool */

typedef enum {
    NGX_HTTP_CHECKOUT_SQL_DONE,      /* result is whole */
    NGX_HTTP_CHECKOUT_SQL_REFUSED,   /* MySQL refuses the data of the job (DB_POISON) */
    NGX_HTTP_CHECKOUT_SQL_FAILED,    /* no server that could be asked gave an answer: 502 */
    NGX_HTTP_CHECKOUT_SQL_BUSY,      /* no connection, or no lock, came free in time; nothing was changed: 503 */
    NGX_HTTP_CHECKOUT_SQL_LATE       /* the request's clock, or the server's for a statement, ran out: 504 */
} ngx_http_checkout_sql_outcome_e;

typedef struct ngx_http_checkout_job_s  ngx_http_checkout_job_t;

/*
 * Called once in the event loop, unless the request went away; it answers the request, or goes on with it, and ends with
 * ngx_http_checkout_finish() where it ends it. result: NULL unless DONE; it belongs to the room and ends with the call.
 */
typedef void (*ngx_http_checkout_job_pt)(ngx_http_checkout_job_t *job, ngx_http_request_t *r,
    ngx_http_checkout_sql_outcome_e outcome, struct sql_result *result);

struct ngx_http_checkout_job_s {
    ngx_pool_t                  *pool;       /* the job's own: input is made of it, and outlives the request */
    void                        *input;
    sql_job_pt                   run;        /* in a thread */
    ngx_http_checkout_job_pt     done;
    void                        *data;       /* of the caller; may be of the request's pool */
    unsigned                     primary:1;  /* the primary is asked, whatever the request is */
    unsigned                     of_primary:1;  /* told with the outcome: the primary was asked last */
    /* what follows is the room's own */
};

/* NULL: no memory, or too many jobs. Set input, run, done (and primary); then start it, or destroy it. */
ngx_http_checkout_job_t *ngx_http_checkout_job_create(ngx_http_request_t *r);
void ngx_http_checkout_job_destroy(ngx_http_checkout_job_t *job);

/*
 * The request waits from now on: NGX_DONE, and r->main->count has grown by one as for every handler that goes on later
 * (not when `again`: the request waits already, and its handler has returned). done() is never called from within.
 */
ngx_int_t ngx_http_checkout_job_start(ngx_http_request_t *r, ngx_http_checkout_job_t *job, ngx_uint_t again);

/* The usual answers of an outcome other than DONE: 502 bad_gateway, 503 unavailable, 504 gateway_timeout, 422. */
ngx_int_t ngx_http_checkout_sql_refuse(ngx_http_request_t *r, ngx_http_checkout_sql_outcome_e outcome);


/* lookup: a read from Redis for one request, and what handlers of reads have in common */

typedef struct ngx_http_checkout_lookup_s  ngx_http_checkout_lookup_t;

/*
 * Called once in the event loop, unless the request went away; it goes on with the request, or ends it with
 * ngx_http_checkout_finish(). reply: NULL when Redis gave no answer in time, or an error. Both belong to others
 * and end with the call.
 */
typedef void (*ngx_http_checkout_lookup_pt)(ngx_http_checkout_lookup_t *lookup, ngx_http_request_t *r,
    redisReply *reply);

struct ngx_http_checkout_lookup_s {
    ngx_http_checkout_call_t      call;
    ngx_http_checkout_alarm_t     alarm;
    ngx_http_request_t           *request;     /* NULL once it is answered or gone */
    ngx_http_checkout_ctx_t      *ctx;         /* of the request */
    ngx_http_checkout_redis_t    *redis;
    ngx_http_checkout_clock_t    *clock;

    /* of the maker; write() puts the call together, and is asked again when it has to be sent again */
    ngx_int_t                   (*write)(ngx_http_checkout_lookup_t *lookup);
    ngx_http_checkout_lookup_pt   done;
    void                         *data;        /* may be of the request's pool */
    uint64_t                      product_id;
    char                          identifier[CHECKOUT_IDENTIFIER_LEN];

    unsigned                      source:1;    /* send the script itself */
};

ngx_int_t ngx_http_checkout_read_method(ngx_http_request_t *r);
ngx_int_t ngx_http_checkout_read_begin(ngx_http_request_t *r, ngx_str_t *value);
ngx_int_t ngx_http_checkout_read_user(ngx_http_request_t *r, uint64_t *user_id);
ngx_int_t ngx_http_checkout_read_order(ngx_http_request_t *r, ngx_str_t *identifier, uint64_t *user_id);
ngx_int_t ngx_http_checkout_read_found(ngx_http_request_t *r, ngx_buf_t *b, u_char *status, size_t len);

/* The request has a context. NULL: no memory, or too many. Set write and done, then start it. */
ngx_http_checkout_lookup_t *ngx_http_checkout_lookup_create(ngx_http_request_t *r);

/*
 * NGX_DONE: the request waits from now on, and r->main->count has grown by one (not when `again`: the request waits
 * already). NGX_ERROR: it could not be sent, done() is not called, and the lookup is gone.
 */
ngx_int_t ngx_http_checkout_lookup_start(ngx_http_request_t *r, ngx_http_checkout_lookup_t *lookup, ngx_uint_t again);


/* status, stock, ready */

ngx_int_t ngx_http_checkout_status_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_checkout_stock_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_checkout_stock_write(ngx_http_checkout_lookup_t *lookup);
ngx_int_t ngx_http_checkout_health_handler(ngx_http_request_t *r);

typedef struct ngx_http_checkout_ready_s  ngx_http_checkout_ready_t;

char *ngx_http_checkout_set_ready(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_checkout_ready_handler(ngx_http_request_t *r);


/* cancel */

ngx_int_t ngx_http_checkout_cancel_handler(ngx_http_request_t *r);


/* sticky */

char *ngx_http_checkout_set_sticky(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* A change was made: the answer, not sent yet, makes its client read from the primary for a while. */
ngx_int_t ngx_http_checkout_sticky_set(ngx_http_request_t *r);

/* Is the request of such a client? Always 0 where checkout_sticky is off. */
ngx_uint_t ngx_http_checkout_sticky(ngx_http_request_t *r);

ngx_int_t ngx_http_checkout_variable_sticky_cookie(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data);


/* init_stock, admin */

ngx_int_t ngx_http_checkout_init_stock_handler(ngx_http_request_t *r);
char *ngx_http_checkout_set_admin_token(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_uint_t ngx_http_checkout_is_admin(ngx_http_request_t *r);


/* query */

typedef enum {
    NGX_HTTP_CHECKOUT_QUERY_TEXT,
    NGX_HTTP_CHECKOUT_QUERY_UINT,
    NGX_HTTP_CHECKOUT_QUERY_INT,
    NGX_HTTP_CHECKOUT_QUERY_LIKE,
    NGX_HTTP_CHECKOUT_QUERY_BUYER
} ngx_http_checkout_query_type_e;

typedef struct {
    ngx_http_complex_value_t        *value;
    ngx_http_checkout_query_type_e   type;
    ngx_str_t                        by_default;    /* of an empty value; data NULL: none */
    const char                      *name;          /* in errors */
    unsigned                         encoded:1;     /* as it stands in the request line */
} ngx_http_checkout_query_value_t;

typedef struct {
    ngx_http_checkout_query_value_t  values[2];     /* page, rows of a page */
    ngx_uint_t                       max;
    ngx_uint_t                       by_default;
    ngx_str_t                        count;         /* a statement that gives the total; empty: it is made */
    unsigned                         total:1;
} ngx_http_checkout_query_page_t;

/* What a location asks MySQL. */
typedef struct {
    ngx_str_t                        statement;     /* as configured */
    const char                      *sql;           /* as it is run */
    const char                      *count_sql;     /* NULL: no total */
    ngx_http_checkout_query_value_t *values;
    ngx_uint_t                       nvalues;
    ngx_http_checkout_query_page_t  *page;          /* NULL: not paged */
    enum statement_form              form;
    ngx_http_checkout_code_e         not_found;
    ngx_str_t                        file;          /* of the first directive of them */
    ngx_uint_t                       line;
    unsigned                         has_form:1;
    unsigned                         of_buyer:1;    /* one of the values is a buyer */
} ngx_http_checkout_query_t;

char *ngx_http_checkout_set_query(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_checkout_set_query_result(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_checkout_set_query_page(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_checkout_query_read(ngx_pool_t *pool, ngx_http_checkout_query_value_t *value, ngx_str_t *text,
    struct statement_value *to);
ngx_int_t ngx_http_checkout_query_handler(ngx_http_request_t *r);


/* webhook, and webhook_conf: the secrets that sign them, from files */

ngx_int_t ngx_http_checkout_webhook_handler(ngx_http_request_t *r);
char *ngx_http_checkout_set_webhook(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_checkout_set_webhook_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_checkout_merge_webhook(ngx_conf_t *cf, void *loc_conf);


/* random */

ngx_int_t ngx_http_checkout_random(u_char *out, size_t len);


/* mysql */

/* What "checkout_mysql" says. The texts end with NUL. */
typedef struct {
    const char                  *database;
    const char                  *user;
    const char                  *password;   /* NULL: none; never logged */
    ngx_uint_t                   server_public_key;
} ngx_http_checkout_mysql_t;

/* What "checkout_pool" says, for each server. */
typedef struct {
    ngx_uint_t                   size;       /* connections */
    ngx_uint_t                   queue;      /* jobs that wait for one */
    ngx_msec_t                   timeout;    /* for so long */
    ngx_msec_t                   idle;       /* a connection without work is closed after that */
} ngx_http_checkout_pool_conf_t;

/* What locations share that say the same of MySQL. */
typedef struct {
    struct db_server             server;     /* all but the address; its time-outs bound those that follow */
    ngx_msec_t                   connect_timeout;
    ngx_msec_t                   read_timeout;
    ngx_http_checkout_pool_conf_t  pool;
    ngx_uint_t                   writes;     /* 1: of locations that write; reads have other connections */
    ngx_array_t                  upstreams;  /* ngx_http_upstream_srv_conf_t * */
    ngx_str_t                    file;       /* where the first of the locations has its handler */
    ngx_uint_t                   line;
    time_t                       logged;     /* of a worker process: second of the last "no live server" error */
} ngx_http_checkout_access_t;


/* module */

typedef struct {
    ngx_array_t                  accesses;   /* ngx_http_checkout_access_t * */
    ngx_str_t                    thread_pool;   /* its name */
    ngx_uint_t                   threads;       /* that it is said to have */
    ngx_uint_t                   threads_kept;  /* of these, that readers leave to who writes */
    ngx_http_checkout_zone_t    *zone;       /* NULL: none */
#if (NGX_HTTP_SSL)
    ngx_array_t                  tls;        /* ngx_http_checkout_tls_t * */
#endif
    ngx_array_t                  redis;      /* ngx_http_checkout_redis_t * */
    ngx_array_t                  gates;      /* ngx_http_checkout_gate_t * */
    ngx_array_t                  clocks;     /* ngx_http_checkout_clock_t * */
} ngx_http_checkout_main_conf_t;

typedef struct {
    ngx_http_checkout_server_t  *server;
    ngx_uint_t                   max_quantity;
    ngx_uint_t                   queue_limit;
    ngx_msec_t                   timeout;
    ngx_msec_t                   connect_timeout;
    ngx_msec_t                   send_timeout;
    ngx_msec_t                   read_timeout;
    ngx_msec_t                   sold_out_cache;    /* 0: off */
    ngx_http_complex_value_t    *user;              /* NULL: the body says who buys */
    time_t                       sticky;            /* s, 0: off */
    u_char                      *admin_token;       /* its SHA-256; NULL: none */
    ngx_flag_t                   ssl;
    ngx_flag_t                   ssl_verify;
    ngx_str_t                    ssl_name;
    ngx_str_t                    ssl_certificate;
    ngx_str_t                    ssl_certificate_key;
    ngx_str_t                    ssl_trusted_certificate;

    ngx_http_checkout_mysql_t   *mysql;      /* NULL: none */
    ngx_http_upstream_srv_conf_t  *read_from;   /* NULL: reads go to the primary */
    ngx_http_upstream_srv_conf_t  *primary;     /* NULL: none */
    ngx_http_checkout_pool_conf_t  pool;
    ngx_msec_t                   mysql_connect_timeout;
    ngx_msec_t                   mysql_read_timeout;
    ngx_flag_t                   mysql_ssl;
    ngx_flag_t                   mysql_ssl_verify;
    ngx_str_t                    mysql_ssl_certificate;
    ngx_str_t                    mysql_ssl_certificate_key;
    ngx_str_t                    mysql_ssl_trusted_certificate;
    ngx_http_checkout_access_t  *access;     /* NULL: the location has no MySQL */

    ngx_str_t                    handler;    /* name of the handler's directive, where, and its value */
    ngx_str_t                    file;
    ngx_uint_t                   line;
    ngx_http_complex_value_t    *value;
    ngx_http_checkout_ready_t   *ready;      /* of checkout_ready */
    ngx_http_checkout_query_t   *query;      /* of checkout_query and its companions; NULL: none */
    size_t                       query_max_size;

    ngx_uint_t                   webhook;           /* enum checkout_scheme */
    ngx_array_t                 *webhook_secret_files;
    ngx_array_t                 *webhook_secrets;   /* struct checkout_secret; never logged */
    time_t                       webhook_tolerance;

    ngx_http_checkout_redis_t   *redis;
    ngx_http_checkout_gate_t    *gate;
    ngx_http_checkout_clock_t   *clock;
    ngx_http_checkout_clock_t   *lookup_clock;   /* half of it, where MySQL is asked after Redis */
    ngx_http_checkout_zone_t    *zone;       /* where marks are asked for; NULL: nowhere */
#if (NGX_HTTP_SSL)
    ngx_http_checkout_tls_t     *tls;
#endif
} ngx_http_checkout_loc_conf_t;

ngx_http_complex_value_t *ngx_http_checkout_compile(ngx_conf_t *cf, ngx_str_t *text);

/* Sets the location's handler, cmd->post. */
char *ngx_http_checkout_take_location(ngx_conf_t *cf, ngx_command_t *cmd, ngx_http_checkout_loc_conf_t *clcf);

/* The same, and its value, which is the directive's first argument, if there is one. */
char *ngx_http_checkout_set_handler(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


/* query, its configuration */

char *ngx_http_checkout_merge_query(ngx_conf_t *cf, ngx_http_checkout_loc_conf_t *conf);


/* secret */

char *ngx_http_checkout_read_secret(ngx_conf_t *cf, ngx_str_t *file, const char *what, ngx_str_t *secret);


/* server */

char *ngx_http_checkout_set_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_uint_t ngx_http_checkout_same_server(ngx_http_checkout_server_t *a, ngx_http_checkout_server_t *b);
#if (NGX_HTTP_SSL)
char *ngx_http_checkout_merge_tls(ngx_conf_t *cf, ngx_array_t *list, ngx_http_checkout_loc_conf_t *conf);
#endif


/* mysql */

char *ngx_http_checkout_set_mysql(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_checkout_set_upstream(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_checkout_set_thread_pool(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_checkout_set_pool(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
void ngx_http_checkout_mysql_unset(ngx_http_checkout_loc_conf_t *conf);
void ngx_http_checkout_mysql_merge(ngx_http_checkout_loc_conf_t *conf, ngx_http_checkout_loc_conf_t *prev);
char *ngx_http_checkout_mysql_access(ngx_conf_t *cf, ngx_array_t *list, ngx_http_checkout_loc_conf_t *conf,
    ngx_uint_t writes);
ngx_int_t ngx_http_checkout_mysql_check(ngx_conf_t *cf);
ngx_int_t ngx_http_checkout_mysql_init(ngx_cycle_t *cycle, ngx_http_checkout_main_conf_t *cmcf);
void ngx_http_checkout_mysql_exit(ngx_http_checkout_main_conf_t *cmcf);


/* metrics */

uint64_t ngx_http_checkout_now_us(void);    /* of CLOCK_MONOTONIC, as db_begun() */
void ngx_http_checkout_metrics_call(ngx_uint_t orders, uint64_t us);
ngx_int_t ngx_http_checkout_metrics_handler(ngx_http_request_t *r);


#endif
