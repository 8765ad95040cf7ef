/*
 * A parameter of a prepared statement: its value is a text of the request.
 */
#ifndef NGX_HTTP_CHECKOUT_REQUEST_PARAMETER_H
#define NGX_HTTP_CHECKOUT_REQUEST_PARAMETER_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "mysql/prepared.h"


#define NGX_HTTP_CHECKOUT_PARAMETER_MAX  1024 /* bytes of one value */


typedef enum {
    NGX_HTTP_CHECKOUT_PARAMETER_TEXT,
    NGX_HTTP_CHECKOUT_PARAMETER_UINT,
    NGX_HTTP_CHECKOUT_PARAMETER_INT,
    NGX_HTTP_CHECKOUT_PARAMETER_LIKE, /* text to be found anywhere */
    NGX_HTTP_CHECKOUT_PARAMETER_BUYER /* an unsigned number */
} ngx_http_checkout_parameter_type_e;

typedef struct {
    ngx_http_complex_value_t            *value;
    ngx_http_checkout_parameter_type_e   type;
    /* of an empty value; data NULL: none */
    ngx_str_t                            by_default;
    const char                          *name;       /* in errors */
    unsigned                             encoded:1;  /* with %XX and "+" */
} ngx_http_checkout_parameter_t;


/*
 * Both return an enum checkout_field_error: CHECKOUT_FIELD_OK, and *to is set;
 * another one, and *to is zero but for its type. Or NGX_ERROR: no memory.
 *
 * parse: of a text, which must live as long as *to. What is made of it is
 * allocated in the pool.
 *
 * read: of the request, or the default. What *to points to is allocated in
 * the pool.
 */
ngx_int_t ngx_http_checkout_parameter_parse(ngx_pool_t *pool,
    ngx_http_checkout_parameter_t *parameter, ngx_str_t *text,
    struct prepared_value *to);
ngx_int_t ngx_http_checkout_parameter_read(ngx_http_request_t *r,
    ngx_pool_t *pool, ngx_http_checkout_parameter_t *parameter,
    struct prepared_value *to);


#endif
