/*
 * Answers in JSON: bodies and refusals.
 *
 * Buffers come from the request's pool.
 */
#include "request/response.h"

#include "request/count.h"
#include "order/order.h"
#include "text/number.h"


ngx_int_t
ngx_http_checkout_english(ngx_http_request_t *r)
{
#if (NGX_HTTP_HEADERS)
    ngx_str_t  *value;

    if (r->headers_in.accept_language == NULL) {
        return 0;
    }

    value = &r->headers_in.accept_language->value;

    return value->len >= 2
           && ngx_strncasecmp(value->data, (u_char *) "en", 2) == 0
           && (value->len == 2 || value->data[2] == '-'
               || value->data[2] == ',' || value->data[2] == ';'
               || value->data[2] == ' ');
#else
    return 0;
#endif
}


ngx_int_t
ngx_http_checkout_header(ngx_http_request_t *r, const char *name,
    u_char *value, size_t len)
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
ngx_http_checkout_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_buf_t *body)
{
    return ngx_http_checkout_send_type(r, status, "application/json", body);
}


ngx_int_t
ngx_http_checkout_send_type(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, ngx_buf_t *body)
{
    ngx_int_t    rc;
    ngx_chain_t  out;

    r->headers_out.status = status;

    if (status == 422) {
        /* nginx has no text for it */
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


/* 1: nginx has a page for it; as in ngx_http_special_response_handler(). */
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
    u_char  *value, *end;

    value = ngx_pnalloc(r->pool, NGX_INT_T_LEN);

    if (value == NULL) {
        return NGX_ERROR;
    }

    end = (u_char *) number_write((char *) value, seconds);

    return ngx_http_checkout_header(r, "Retry-After", value, end - value);
}


static ngx_buf_t *
ngx_http_checkout_refusal_body(ngx_http_request_t *r,
    const ngx_http_checkout_outcome_t *refusal, ngx_str_t *members)
{
    u_char      *p;
    size_t       len, message_len;
    ngx_buf_t   *b;
    const char  *message;

    message = ngx_http_checkout_english(r) ? refusal->english
                                           : refusal->chinese;
    message_len = ngx_strlen(message);
    len = sizeof("{\"message\":\"\",\"code\":\"\"}") - 1 + message_len
          + refusal->code.len + (members ? members->len : 0);

    b = ngx_create_temp_buf(r->pool, len);

    if (b == NULL) {
        return NULL;
    }

    p = ngx_cpymem(b->last, "{\"message\":\"", sizeof("{\"message\":\"") - 1);
    p = ngx_cpymem(p, message, message_len);
    p = ngx_cpymem(p, "\",\"code\":\"", sizeof("\",\"code\":\"") - 1);
    p = ngx_cpymem(p, refusal->code.data, refusal->code.len);
    *p++ = '"';

    if (members) {
        p = ngx_cpymem(p, members->data, members->len);
    }

    *p++ = '}';
    b->last = p;

    return b;
}


ngx_int_t
ngx_http_checkout_refuse(ngx_http_request_t *r,
    ngx_http_checkout_outcome_e outcome, ngx_str_t *members,
    ngx_uint_t retry_after)
{
    ngx_buf_t                          *b;
    const ngx_http_checkout_outcome_t  *refusal;

    refusal = &ngx_http_checkout_outcomes[outcome];

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "checkout request: refused: %V", &refusal->code);

    ngx_http_checkout_count_refusal(r, outcome);

    if (retry_after == 0) {
        retry_after = refusal->retry_after;
    }

    if (retry_after != 0
        && ngx_http_checkout_retry_after(r, retry_after) != NGX_OK)
    {
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


ngx_int_t
ngx_http_checkout_refuse_method(ngx_http_request_t *r, const char *allow)
{
    ngx_int_t  rc;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_checkout_header(r, "Allow", (u_char *) allow,
                                 ngx_strlen(allow))
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_checkout_refuse(r, NGX_HTTP_CHECKOUT_METHOD_NOT_ALLOWED,
                                    NULL, 0);
}
