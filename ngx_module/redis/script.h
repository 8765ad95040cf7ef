/*
 * The text of a script call: EVALSHA, or EVAL with the source, in the form of the Redis protocol.
 */
#ifndef NGX_HTTP_CHECKOUT_REDIS_SCRIPT_H
#define NGX_HTTP_CHECKOUT_REDIS_SCRIPT_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "checkout_scripts.h"
#include "redis/connection.h"


/* script: one call is put together at a time, in memory of the process */

void ngx_http_checkout_script_begin(const struct checkout_script *script, ngx_uint_t source, ngx_uint_t keys);
void ngx_http_checkout_script_key(const char *prefix, const char *name, size_t len, const char *suffix);
/* orders:<today>, <yesterday>, and <tomorrow>, which a clock that is ahead wrote. */
void ngx_http_checkout_script_days(void);
void ngx_http_checkout_script_text(const char *text, size_t len);
void ngx_http_checkout_script_number(uint64_t value);
char *ngx_http_checkout_script_room(size_t size);
void ngx_http_checkout_script_take(size_t len);
ngx_int_t ngx_http_checkout_script_end(ngx_http_checkout_call_t *call);


#endif
