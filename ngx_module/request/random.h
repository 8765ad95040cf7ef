/*
 * Bytes from the operating system's generator.
 */
#ifndef NGX_HTTP_CHECKOUT_REQUEST_RANDOM_H
#define NGX_HTTP_CHECKOUT_REQUEST_RANDOM_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Fills out with len bytes. NGX_ERROR: the system gives none. Does not block
 * once the system's generator is seeded.
 */
ngx_int_t ngx_http_checkout_random(u_char *out, size_t len);


#endif
