/*
 * GET health: the process runs and answers. No other server is asked.
 */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "handlers/handlers.h"
#include "request/read.h"
#include "request/response.h"


ngx_int_t
ngx_http_checkout_health_handler(ngx_http_request_t *r)
{
    ngx_int_t           rc;
    ngx_buf_t          *b;
    static const char   text[] = "{\"status\":\"ok\"}";

    rc = ngx_http_checkout_read_method(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    b = ngx_calloc_buf(r->pool);

    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->pos = (u_char *) text;
    b->last = b->pos + sizeof(text) - 1;
    b->memory = 1;

    return ngx_http_checkout_send(r, NGX_HTTP_OK, b);
}
