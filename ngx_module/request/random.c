/*
 * Random bytes from the operating system's generator, drawn 4 KB at a time: a
 * system call for each order would cost more than the order. The buffer is
 * first filled in a worker process, after the fork, so no two processes share
 * its bytes. Bytes are wiped as they are handed out.
 */
#include "request/random.h"


#include <sys/random.h>


static u_char  ngx_http_checkout_random_bytes[4096];
static size_t  ngx_http_checkout_random_left;


static ngx_int_t
ngx_http_checkout_random_fill(void)
{
    size_t   have;
    ssize_t  n;

    for (have = 0; have < sizeof(ngx_http_checkout_random_bytes); have += n) {
        n = getrandom(ngx_http_checkout_random_bytes + have,
                      sizeof(ngx_http_checkout_random_bytes) - have, 0);

        if (n > 0) {
            continue;
        }

        if (n == -1 && ngx_errno == NGX_EINTR) {
            n = 0;
            continue;
        }

        ngx_log_error(NGX_LOG_CRIT, ngx_cycle->log, ngx_errno,
                      "checkout: getrandom() failed");
        return NGX_ERROR;
    }

    ngx_http_checkout_random_left = sizeof(ngx_http_checkout_random_bytes);
    return NGX_OK;
}


/* len: at most 4096 */
ngx_int_t
ngx_http_checkout_random(u_char *out, size_t len)
{
    u_char  *from;

    if (ngx_http_checkout_random_left < len
        && ngx_http_checkout_random_fill() != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_checkout_random_left -= len;
    from = ngx_http_checkout_random_bytes + ngx_http_checkout_random_left;

    ngx_memcpy(out, from, len);
    ngx_memzero(from, len);

    return NGX_OK;
}
