/*
 * The edge: what the rooms of the module share.
 *
 *     module    directives, their merging, the life of a worker process
 *     order     POST place-order: the request and its answer
 *     gate      orders of one turn of the event loop become one script call
 *     status    order status, stock, health
 *     redis     one connection: calls out, replies back in order
 *     script    the text of a script call
 *     clock     each request's own time-out
 *     reply     answers in JSON, codes and messages
 *     random    bytes from the operating system's generator
 *
 * All state is that of one worker process, so nothing here takes a lock. Objects of configuration
 * (redis, gate, clock) live as long as the cycle; calls, batches and orders as their rooms say.
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


#define NGX_HTTP_CHECKOUT_BODY_MAX       16384    /* bytes of a place-order body */
#define NGX_HTTP_CHECKOUT_BATCH_ORDERS   256      /* orders in one script call */
#define NGX_HTTP_CHECKOUT_BATCH_GROUPS   64       /* products in one script call */
#define NGX_HTTP_CHECKOUT_ORDERS_MAX     65536    /* orders that one worker process holds */
#define NGX_HTTP_CHECKOUT_CALLS_MAX      64       /* batches on their way at once */
#define NGX_HTTP_CHECKOUT_LOOKUPS_MAX    16384    /* reads on their way at once */
#define NGX_HTTP_CHECKOUT_REPLY_MAX      (16 * 1024 * 1024)   /* bytes of one reply */

#define NGX_HTTP_CHECKOUT_ORDERS_URL     "/api/orders/"


extern ngx_module_t  ngx_http_checkout_module;


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
};

/* Told once when the connection can take calls (again). */
struct ngx_http_checkout_waiter_s {
    ngx_queue_t                  queue;
    void                       (*handler)(ngx_http_checkout_waiter_t *waiter);
    unsigned                     waiting:1;
};

/* What "checkout_redis" names. */
typedef struct {
    ngx_str_t                    name;
    ngx_addr_t                  *addrs;
    ngx_uint_t                   naddrs;
    ngx_uint_t                   database;
} ngx_http_checkout_server_t;

typedef enum {
    NGX_HTTP_CHECKOUT_REDIS_CLOSED,        /* the next call opens it */
    NGX_HTTP_CHECKOUT_REDIS_WAITING,       /* for the moment to connect: this turn's end, or a backoff */
    NGX_HTTP_CHECKOUT_REDIS_CONNECTING,
    NGX_HTTP_CHECKOUT_REDIS_STARTING,      /* SELECT is under way */
    NGX_HTTP_CHECKOUT_REDIS_READY
} ngx_http_checkout_redis_state_e;

typedef struct {
    ngx_http_checkout_server_t       *server;
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
    ngx_http_checkout_call_t          start;     /* SELECT */

    ngx_event_t                       connect;   /* posted, or a timer in a backoff */
    ngx_uint_t                        failures;  /* connections lost in a row without a reply */
    ngx_uint_t                        next_addr;
    ngx_uint_t                        batches;   /* written by the gates and not answered */

    unsigned                          drop:1;
} ngx_http_checkout_redis_t;

void ngx_http_checkout_redis_init(ngx_http_checkout_redis_t *redis);
void ngx_http_checkout_redis_exit(ngx_http_checkout_redis_t *redis);
ngx_int_t ngx_http_checkout_redis_ready(ngx_http_checkout_redis_t *redis);
void ngx_http_checkout_redis_wait(ngx_http_checkout_redis_t *redis, ngx_http_checkout_waiter_t *waiter);
void ngx_http_checkout_redis_wake(ngx_http_checkout_redis_t *redis);
void ngx_http_checkout_redis_call(ngx_http_checkout_redis_t *redis, ngx_http_checkout_call_t *call);
ngx_int_t ngx_http_checkout_redis_withdraw(ngx_http_checkout_call_t *call);
void ngx_http_checkout_redis_drop(ngx_http_checkout_redis_t *redis);
ngx_int_t ngx_http_checkout_redis_error_is(redisReply *reply, const char *word);


/* script: one call is put together at a time, in memory of the process */

void ngx_http_checkout_script_begin(const struct checkout_script *script, ngx_uint_t source, ngx_uint_t keys);
void ngx_http_checkout_script_key(const char *prefix, const char *name, size_t len, const char *suffix);
void ngx_http_checkout_script_text(const char *text, size_t len);
void ngx_http_checkout_script_number(uint64_t value);
char *ngx_http_checkout_script_room(size_t size);
void ngx_http_checkout_script_take(size_t len);
ngx_int_t ngx_http_checkout_script_end(ngx_http_checkout_call_t *call);


/* reply */

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
    NGX_HTTP_CHECKOUT_UNKNOWN_STOCK
} ngx_http_checkout_code_e;

ngx_int_t ngx_http_checkout_english(ngx_http_request_t *r);
ngx_int_t ngx_http_checkout_header(ngx_http_request_t *r, const char *name, u_char *value, size_t len);
ngx_int_t ngx_http_checkout_send(ngx_http_request_t *r, ngx_uint_t status, ngx_buf_t *body);
ngx_int_t ngx_http_checkout_refuse(ngx_http_request_t *r, ngx_http_checkout_code_e code, ngx_str_t *members,
    ngx_uint_t retry_after);
ngx_int_t ngx_http_checkout_refuse_method(ngx_http_request_t *r, const char *allow);
void ngx_http_checkout_finish(ngx_http_request_t *r, ngx_int_t rc);


/* order and gate */

typedef enum {
    NGX_HTTP_CHECKOUT_ACCEPTED,      /* status: as in the record, "queued" for a new order */
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
    ngx_uint_t                   queue_limit;

    ngx_queue_t                  pending;    /* orders not in a batch, oldest first */
    ngx_event_t                  flush;      /* posted by the first order of a turn */
    ngx_http_checkout_waiter_t   waiter;
    time_t                       logged;     /* second of the last error that was logged */

    unsigned                     source:1;   /* the next call carries the script itself */
} ngx_http_checkout_gate_t;

ngx_int_t ngx_http_checkout_order_handler(ngx_http_request_t *r);
void ngx_http_checkout_order_answer(ngx_http_request_t *r, const char *identifier,
    const ngx_http_checkout_verdict_t *verdict);

void ngx_http_checkout_gate_init(ngx_http_checkout_gate_t *gate);
void ngx_http_checkout_gate_exit(ngx_http_checkout_gate_t *gate);
ngx_int_t ngx_http_checkout_gate_submit(ngx_http_checkout_gate_t *gate, ngx_http_checkout_clock_t *clock,
    ngx_http_request_t *r, const struct checkout_order *order);


/* status */

ngx_int_t ngx_http_checkout_status_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_checkout_stock_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_checkout_health_handler(ngx_http_request_t *r);


/* random */

ngx_int_t ngx_http_checkout_random(u_char *out, size_t len);


/* module */

typedef struct {
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

    ngx_str_t                    handler;    /* name of the handler's directive, where, and its value */
    ngx_str_t                    file;
    ngx_uint_t                   line;
    ngx_http_complex_value_t    *value;

    ngx_http_checkout_redis_t   *redis;
    ngx_http_checkout_gate_t    *gate;
    ngx_http_checkout_clock_t   *clock;
} ngx_http_checkout_loc_conf_t;


#endif
