/*
 * Sticky reads: a client that has just changed something reads from the
 * primary for a while, because a replica may not have the change yet.
 *
 * The answer to the change carries the time until when, in ms since 1970, as a
 * cookie and, for clients without cookies, as a header. A request that shows
 * it while that time is in the future is sticky. A time further ahead than an
 * answer would say now is not believed. A nearer one anybody may make up: it
 * shows nothing more, but costs the primary a read.
 *
 * Other answers take the cookie from $checkout_sticky_cookie.
 */
#include "request/sticky.h"

#include "request/response.h"
#include "request/context.h"
#include "order/order.h"
#include "text/number.h"


/* ms by which the clock of another nginx may be ahead */
#define NGX_HTTP_CHECKOUT_STICKY_SKEW  1000

#define NGX_HTTP_CHECKOUT_STICKY_COOKIE  "checkout_sticky="
#define NGX_HTTP_CHECKOUT_STICKY_HEADER  "Checkout-Sticky"


static uint64_t
ngx_http_checkout_sticky_now(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (uint64_t) tp->sec * 1000 + tp->msec;
}


/*
 * The cookie's text, in the request's pool; `until`: the time in it. Not to be
 * called where it is off.
 */
static ngx_int_t
ngx_http_checkout_sticky_text(ngx_http_request_t *r, time_t sticky,
    ngx_str_t *cookie, ngx_str_t *until)
{
    u_char  *p;

    cookie->data = ngx_pnalloc(
        r->pool,
        2 * NGX_INT64_LEN
            + sizeof(NGX_HTTP_CHECKOUT_STICKY_COOKIE
                     "; Path=/; Max-Age=; HttpOnly; SameSite=Lax; Secure"));

    if (cookie->data == NULL) {
        return NGX_ERROR;
    }

    until->data = ngx_cpymem(cookie->data, NGX_HTTP_CHECKOUT_STICKY_COOKIE,
                             sizeof(NGX_HTTP_CHECKOUT_STICKY_COOKIE) - 1);
    p = (u_char *) number_write(
        (char *) until->data,
        ngx_http_checkout_sticky_now() + (uint64_t) sticky * 1000);
    until->len = p - until->data;

    p = ngx_cpymem(p, "; Path=/; Max-Age=", sizeof("; Path=/; Max-Age=") - 1);
    p = (u_char *) number_write((char *) p, sticky);
    p = ngx_cpymem(p, "; HttpOnly; SameSite=Lax",
                   sizeof("; HttpOnly; SameSite=Lax") - 1);

#if (NGX_HTTP_SSL)
    if (r->connection->ssl) {
        p = ngx_cpymem(p, "; Secure", sizeof("; Secure") - 1);
    }
#endif

    cookie->len = p - cookie->data;

    return NGX_OK;
}


ngx_int_t
ngx_http_checkout_sticky_set(ngx_http_request_t *r)
{
    time_t     sticky;
    ngx_str_t  cookie, until;

    sticky = ngx_http_checkout_request_settings(r)->sticky;

    if (sticky == 0) {
        return NGX_OK;
    }

    if (ngx_http_checkout_sticky_text(r, sticky, &cookie, &until) != NGX_OK
        || ngx_http_checkout_header(r, "Set-Cookie", cookie.data, cookie.len)
               != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_checkout_header(r, NGX_HTTP_CHECKOUT_STICKY_HEADER,
                                    until.data, until.len);
}


ngx_int_t
ngx_http_checkout_variable_sticky_cookie(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    time_t     sticky;
    ngx_str_t  cookie, until;

    sticky = ngx_http_checkout_request_settings(r)->sticky;
    ngx_str_null(&cookie);

    if (sticky
        && ngx_http_checkout_sticky_text(r, sticky, &cookie, &until) != NGX_OK)
    {
        return NGX_ERROR;
    }

    v->data = cookie.data;
    v->len = cookie.len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


/* 1: the variable holds a time that is in the future, but not too far. */
static ngx_uint_t
ngx_http_checkout_sticky_is_ahead(ngx_http_request_t *r, ngx_str_t *name,
    time_t sticky)
{
    uint64_t                    until, now;
    ngx_http_variable_value_t  *value;

    value = ngx_http_get_variable(r, name,
                                  ngx_hash_key(name->data, name->len));

    if (value == NULL || value->not_found
        || number_parse(&until, (char *) value->data, value->len, INT64_MAX)
               != 0)
    {
        return 0;
    }

    now = ngx_http_checkout_sticky_now();

    return until > now
           && until - now
                  <= (uint64_t) sticky * 1000 + NGX_HTTP_CHECKOUT_STICKY_SKEW;
}


ngx_uint_t
ngx_http_checkout_sticky(ngx_http_request_t *r)
{
    time_t            sticky;
    static ngx_str_t  cookie = ngx_string("cookie_checkout_sticky");
    static ngx_str_t  header = ngx_string("http_checkout_sticky");

    sticky = ngx_http_checkout_request_settings(r)->sticky;

    if (sticky == 0) {
        return 0;
    }

    return ngx_http_checkout_sticky_is_ahead(r, &cookie, sticky)
           || ngx_http_checkout_sticky_is_ahead(r, &header, sticky);
}
