/*
 * What can become of a request: refusals, and what went well.
 */
#ifndef NGX_HTTP_CHECKOUT_REQUEST_OUTCOME_H
#define NGX_HTTP_CHECKOUT_REQUEST_OUTCOME_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


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
    NGX_HTTP_CHECKOUT_STOCK_NOT_FOUND, /* a read of live stock */
    NGX_HTTP_CHECKOUT_UNAUTHORIZED,
    NGX_HTTP_CHECKOUT_NOT_FOUND,
    NGX_HTTP_CHECKOUT_BAD_GATEWAY,
    NGX_HTTP_CHECKOUT_GATEWAY_TIMEOUT,
    NGX_HTTP_CHECKOUT_ADMIN_UNAUTHORIZED,
    NGX_HTTP_CHECKOUT_ORDERS_IN_FLIGHT,
    NGX_HTTP_CHECKOUT_STOCK_UNKNOWN,    /* MySQL may have been changed */
    NGX_HTTP_CHECKOUT_STOCK_NOT_PUSHED, /* MySQL was changed, Redis not */
    NGX_HTTP_CHECKOUT_NOT_CANCELLABLE,
    NGX_HTTP_CHECKOUT_MISSING_SIGNATURE,
    NGX_HTTP_CHECKOUT_BAD_SIGNATURE,
    NGX_HTTP_CHECKOUT_STALE_TIMESTAMP,
    NGX_HTTP_CHECKOUT_INVALID_EVENT,

    /* these went well */
    NGX_HTTP_CHECKOUT_QUEUED,
    NGX_HTTP_CHECKOUT_KNOWN, /* a keyed order, placed before */
    NGX_HTTP_CHECKOUT_FOUND, /* a read */
    NGX_HTTP_CHECKOUT_STOCK_SET,
    NGX_HTTP_CHECKOUT_CANCELLED,
    NGX_HTTP_CHECKOUT_EVENT_RECEIVED, /* a webhook */
    NGX_HTTP_CHECKOUT_EVENT_REPEATED,

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
