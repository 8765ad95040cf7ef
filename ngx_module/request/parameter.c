/*
 * A parameter of a prepared statement: its value is a text of the request.
 */
#include "request/parameter.h"

#include "text/json_fields.h"
#include "text/json_text.h"
#include "text/number.h"


/*
 * Decodes %XX and "+" in place. NGX_ERROR where a "%" has no two digits behind
 * it.
 */
static ngx_int_t
ngx_http_checkout_parameter_decode(ngx_str_t *text)
{
    u_char     *from, *to, *end;
    ngx_int_t   byte;

    end = text->data + text->len;
    to = text->data;

    for (from = text->data; from < end; from++) {
        if (*from == '%') {
            byte = end - from > 2 ? ngx_hextoi(from + 1, 2) : NGX_ERROR;

            if (byte == NGX_ERROR) {
                return NGX_ERROR;
            }

            *to++ = (u_char) byte;
            from += 2;

        } else {
            *to++ = *from == '+' ? ' ' : *from;
        }
    }

    text->len = to - text->data;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_checkout_parameter_is_digits(u_char *p, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return 0;
        }
    }

    return len > 0 && (p[0] != '0' || len == 1);
}


static enum checkout_field_error
ngx_http_checkout_parameter_uint(ngx_str_t *text, uint64_t *number)
{
    if (text->len == 0) {
        return CHECKOUT_FIELD_MISSING;
    }

    if (text->data[0] == '-'
        && ngx_http_checkout_parameter_is_digits(text->data + 1,
                                                 text->len - 1))
    {
        return CHECKOUT_FIELD_TOO_SMALL;
    }

    if (!ngx_http_checkout_parameter_is_digits(text->data, text->len)) {
        return CHECKOUT_FIELD_NOT_INTEGER;
    }

    return number_parse(number, (char *) text->data, text->len, UINT64_MAX)
                   == 0
               ? CHECKOUT_FIELD_OK
               : CHECKOUT_FIELD_TOO_LARGE;
}


static enum checkout_field_error
ngx_http_checkout_parameter_int(ngx_str_t *text, uint64_t *number)
{
    ngx_str_t                  digits;
    enum checkout_field_error  error;

    if (text->len == 0 || text->data[0] != '-') {
        error = ngx_http_checkout_parameter_uint(text, number);
        return error == CHECKOUT_FIELD_OK && *number > INT64_MAX
                   ? CHECKOUT_FIELD_TOO_LARGE
                   : error;
    }

    digits.data = text->data + 1;
    digits.len = text->len - 1;

    if (!ngx_http_checkout_parameter_is_digits(digits.data, digits.len)) {
        return CHECKOUT_FIELD_NOT_INTEGER;
    }

    if (number_parse(number, (char *) digits.data, digits.len,
                     (uint64_t) INT64_MAX + 1)
        != 0)
    {
        return CHECKOUT_FIELD_TOO_LARGE;
    }

    *number = -*number;

    return CHECKOUT_FIELD_OK;
}


/*
 * What LIKE finds the text with, anywhere: %text%, its own %, _ and \ escaped.
 */
static ngx_int_t
ngx_http_checkout_parameter_like(ngx_pool_t *pool, ngx_str_t *text,
    struct prepared_value *to)
{
    size_t   i;
    u_char  *p;

    p = ngx_pnalloc(pool, 2 * text->len + 2);

    if (p == NULL) {
        return NGX_ERROR;
    }

    to->text = (char *) p;
    *p++ = '%';

    for (i = 0; i < text->len; i++) {
        if (text->data[i] == '%' || text->data[i] == '_'
            || text->data[i] == '\\')
        {
            *p++ = '\\';
        }

        *p++ = text->data[i];
    }

    if (text->len) {
        *p++ = '%';
    }

    to->len = (char *) p - to->text;

    return CHECKOUT_FIELD_OK;
}


static ngx_int_t
ngx_http_checkout_parameter_string(ngx_pool_t *pool,
    ngx_http_checkout_parameter_t *parameter, ngx_str_t *text,
    struct prepared_value *to)
{
    if (text->len > NGX_HTTP_CHECKOUT_PARAMETER_MAX) {
        return CHECKOUT_FIELD_TOO_LONG;
    }

    if (!json_text_is_utf8((char *) text->data, text->len)) {
        return CHECKOUT_FIELD_NOT_UTF8;
    }

    if (parameter->type == NGX_HTTP_CHECKOUT_PARAMETER_LIKE) {
        return ngx_http_checkout_parameter_like(pool, text, to);
    }

    to->text = (char *) text->data;
    to->len = text->len;

    return CHECKOUT_FIELD_OK;
}


ngx_int_t
ngx_http_checkout_parameter_parse(ngx_pool_t *pool,
    ngx_http_checkout_parameter_t *parameter, ngx_str_t *text,
    struct prepared_value *to)
{
    ngx_memzero(to, sizeof(struct prepared_value));

    switch (parameter->type) {

    case NGX_HTTP_CHECKOUT_PARAMETER_UINT:
    case NGX_HTTP_CHECKOUT_PARAMETER_BUYER:
        to->type = PREPARED_UINT;
        return ngx_http_checkout_parameter_uint(text, &to->number);

    case NGX_HTTP_CHECKOUT_PARAMETER_INT:
        to->type = PREPARED_INT;
        return ngx_http_checkout_parameter_int(text, &to->number);

    default:
        to->type = PREPARED_TEXT;
        return ngx_http_checkout_parameter_string(pool, parameter, text, to);
    }
}


ngx_int_t
ngx_http_checkout_parameter_read(ngx_http_request_t *r, ngx_pool_t *pool,
    ngx_http_checkout_parameter_t *parameter, struct prepared_value *to)
{
    ngx_str_t   given, text;
    ngx_uint_t  encoded;

    ngx_memzero(to, sizeof(struct prepared_value));

    if (ngx_http_complex_value(r, parameter->value, &given) != NGX_OK) {
        return NGX_ERROR;
    }

    encoded = parameter->encoded;

    if (given.len == 0 && parameter->by_default.data != NULL) {
        given = parameter->by_default;
        encoded = 0; /* it stands in the configuration as it is meant */

    } else if (given.len > 3 * NGX_HTTP_CHECKOUT_PARAMETER_MAX) {
        return CHECKOUT_FIELD_TOO_LONG;
    }

    text.len = given.len;
    text.data = ngx_pnalloc(pool, given.len + 1);

    if (text.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(text.data, given.data, given.len);

    if (encoded && ngx_http_checkout_parameter_decode(&text) != NGX_OK) {
        return CHECKOUT_FIELD_NOT_UTF8;
    }

    return ngx_http_checkout_parameter_parse(pool, parameter, &text, to);
}
