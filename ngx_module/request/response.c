/*
 * Answers in JSON: the codes, statuses and messages of every refusal, and the sending of a body.
 *
 * Functions return what ngx_http_finalize_request() takes. Buffers come from the request's pool. Where
 * the location has an error_page for the status, the status goes to nginx and no body is made.
 */
#include "request/response.h"

#include "request/outcome.h"
#include "request/context.h"
#include "stats/counters.h"
#include "order/order.h"
#include "text/number.h"


typedef struct {
    ngx_uint_t   status;
    ngx_uint_t   retry_after;    /* seconds, 0: no such header */
    ngx_str_t    code;
    const char  *chinese;
    const char  *english;
} ngx_http_checkout_refusal_t;


/* In the order of ngx_http_checkout_code_e. */
static const ngx_http_checkout_refusal_t  ngx_http_checkout_refusals[] = {
    { 422, 0, ngx_string("invalid_request"), "請求內容有誤。", "The request is invalid." },
    { 422, 0, ngx_string("unknown_product"), "商品不存在。", "There is no such product." },
    { 422, 0, ngx_string("idempotency_conflict"), "此 Idempotency-Key 已用於內容不同的訂單。",
      "This Idempotency-Key was used for an order with other content." },
    { 400, 0, ngx_string("out_of_stock"), "商品庫存不足。", "Not enough units are left." },
    { 403, 0, ngx_string("sale_not_started"), "銷售尚未開始。", "The sale has not started." },
    { 403, 0, ngx_string("sale_ended"), "銷售已結束。", "The sale has ended." },
    { 403, 0, ngx_string("purchase_limit"), "超過每人限購數量。", "The purchase limit per buyer is exceeded." },
    { 503, 5, ngx_string("queue_full"), "訂單過多,請稍後再試。", "Too many orders are waiting; try again later." },
    { 503, 5, ngx_string("stock_not_loaded"), "商品庫存尚未載入,請稍後再試。", "The stock is not loaded yet; try again later." },
    { 503, 1, ngx_string("unavailable"), "服務暫時無法使用,請稍後再試。", "The service is unavailable; try again later." },
    { 500, 0, ngx_string("outcome_unknown"), "訂單結果未知,請以訂單編號查詢。",
      "The outcome of the order is unknown; ask for it by its identifier." },
    { 405, 0, ngx_string("method_not_allowed"), "不支援此請求方法。", "The method is not allowed." },
    { 413, 0, ngx_string("body_too_large"), "請求內容過大。", "The request body is too large." },
    { 415, 0, ngx_string("unsupported_media_type"), "請求內容必須是 application/json。", "The body must be application/json." },
    { 404, 0, ngx_string("order_not_found"), "訂單不存在。", "There is no such order." },
    { 404, 0, ngx_string("unknown_product"), "商品不存在", "There is no such product." },
    { 401, 0, ngx_string("unauthorized"), "請先登入。", "Please log in first." },
    { 404, 0, ngx_string("not_found"), "查無資料。", "Nothing was found." },
    { 502, 0, ngx_string("bad_gateway"), "資料庫沒有正確回應,請稍後再試。", "The database gave no proper answer; try again later." },
    { 504, 0, ngx_string("gateway_timeout"), "資料庫沒有及時回應,請稍後再試。", "The database did not answer in time; try again later." },
    { 401, 0, ngx_string("unauthorized"), "需要有效的管理權杖。", "A valid admin token is needed." },
    { 409, 0, ngx_string("orders_in_flight"), "此商品尚有處理中的訂單,庫存未變更。",
      "Orders of this product are in flight; its stock was not changed." },
    { 503, 1, ngx_string("unavailable"), "MySQL 未及時回應,庫存是否已設定未知;可以安全地重送此請求。",
      "MySQL gave no answer in time; whether the stock is set is unknown. The request may be sent again." },
    { 503, 1, ngx_string("unavailable"), "MySQL 的庫存已設定,但 Redis 尚未更新;Redis 隨後會更新,也可以重送此請求。",
      "The stock is set in MySQL, but Redis was not told yet. It will follow, and the request may be sent again." },
    { 409, 0, ngx_string("not_cancellable"), "此訂單的狀態已無法取消。", "The order cannot be cancelled in its present status." },
    { 400, 0, ngx_string("missing_signature"), "缺少簽章標頭。", "A header of the signature is missing." },
    { 400, 0, ngx_string("bad_signature"), "簽章無效。", "The signature is not valid." },
    { 400, 0, ngx_string("stale_timestamp"), "簽章時間超出允許範圍。", "The signature's time is too far from now." },
    { 400, 0, ngx_string("invalid_event"), "事件沒有可用的 id。", "The event has no usable id." },
};


