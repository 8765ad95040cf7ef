/*
 * POST place-order: the request is checked here, handed to the gate, and
 * answered here.
 *
 * Everything that is allocated comes from the request's pool.  The gate keeps
 * a copy of the order, so nothing here needs the request to live until the
 * verdict.
 */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "conf/conf.h"
#include "gate/marks.h"
#include "gate/queue.h"
#include "handlers/handlers.h"
#include "request/body.h"
#include "request/count.h"
#include "request/outcome.h"
#include "request/response.h"
#include "request/sticky.h"
#include "request/context.h"
#include "request/user.h"
#include "stats/counters.h"
#include "order/identifier.h"
#include "order/order.h"
#include "text/number.h"


#define NGX_HTTP_CHECKOUT_KEY_MAX  255 /* bytes of an Idempotency-Key */


static void ngx_http_checkout_order_body(ngx_http_request_t *r);
static void ngx_http_checkout_order_answer(ngx_http_request_t *r,
    const ngx_http_checkout_verdict_t *verdict);


/* What a verdict of the gate means for the client. */
static const ngx_http_checkout_outcome_e
    ngx_http_checkout_order_outcomes[NGX_HTTP_CHECKOUT_VERDICTS] = {
        [CHECKOUT_VERDICT_QUEUED] = NGX_HTTP_CHECKOUT_QUEUED,
        [CHECKOUT_VERDICT_KNOWN] = NGX_HTTP_CHECKOUT_KNOWN,
        [CHECKOUT_VERDICT_CONFLICT] = NGX_HTTP_CHECKOUT_IDEMPOTENCY_CONFLICT,
        [CHECKOUT_VERDICT_REBUILDING] = NGX_HTTP_CHECKOUT_UNAVAILABLE,
        [CHECKOUT_VERDICT_STOCK_NOT_LOADED] =
            NGX_HTTP_CHECKOUT_STOCK_NOT_LOADED,
        [CHECKOUT_VERDICT_UNKNOWN_PRODUCT] = NGX_HTTP_CHECKOUT_UNKNOWN_PRODUCT,
        [CHECKOUT_VERDICT_SALE_NOT_STARTED] =
            NGX_HTTP_CHECKOUT_SALE_NOT_STARTED,
        [CHECKOUT_VERDICT_SALE_ENDED] = NGX_HTTP_CHECKOUT_SALE_ENDED,
        [CHECKOUT_VERDICT_OVER_QUANTITY] = NGX_HTTP_CHECKOUT_INVALID_REQUEST,
        [CHECKOUT_VERDICT_PURCHASE_LIMIT] = NGX_HTTP_CHECKOUT_PURCHASE_LIMIT,
        [CHECKOUT_VERDICT_QUEUE_FULL] = NGX_HTTP_CHECKOUT_QUEUE_FULL,
        [CHECKOUT_VERDICT_OUT_OF_STOCK] = NGX_HTTP_CHECKOUT_OUT_OF_STOCK,
        [CHECKOUT_VERDICT_BROKEN] = NGX_HTTP_CHECKOUT_UNAVAILABLE,
        [NGX_HTTP_CHECKOUT_VERDICT_UNKNOWN] =
            NGX_HTTP_CHECKOUT_OUTCOME_UNKNOWN,
        [NGX_HTTP_CHECKOUT_VERDICT_UNAVAILABLE] = NGX_HTTP_CHECKOUT_UNAVAILABLE
    };


/* The Idempotency-Key: one header, 1 to 255 printable ASCII characters. */
static void
ngx_http_checkout_order_key(ngx_http_request_t *r,
    ngx_http_checkout_ctx_t *ctx)
{
    size_t            j;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    part = &r->headers_in.headers.part;
    header = part->elts;

    for (i = 0; /* void */; i++) {
        if (i >= part->nelts) {
            if (part->next == NULL) {
                return;
            }

            part = part->next;
            header = part->elts;
            i = 0;
        }

        if (header[i].key.len != sizeof("Idempotency-Key") - 1
            || ngx_strncasecmp(header[i].key.data,
                               (u_char *) "Idempotency-Key", header[i].key.len)
                   != 0)
        {
            continue;
        }

        ctx->bad_key |= ctx->key.data != NULL || header[i].value.len < 1
                        || header[i].value.len > NGX_HTTP_CHECKOUT_KEY_MAX;
        ctx->key = header[i].value;

        for (j = 0; !ctx->bad_key && j < ctx->key.len; j++) {
            ctx->bad_key = ctx->key.data[j] < 0x20 || ctx->key.data[j] > 0x7e;
        }
    }
}


