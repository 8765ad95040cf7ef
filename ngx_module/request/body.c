/*
 * The body of a request: its type, its text in one piece, and the texts for
 * what is wrong with it.
 *
 * What is allocated comes from the request's pool. A body is read with
 * r->request_body_in_single_buf.
 */
#include "request/body.h"

#include "request/outcome.h"
#include "request/response.h"
#include "text/json_fields.h"


static ngx_uint_t
ngx_http_checkout_body_is_json(ngx_http_request_t *r)
{
    size_t      len;
    ngx_str_t  *type;

    if (r->headers_in.content_type == NULL) {
        return 0;
    }

    type = &r->headers_in.content_type->value;
    len = sizeof("application/json") - 1;

    if (type->len < len
        || ngx_strncasecmp(type->data, (u_char *) "application/json", len)
               != 0)
    {
        return 0;
    }

    return type->len == len || type->data[len] == ';' || type->data[len] == ' '
           || type->data[len] == '\t';
}


ngx_int_t
ngx_http_checkout_refuse_unread(ngx_http_request_t *r,
    ngx_http_checkout_outcome_e outcome)
{
    ngx_int_t  rc;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_checkout_refuse(r, outcome, NULL, 0);
}


ngx_int_t
ngx_http_checkout_body_read_json(ngx_http_request_t *r,
    ngx_http_client_body_handler_pt handler)
{
    ngx_int_t  rc;

    if (!ngx_http_checkout_body_is_json(r)) {
        return ngx_http_checkout_refuse_unread(
            r, NGX_HTTP_CHECKOUT_UNSUPPORTED_TYPE);
    }

    if (r->headers_in.content_length_n > NGX_HTTP_CHECKOUT_BODY_MAX) {
        return ngx_http_checkout_refuse_unread(
            r, NGX_HTTP_CHECKOUT_BODY_TOO_LARGE);
    }

    r->request_body_in_single_buf = 1;

    rc = ngx_http_read_client_request_body(r, handler);

    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}


static ngx_int_t
ngx_http_checkout_body_copy(u_char *to, ngx_buf_t *b, size_t size)
{
    ssize_t  n;

    if (ngx_buf_in_memory(b)) {
        ngx_memcpy(to, b->pos, size);
        return NGX_OK;
    }

    n = ngx_read_file(b->file, to, size, b->file_pos);

    return n == (ssize_t) size ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_checkout_body_text(ngx_http_request_t *r, size_t max, ngx_str_t *text)
{
    size_t        size;
    ngx_chain_t  *cl;

    ngx_str_null(text);

    if (r->request_body == NULL || r->request_body->bufs == NULL) {
        return NGX_OK;
    }

    cl = r->request_body->bufs;

    if (cl->next == NULL && ngx_buf_in_memory(cl->buf)) {
        text->data = cl->buf->pos;
        text->len = cl->buf->last - cl->buf->pos;
        return text->len <= max ? NGX_OK : NGX_DECLINED;
    }

    text->data = ngx_pnalloc(r->pool, max);

    if (text->data == NULL) {
        return NGX_ERROR;
    }

    for (/* void */; cl; cl = cl->next) {
        size = ngx_buf_size(cl->buf);

        if (size == 0) {
            /* the end of a chunked body: neither memory nor file */
            continue;
        }

        if (size > max - text->len) {
            return NGX_DECLINED;
        }

        if (ngx_http_checkout_body_copy(text->data + text->len, cl->buf, size)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        text->len += size;
    }

    return NGX_OK;
}


u_char *
ngx_http_checkout_body_syntax(u_char *p, u_char *end, u_char *first,
    const char *syntax, size_t offset, ngx_uint_t english)
{
    p = ngx_slprintf(p, end, p == first ? "\"body\":[\"" : ",\"body\":[\"");

    return english
               ? ngx_slprintf(p, end,
                              "This is no JSON object: %s at byte %uz.\"]",
                              syntax, offset)
               : ngx_slprintf(
                   p, end, "請求內容不是 JSON 物件(位元組 %uz)。\"]", offset);
}


typedef struct {
    const char  *english;  /* {min} and {max}: the bounds */
    const char  *chinese;
} ngx_http_checkout_field_text_t;


/* In the order of enum checkout_field_error. */
static const ngx_http_checkout_field_text_t  ngx_http_checkout_field_texts[] = {
    { NULL, NULL },
    { "This field is required.", "此欄位為必填。" },
    { "This field must be an integer.", "此欄位必須是整數。" },
    { "This field must be at least {min}.", "此欄位至少為 {min}。" },
    { "This field must be at most {max}.", "此欄位不可大於 {max}。" },
    { "This field is given twice.", "此欄位重複。" },
    { "This field must be a text without control characters.",
      "此欄位必須是不含控制字元的文字。" },
    { "This field must have {min} to {max} characters.",
      "此欄位長度須為 {min} 到 {max} 個字元。" },
    { "This field must be a number with at most two decimals.",
      "此欄位必須是最多兩位小數的數字。" },
    { "This field must be true or false.", "此欄位必須是 true 或 false。" },
    { "The two stocks must be equal.", "兩個庫存數量必須相同。" },
    { "This field must be UTF-8 text.", "此欄位必須是 UTF-8 文字。" },
    { "This field must have at most {max} bytes.",
      "此欄位不可超過 {max} 個位元組。" },
};


/* The text, with the bounds in their places. */
static u_char *
ngx_http_checkout_body_with_bounds(u_char *p, u_char *end, const char *text,
    uint64_t min, uint64_t max)
{
    const char  *place;

    while ((place = ngx_strchr(text, '{')) != NULL) {
        p = ngx_slprintf(p, end, "%*s%uL", (size_t) (place - text), text,
                         ngx_strncmp(place, "{min}", 5) == 0 ? min : max);
        text = place + 5;
    }

    return ngx_slprintf(p, end, "%s", text);
}


u_char *
ngx_http_checkout_body_field(u_char *p, u_char *end, u_char *first,
    const char *name, enum checkout_field_error error, uint64_t min,
    uint64_t max, ngx_uint_t english)
{
    const ngx_http_checkout_field_text_t  *text;

    if (error == CHECKOUT_FIELD_OK) {
        return p;
    }

    text = &ngx_http_checkout_field_texts[error];

    p = ngx_slprintf(p, end, "%s\"%s\":[\"", p == first ? "" : ",", name);
    p = ngx_http_checkout_body_with_bounds(
        p, end, english ? text->english : text->chinese, min, max);

    return ngx_slprintf(p, end, "\"]");
}