/* Can a read (reads = 1) or an order (reads = 0) come to this? For what is counted. */
ngx_uint_t
ngx_http_checkout_outcome_of(ngx_uint_t outcome, ngx_uint_t reads)
{
    switch (outcome) {

    case NGX_HTTP_CHECKOUT_ORDER_NOT_FOUND:
    case NGX_HTTP_CHECKOUT_UNKNOWN_STOCK:
    case NGX_HTTP_CHECKOUT_FOUND:
    case NGX_HTTP_CHECKOUT_NOT_FOUND:
    case NGX_HTTP_CHECKOUT_BAD_GATEWAY:
    case NGX_HTTP_CHECKOUT_GATEWAY_TIMEOUT:
        return reads;

    case NGX_HTTP_CHECKOUT_NO_ADMIN:
    case NGX_HTTP_CHECKOUT_ORDERS_IN_FLIGHT:
    case NGX_HTTP_CHECKOUT_STOCK_UNKNOWN:
    case NGX_HTTP_CHECKOUT_STOCK_NOT_PUSHED:
    case NGX_HTTP_CHECKOUT_NOT_CANCELLABLE:
        return 0;

    case NGX_HTTP_CHECKOUT_INVALID_REQUEST:
    case NGX_HTTP_CHECKOUT_UNAVAILABLE:
    case NGX_HTTP_CHECKOUT_UNAUTHORIZED:
    case NGX_HTTP_CHECKOUT_METHOD_NOT_ALLOWED:
        return 1;

    case NGX_HTTP_CHECKOUT_MISSING_SIGNATURE:
    case NGX_HTTP_CHECKOUT_BAD_SIGNATURE:
    case NGX_HTTP_CHECKOUT_STALE_TIMESTAMP:
    case NGX_HTTP_CHECKOUT_INVALID_EVENT:
        return 0;

    default:
        return !reads;
    }
}


const char *
ngx_http_checkout_outcome_name(ngx_uint_t outcome)
{
    switch (outcome) {

    case NGX_HTTP_CHECKOUT_QUEUED:
        return "queued";

    case NGX_HTTP_CHECKOUT_KNOWN:
        return "known";

    case NGX_HTTP_CHECKOUT_FOUND:
        return "found";

    default:
        return (const char *) ngx_http_checkout_refusals[outcome].code.data;
    }
}


/* English where the first language of Accept-Language is English. */
ngx_int_t
ngx_http_checkout_english(ngx_http_request_t *r)
{
#if (NGX_HTTP_HEADERS)
    ngx_str_t  *value;

    if (r->headers_in.accept_language == NULL) {
        return 0;
    }

    value = &r->headers_in.accept_language->value;

    return value->len >= 2 && ngx_strncasecmp(value->data, (u_char *) "en", 2) == 0
           && (value->len == 2 || value->data[2] == '-' || value->data[2] == ',' || value->data[2] == ';'
               || value->data[2] == ' ');
#else
    return 0;
#endif
}


/* A header as it stands: a relative Location stays relative. name and value must outlive the request. */
ngx_int_t
ngx_http_checkout_header(ngx_http_request_t *r, const char *name, u_char *value, size_t len)
{
    ngx_table_elt_t  *header;

    header = ngx_list_push(&r->headers_out.headers);

    if (header == NULL) {
        return NGX_ERROR;
    }

    header->hash = 1;
#if (nginx_version >= 1023000)
    header->next = NULL;
#endif
    header->key.data = (u_char *) name;
    header->key.len = ngx_strlen(name);
    header->value.data = value;
    header->value.len = len;

    return NGX_OK;
}


ngx_int_t
ngx_http_checkout_send(ngx_http_request_t *r, ngx_uint_t status, ngx_buf_t *body)
{
    return ngx_http_checkout_send_type(r, status, "application/json", body);
}


/* type: constant text */
ngx_int_t
ngx_http_checkout_send_type(ngx_http_request_t *r, ngx_uint_t status, const char *type, ngx_buf_t *body)
{
    ngx_int_t    rc;
    ngx_chain_t  out;

    r->headers_out.status = status;

    if (status == 422) {
        /* nginx has no words for it */
        ngx_str_set(&r->headers_out.status_line, "422 Unprocessable Content");
    }

    r->headers_out.content_length_n = body->last - body->pos;
    r->headers_out.content_type.data = (u_char *) type;
    r->headers_out.content_type.len = ngx_strlen(type);
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    body->last_buf = (r == r->main) ? 1 : 0;
    body->last_in_chain = 1;

    out.buf = body;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


/* Ends a request from an event that is not its own. */
void
ngx_http_checkout_finish(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_http_checkout_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_checkout_module);
    ngx_http_checkout_waiting_finish(&ctx->waiting, rc);
}