ngx_int_t
ngx_http_checkout_order_handler(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_http_checkout_ctx_t  *ctx;

    ctx = ngx_http_checkout_ctx_create_main(r, NGX_HTTP_CHECKOUT_REQUEST_ORDER,
                                            "checkout_place_order");

    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->method != NGX_HTTP_POST) {
        return ngx_http_checkout_refuse_method(r, "POST");
    }

    rc = ngx_http_checkout_user(r, &ctx->user_id);

    if (rc == NGX_DECLINED) {
        return ngx_http_checkout_refuse_unread(r,
                                               NGX_HTTP_CHECKOUT_UNAUTHORIZED);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_checkout_order_key(r, ctx);

    return ngx_http_checkout_body_read_json(r, ngx_http_checkout_order_body);
}


/* 422 with what is wrong with each field, or with the body as a whole. */
static ngx_int_t
ngx_http_checkout_order_invalid(ngx_http_request_t *r,
    const struct checkout_order_errors *errors, uint64_t most)
{
    u_char                   *p, *end, *first;
    ngx_str_t                 members;
    ngx_uint_t                english;
    ngx_http_checkout_ctx_t  *ctx;
    u_char                    text[768];

    english = ngx_http_checkout_english(r);
    end = text + sizeof(text);
    first = ngx_slprintf(text, end, ",\"errors\":{");
    p = first;

    ctx = ngx_http_get_module_ctx(r, ngx_http_checkout_module);

    if (ctx->bad_key) {
        p = ngx_slprintf(
            p, end, "\"Idempotency-Key\":[\"%s\"]",
            english ? "This must be one header of 1 to 255 printable "
                      "ASCII characters."
                    : "必須是單一標頭,且為 1 到 255 個可列印的 "
                      "ASCII 字元。");
    }

    if (errors->syntax != NULL) {
        p = ngx_http_checkout_body_syntax(p, end, first, errors->syntax,
                                          errors->offset, english);

    } else {
        p = ngx_http_checkout_body_field(
            p, end, first, "product_id", errors->product_id, 1, INT64_MAX,
            english);
        p = ngx_http_checkout_body_field(p, end, first, "quantity",
                                         errors->quantity, 1, most, english);
        p = ngx_http_checkout_body_field(
            p, end, first, "user_id", errors->user_id, 1, UINT64_MAX, english);
    }

    p = ngx_slprintf(p, end, "}");

    members.data = text;
    members.len = p - text;

    return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_INVALID_REQUEST,
                                    &members, 0);
}


#define NGX_HTTP_CHECKOUT_202_CHINESE \
    "{\"message\":\"訂單已提交,正在處理中。\",\"order_identifier\":\""
#define NGX_HTTP_CHECKOUT_202_ENGLISH \
    "{\"message\":\"The order is submitted and being processed.\"," \
    "\"order_identifier\":\""
#define NGX_HTTP_CHECKOUT_202_STATUS  "\",\"status\":\""
#define NGX_HTTP_CHECKOUT_202_URL \
    "\",\"status_url\":\"" NGX_HTTP_CHECKOUT_ORDERS_URL

#define ngx_http_checkout_copy(p, text)  ngx_cpymem(p, text, sizeof(text) - 1)


