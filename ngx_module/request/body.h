/*
 * A request's body: its text, and what is wrong with it.
 *
 * Nothing here blocks, but for a body that nginx has put into a file: reading
 * that waits for the disk.
 */
#ifndef NGX_HTTP_CHECKOUT_REQUEST_BODY_H
#define NGX_HTTP_CHECKOUT_REQUEST_BODY_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "order/order.h"
#include "request/outcome.h"
#include "text/json_fields.h"


#define NGX_HTTP_CHECKOUT_BODY_MAX  16384 /* bytes of a JSON body */


/*
 * Reads a body that has to be JSON of at most NGX_HTTP_CHECKOUT_BODY_MAX
 * bytes, for a content handler, which returns what this returns. handler:
 * called with the body; it ends the request with ngx_http_finalize_request().
 * Not called where the request is refused, or nginx cannot read the body.
 */
ngx_int_t ngx_http_checkout_body_read_json(ngx_http_request_t *r,
    ngx_http_client_body_handler_pt handler);

/* ngx_http_checkout_refuse() for a request whose body was not read. */
ngx_int_t ngx_http_checkout_refuse_unread(ngx_http_request_t *r,
    ngx_http_checkout_outcome_e outcome);

/*
 * The body in one piece: where it is, if it came so, else a copy in the
 * request's pool. An empty body is NGX_OK and text->len 0. NGX_DECLINED: it
 * has more than max bytes. NGX_ERROR: no memory, or its file cannot be read.
 */
ngx_int_t ngx_http_checkout_body_text(ngx_http_request_t *r, size_t max,
    ngx_str_t *text);

/*
 * Members of the object "errors" of a 422, written from p to end at most; they
 * return what ngx_slprintf() does. first: where the object's members begin.
 *
 * syntax: what is wrong with the body as a whole, and at which byte.
 * field: what is wrong with one field; CHECKOUT_FIELD_OK writes nothing. min,
 * max: the bounds that the field has.
 */
u_char *ngx_http_checkout_body_syntax(u_char *p, u_char *end, u_char *first,
    const char *syntax, size_t offset, ngx_uint_t english);
u_char *ngx_http_checkout_body_field(u_char *p, u_char *end, u_char *first,
    const char *name, enum checkout_field_error error, uint64_t min,
    uint64_t max, ngx_uint_t english);


#endif