/* As in ngx_http_special_response_handler(): would nginx find a page for this status? */
static ngx_uint_t
ngx_http_checkout_has_error_page(ngx_http_request_t *r, ngx_uint_t status)
{
    ngx_uint_t                 i;
    ngx_http_err_page_t       *pages;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->error_pages == NULL || r->error_page || r->uri_changes == 0) {
        return 0;
    }

    pages = clcf->error_pages->elts;

    for (i = 0; i < clcf->error_pages->nelts; i++) {
        if ((ngx_uint_t) pages[i].status == status) {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_checkout_retry_after(ngx_http_request_t *r, ngx_uint_t seconds)
{
    u_char  *value;

    value = ngx_pnalloc(r->pool, NGX_INT_T_LEN);

    if (value == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_checkout_header(r, "Retry-After", value,
                                    (u_char *) number_write((char *) value, seconds) - value);
}


/* {"message":"…","code":"…"members}. members: NULL, or more members, each with its comma in front. */
static ngx_buf_t *
ngx_http_checkout_refusal_body(ngx_http_request_t *r, const ngx_http_checkout_refusal_t *refusal, ngx_str_t *members)
{
    size_t       message_len;
    ngx_buf_t   *b;
    const char  *message;

    message = ngx_http_checkout_english(r) ? refusal->english : refusal->chinese;
    message_len = ngx_strlen(message);

    b = ngx_create_temp_buf(r->pool, sizeof("{\"message\":\"\",\"code\":\"\"}") - 1 + message_len + refusal->code.len
                                     + (members ? members->len : 0));
    if (b == NULL) {
        return NULL;
    }

    b->last = ngx_cpymem(b->last, "{\"message\":\"", sizeof("{\"message\":\"") - 1);
    b->last = ngx_cpymem(b->last, message, message_len);
    b->last = ngx_cpymem(b->last, "\",\"code\":\"", sizeof("\",\"code\":\"") - 1);
    b->last = ngx_cpymem(b->last, refusal->code.data, refusal->code.len);
    *b->last++ = '"';

    if (members) {
        b->last = ngx_cpymem(b->last, members->data, members->len);
    }

    *b->last++ = '}';

    return b;
}


/* For the variables and the counters. */
static void
ngx_http_checkout_note_refusal(ngx_http_request_t *r, ngx_http_checkout_code_e code)
{
    ngx_http_checkout_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_checkout_module);

    if (ctx == NULL) {
        return;
    }

    ctx->status = ngx_http_checkout_refusals[code].code;
    ctx->refused = 1;

    /* who had an answer all the same is not counted */
    if (ctx->waiting.late && ngx_http_checkout_refusals[code].status >= 500) {
        ngx_http_checkout_count(timeouts, 1);
    }

    switch (ctx->kind) {

    case NGX_HTTP_CHECKOUT_REQUEST_ORDER:
        ngx_http_checkout_count(orders[code], 1);
        return;

    case NGX_HTTP_CHECKOUT_REQUEST_READ:
        ngx_http_checkout_count(reads[code], 1);
        return;

    case NGX_HTTP_CHECKOUT_REQUEST_INIT_STOCK:
        ngx_http_checkout_count(stock_inits[ngx_http_checkout_refusals[code].status < 500 ? NGX_HTTP_CHECKOUT_STOCK_REFUSED : NGX_HTTP_CHECKOUT_STOCK_FAILED], 1);
        return;

    case NGX_HTTP_CHECKOUT_REQUEST_CANCEL:
        ngx_http_checkout_count(cancels[ngx_http_checkout_refusals[code].status < 500 ? NGX_HTTP_CHECKOUT_CANCEL_REFUSED : NGX_HTTP_CHECKOUT_CANCEL_FAILED], 1);
        return;

    case NGX_HTTP_CHECKOUT_REQUEST_WEBHOOK:
        ngx_http_checkout_count(webhooks[ngx_http_checkout_refusals[code].status < 500 ? NGX_HTTP_CHECKOUT_WEBHOOK_REFUSED : NGX_HTTP_CHECKOUT_WEBHOOK_FAILED], 1);
        return;

    default:
        return;
    }
}


/* retry_after: seconds, 0 for what is usual with the code. */
ngx_int_t
ngx_http_checkout_refuse(ngx_http_request_t *r, ngx_http_checkout_code_e code, ngx_str_t *members,
    ngx_uint_t retry_after)
{
    ngx_buf_t                          *b;
    const ngx_http_checkout_refusal_t  *refusal;

    refusal = &ngx_http_checkout_refusals[code];
    ngx_http_checkout_note_refusal(r, code);

    if (retry_after == 0) {
        retry_after = refusal->retry_after;
    }

    if (retry_after != 0 && ngx_http_checkout_retry_after(r, retry_after) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_checkout_has_error_page(r, refusal->status)) {
        return refusal->status;
    }

    b = ngx_http_checkout_refusal_body(r, refusal, members);

    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_checkout_send(r, refusal->status, b);
}


/* 405. allow: constant text, the methods that are allowed. */
ngx_int_t
ngx_http_checkout_refuse_method(ngx_http_request_t *r, const char *allow)
{
    ngx_int_t  rc;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_checkout_header(r, "Allow", (u_char *) allow, ngx_strlen(allow)) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_METHOD_NOT_ALLOWED, NULL, 0);
}