/* 202. The Location header is the part of the body that says the same. */
static ngx_int_t
ngx_http_checkout_order_accepted(ngx_http_checkout_ctx_t *ctx,
    const ngx_str_t *status)
{
    u_char              *p, *url;
    ngx_buf_t           *b;
    ngx_http_request_t  *r;

    r = ctx->waiting.request;

    b = ngx_create_temp_buf(
        r->pool,
        sizeof(NGX_HTTP_CHECKOUT_202_CHINESE)
            + sizeof(NGX_HTTP_CHECKOUT_202_ENGLISH)
            + sizeof(NGX_HTTP_CHECKOUT_202_STATUS)
            + sizeof(NGX_HTTP_CHECKOUT_202_URL) + 2 * CHECKOUT_IDENTIFIER_LEN
            + status->len + 2);

    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = ngx_http_checkout_english(r)
            ? ngx_http_checkout_copy(b->pos, NGX_HTTP_CHECKOUT_202_ENGLISH)
            : ngx_http_checkout_copy(b->pos, NGX_HTTP_CHECKOUT_202_CHINESE);
    p = ngx_cpymem(p, ctx->identifier, CHECKOUT_IDENTIFIER_LEN);
    p = ngx_http_checkout_copy(p, NGX_HTTP_CHECKOUT_202_STATUS);
    ctx->status.data = p;
    ctx->status.len = status->len;
    p = ngx_cpymem(p, status->data, status->len);
    p = ngx_http_checkout_copy(p, NGX_HTTP_CHECKOUT_202_URL);
    url = p - (sizeof(NGX_HTTP_CHECKOUT_ORDERS_URL) - 1);
    p = ngx_cpymem(p, ctx->identifier, CHECKOUT_IDENTIFIER_LEN);

    if (ngx_http_checkout_header(r, "Location", url, p - url) != NGX_OK
        || ngx_http_checkout_sticky_set(r) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    *p++ = '"';
    *p++ = '}';
    b->last = p;

    return ngx_http_checkout_send(r, NGX_HTTP_ACCEPTED, b);
}


/*
 * number: of units that are left, or of ms to wait, where the code has one.
 */
static ngx_int_t
ngx_http_checkout_order_refused(ngx_http_checkout_ctx_t *ctx,
    ngx_http_checkout_outcome_e code, uint64_t number)
{
    u_char      *p;
    ngx_str_t    members;
    ngx_uint_t   retry_after;
    u_char text[sizeof(",\"order_identifier\":\"\"") + CHECKOUT_IDENTIFIER_LEN
                + NGX_INT64_LEN];

    p = text;
    retry_after = 0;

    switch (code) {

    case NGX_HTTP_CHECKOUT_OUT_OF_STOCK:
        p = ngx_http_checkout_copy(p, ",\"available\":");
        p = (u_char *) number_write((char *) p, number);
        break;

    case NGX_HTTP_CHECKOUT_OUTCOME_UNKNOWN:
        p = ngx_http_checkout_copy(p, ",\"order_identifier\":\"");
        p = ngx_cpymem(p, ctx->identifier, CHECKOUT_IDENTIFIER_LEN);
        *p++ = '"';
        break;

    case NGX_HTTP_CHECKOUT_SALE_NOT_STARTED:
        retry_after = ngx_max(1, number / 1000 + (number % 1000 != 0));
        break;

    default:
        break;
    }

    members.data = text;
    members.len = p - text;

    return ngx_http_checkout_refuse(ctx->waiting.request, code, &members,
                                    retry_after);
}


/* The gate's verdict.  The request may be gone when this returns. */
static void
ngx_http_checkout_order_answer(ngx_http_request_t *r,
    const ngx_http_checkout_verdict_t *verdict)
{
    ngx_int_t                      rc;
    ngx_http_checkout_ctx_t       *ctx;
    ngx_http_checkout_outcome_e    code;
    struct checkout_order_errors   errors;
    static const ngx_str_t         queued = ngx_string("queued");

    ctx = ngx_http_get_module_ctx(r, ngx_http_checkout_module);
    ctx->batch = verdict->batch;
    code = ngx_http_checkout_order_outcomes[verdict->kind];

    switch (code) {

    case NGX_HTTP_CHECKOUT_QUEUED:
    case NGX_HTTP_CHECKOUT_KNOWN:
        ngx_memcpy(ctx->identifier, verdict->identifier,
                   CHECKOUT_IDENTIFIER_LEN);
        ngx_http_checkout_count_outcome(ctx, code);
        rc = ngx_http_checkout_order_accepted(
            ctx, code == NGX_HTTP_CHECKOUT_KNOWN ? &verdict->status : &queued);
        break;

    case NGX_HTTP_CHECKOUT_OUTCOME_UNKNOWN:
        ngx_memcpy(ctx->identifier, verdict->identifier,
                   CHECKOUT_IDENTIFIER_LEN);
        rc = ngx_http_checkout_order_refused(ctx, code, 0);
        break;

    case NGX_HTTP_CHECKOUT_INVALID_REQUEST: /* more than one may have */
        ngx_memzero(&errors, sizeof(errors));
        errors.quantity = CHECKOUT_FIELD_TOO_LARGE;
        rc = ngx_http_checkout_order_invalid(r, &errors, verdict->number);
        break;

    default:
        rc = ngx_http_checkout_order_refused(ctx, code, verdict->number);
    }

    ngx_http_checkout_waiting_finish(&ctx->waiting, rc);
}


/*
 * NGX_OK: a mark says that too little is left, and how much.  NGX_DECLINED:
 * Redis must be asked; also of a keyed order, which may be one that was placed
 * before.
 */
static ngx_int_t
ngx_http_checkout_order_is_marked(ngx_http_checkout_loc_conf_t *clcf,
    ngx_http_checkout_ctx_t *ctx, const struct checkout_order *order,
    uint64_t *left)
{
    ngx_int_t  rc;

    if (clcf->zone == NULL || ctx->key.len) {
        return NGX_DECLINED;
    }

    rc = ngx_http_checkout_marks_find(
        clcf->zone->shared, clcf->redis->key, order->product_id,
        clcf->gate_settings.sold_out_cache, left);

    return rc == NGX_OK && order->quantity > *left ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_checkout_order_submit(ngx_http_request_t *r,
    ngx_http_checkout_ctx_t *ctx, struct checkout_order *order)
{
    uint64_t                       left;
    ngx_http_checkout_loc_conf_t  *clcf;

    clcf = ngx_http_checkout_location(r);
    ctx->product_id = order->product_id;

    if (clcf->request.user != NULL) {
        order->user_id = ctx->user_id;
    }

    if (ngx_http_checkout_order_is_marked(clcf, ctx, order, &left) == NGX_OK) {
        ngx_http_checkout_count(sold_out_local, 1);

        return ngx_http_checkout_order_refused(
            ctx, NGX_HTTP_CHECKOUT_OUT_OF_STOCK, left);
    }

    if (ngx_http_checkout_gate_submit(clcf->gate, &ctx->waiting, order,
                                      &ctx->key,
                                      ngx_http_checkout_order_answer)
        != NGX_OK)
    {
        return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_UNAVAILABLE, NULL,
                                        0);
    }

    ngx_http_checkout_waiting_begin_with_body(&ctx->waiting, clcf->clock);

    return NGX_DONE;
}


/* The body has arrived. */
static void
ngx_http_checkout_order_body(ngx_http_request_t *r)
{
    ngx_int_t                      rc;
    ngx_str_t                      text;
    struct checkout_order          order;
    struct checkout_order_errors   errors;
    ngx_http_checkout_ctx_t       *ctx;
    ngx_http_checkout_loc_conf_t  *clcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_checkout_module);
    clcf = ngx_http_checkout_location(r);

    rc = ngx_http_checkout_body_text(r, NGX_HTTP_CHECKOUT_BODY_MAX, &text);

    if (rc == NGX_DECLINED) {
        rc = ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_BODY_TOO_LARGE,
                                      NULL, 0);

    } else if (rc != NGX_OK) {
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    } else if (checkout_order_parse(&order, text.len ? (char *) text.data : "",
                                    text.len, clcf->max_quantity,
                                    clcf->request.user == NULL, &errors)
                   != 0
               || ctx->bad_key)
    {
        rc = ngx_http_checkout_order_invalid(r, &errors, clcf->max_quantity);

    } else {
        rc = ngx_http_checkout_order_submit(r, ctx, &order);

        if (rc == NGX_DONE) {
            return; /* the gate will answer */
        }
    }

    ngx_http_finalize_request(r, rc);
}
