/*
 * The edge: what the rooms of the module share.
 *
 *     module    directives, their merging, the life of a worker process
 *     server    which Redis, its password and TLS: configuration
 *     order     POST place-order: the request and its answer
 *     gate      orders of one turn of the event loop become one script call
 *     status    order status, stock, health
 *     redis     one connection: calls out, replies back in order
 *     connect   its opening: address, TLS, password, database
 *     script    the text of a script call
 *     zone      shared memory: what is sold out, counters
 *     metrics   the counters as Prometheus text
 *     variables what is known of a request, for log_format
 *     clock     each request's own time-out
 *     reply     answers in JSON, codes and messages
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
#include "lane.h"
#include "order.h"
#include "reader.h"
#include "verdict.h"


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
    NGX_HTTP_CHECKOUT_CODES,
    NGX_HTTP_CHECKOUT_QUEUED = NGX_HTTP_CHECKOUT_CODES,
    NGX_HTTP_CHECKOUT_KNOWN,             /* a keyed order that was placed before */
    NGX_HTTP_CHECKOUT_FOUND,             /* a read */
    NGX_HTTP_CHECKOUT_OUTCOMES
} ngx_http_checkout_code_e;


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


/* variables: what is known of a request */

typedef struct {
    ngx_http_request_t          *request;
    void                       (*detach)(void *worker);    /* called when the request goes away; or NULL */
    void                        *worker;
    ngx_str_t                    status;     /* of the order, or the code of the refusal; empty: not known */
    ngx_str_t                    key;        /* Idempotency-Key, empty: none */
    uint64_t                     user_id;    /* of checkout_user */
    uint64_t                     product_id;
    ngx_uint_t                   batch;      /* orders in the call that decided this one */
    unsigned                     refused:1;
    unsigned                     read:1;     /* a read, not an order */
    unsigned                     bad_key:1;  /* the Idempotency-Key is none */
    char                         identifier[CHECKOUT_IDENTIFIER_LEN];   /* first byte NUL: none */
} ngx_http_checkout_ctx_t;

ngx_int_t ngx_http_checkout_add_variables(ngx_conf_t *cf);
ngx_http_checkout_ctx_t *ngx_http_checkout_ctx_get(ngx_http_request_t *r);
ngx_http_checkout_ctx_t *ngx_http_checkout_ctx_create(ngx_http_request_t *r);


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


/* status */

ngx_int_t ngx_http_checkout_status_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_checkout_stock_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_checkout_health_handler(ngx_http_request_t *r);


/* random */

ngx_int_t ngx_http_checkout_random(u_char *out, size_t len);


/* module */

typedef struct {
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
    ngx_flag_t                   ssl;
    ngx_flag_t                   ssl_verify;
    ngx_str_t                    ssl_name;
    ngx_str_t                    ssl_certificate;
    ngx_str_t                    ssl_certificate_key;
    ngx_str_t                    ssl_trusted_certificate;

    ngx_str_t                    handler;    /* name of the handler's directive, where, and its value */
    ngx_str_t                    file;
    ngx_uint_t                   line;
    ngx_http_complex_value_t    *value;

    ngx_http_checkout_redis_t   *redis;
    ngx_http_checkout_gate_t    *gate;
    ngx_http_checkout_clock_t   *clock;
    ngx_http_checkout_zone_t    *zone;       /* where marks are asked for; NULL: nowhere */
#if (NGX_HTTP_SSL)
    ngx_http_checkout_tls_t     *tls;
#endif
} ngx_http_checkout_loc_conf_t;


/* server */

char *ngx_http_checkout_set_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_uint_t ngx_http_checkout_same_server(ngx_http_checkout_server_t *a, ngx_http_checkout_server_t *b);
#if (NGX_HTTP_SSL)
char *ngx_http_checkout_merge_tls(ngx_conf_t *cf, ngx_array_t *list, ngx_http_checkout_loc_conf_t *conf);
#endif


/* metrics */

uint64_t ngx_http_checkout_now_us(void);
void ngx_http_checkout_metrics_call(ngx_uint_t orders, uint64_t us);
ngx_int_t ngx_http_checkout_metrics_handler(ngx_http_request_t *r);


#endif
