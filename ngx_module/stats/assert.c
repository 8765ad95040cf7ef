/*
 * What must be true wherever the module is right.
 */
#include "stats/assert.h"


ngx_uint_t
ngx_http_checkout_assert_failed(const char *what, const char *file,
    ngx_uint_t line)
{
    static ngx_uint_t  logged;

    if (!logged) {
        logged = 1;
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "checkout: \"%s\" is not true, at %s:%ui", what, file,
                      line);
    }

#if defined(__SANITIZE_ADDRESS__)
    ngx_abort();
#else
    ngx_debug_point();
#endif

    return 0;
}
