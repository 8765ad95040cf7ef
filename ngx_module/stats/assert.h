/*
 * What must be true wherever the module is right.
 */
#ifndef NGX_HTTP_CHECKOUT_STATS_ASSERT_H
#define NGX_HTTP_CHECKOUT_STATS_ASSERT_H

#include <ngx_config.h>
#include <ngx_core.h>


/*
 * 1: it is true. 0: it is not, and the caller goes the way that does no harm;
 * the first time in a process an alert names the place. With sanitizers, and
 * with nginx's "debug_points abort", the process ends instead.
 */
#define ngx_http_checkout_assert(what) \
    ((what) ? 1 : ngx_http_checkout_assert_failed(#what, __FILE__, __LINE__))

/* Of the macro alone. Returns 0. Blocks as a line in the log does. */
ngx_uint_t ngx_http_checkout_assert_failed(const char *what, const char *file,
    ngx_uint_t line);


#endif
