/*
 * What can become of a request: refusals, and what went well.
 *
 * The table in outcome.c has status, code and texts of each.  An order's
 * verdict (gate/queue.h) becomes an outcome by the table
 * ngx_http_checkout_order_outcomes in handlers/place_order.c, a job's end by
 * ngx_http_checkout_sql_refuse() (sql/job.h).
 */
#ifndef NGX_HTTP_CHECKOUT_REQUEST_OUTCOME_H
#define NGX_HTTP_CHECKOUT_REQUEST_OUTCOME_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* Beside each: its status of HTTP. */
typedef enum {
    NGX_HTTP_CHECKOUT_INVALID_REQUEST,      /* 422 */
    NGX_HTTP_CHECKOUT_UNKNOWN_PRODUCT,      /* 422 */
    NGX_HTTP_CHECKOUT_IDEMPOTENCY_CONFLICT, /* 422 */
    NGX_HTTP_CHECKOUT_OUT_OF_STOCK,         /* 400 */
    NGX_HTTP_CHECKOUT_SALE_NOT_STARTED,     /* 403 */
    NGX_HTTP_CHECKOUT_SALE_ENDED,           /* 403 */
    NGX_HTTP_CHECKOUT_PURCHASE_LIMIT,       /* 403 */
    NGX_HTTP_CHECKOUT_QUEUE_FULL,           /* 503 */
    NGX_HTTP_CHECKOUT_STOCK_NOT_LOADED,     /* 503 */
    NGX_HTTP_CHECKOUT_UNAVAILABLE,          /* 503 */
    NGX_HTTP_CHECKOUT_OUTCOME_UNKNOWN,      /* 500 */
    NGX_HTTP_CHECKOUT_METHOD_NOT_ALLOWED,   /* 405 */
    NGX_HTTP_CHECKOUT_BODY_TOO_LARGE,       /* 413 */
    NGX_HTTP_CHECKOUT_UNSUPPORTED_TYPE,     /* 415 */
    NGX_HTTP_CHECKOUT_ORDER_NOT_FOUND,      /* 404 */
    NGX_HTTP_CHECKOUT_STOCK_NOT_FOUND,      /* 404: a read of live stock */
    NGX_HTTP_CHECKOUT_UNAUTHORIZED,         /* 401 */
    NGX_HTTP_CHECKOUT_NOT_FOUND,            /* 404 */
    NGX_HTTP_CHECKOUT_BAD_GATEWAY,          /* 502 */
    NGX_HTTP_CHECKOUT_GATEWAY_TIMEOUT,      /* 504 */
    NGX_HTTP_CHECKOUT_ADMIN_UNAUTHORIZED,   /* 401 */
    NGX_HTTP_CHECKOUT_ORDERS_IN_FLIGHT,     /* 409 */
    NGX_HTTP_CHECKOUT_STOCK_UNKNOWN,    /* 503: MySQL may have been changed */
    NGX_HTTP_CHECKOUT_STOCK_NOT_PUSHED, /* 503: MySQL was changed, Redis not */
    NGX_HTTP_CHECKOUT_NOT_CANCELLABLE,  /* 409 */
    NGX_HTTP_CHECKOUT_MISSING_SIGNATURE, /* 400 */
    NGX_HTTP_CHECKOUT_BAD_SIGNATURE,     /* 400 */
    NGX_HTTP_CHECKOUT_STALE_TIMESTAMP,   /* 400 */
    NGX_HTTP_CHECKOUT_INVALID_EVENT,     /* 400 */

    /* these went well */
    NGX_HTTP_CHECKOUT_QUEUED,         /* 202 */
    NGX_HTTP_CHECKOUT_KNOWN,          /* 202: a keyed order, placed before */
    NGX_HTTP_CHECKOUT_FOUND,          /* 200: a read */
    NGX_HTTP_CHECKOUT_STOCK_SET,      /* 200 */
    NGX_HTTP_CHECKOUT_CANCELLED,      /* 200 */
    NGX_HTTP_CHECKOUT_EVENT_RECEIVED, /* 200: a webhook */
    NGX_HTTP_CHECKOUT_EVENT_REPEATED, /* 200 */

    NGX_HTTP_CHECKOUT_OUTCOMES
} ngx_http_checkout_outcome_e;


/* Requests that can come to an outcome; others are not counted one by one. */
#define NGX_HTTP_CHECKOUT_OF_ORDERS  0x01
#define NGX_HTTP_CHECKOUT_OF_READS   0x02
#define NGX_HTTP_CHECKOUT_OF_BOTH    0x03

typedef struct {
    ngx_uint_t   status;       /* of HTTP */
    ngx_uint_t   retry_after;  /* s; 0: no such header */
    ngx_str_t    code;         /* ends with NUL */
    ngx_uint_t   of;
    const char  *chinese;  /* NULL: not a refusal */
    const char  *english;
} ngx_http_checkout_outcome_t;

/* openapi.yaml lists the codes; t/ngx_module/openapi.t compares. */
extern const ngx_http_checkout_outcome_t
    ngx_http_checkout_outcomes[NGX_HTTP_CHECKOUT_OUTCOMES];


#endif
