/*
 * The text of a script call: EVALSHA, or EVAL with the source, in the form of
 * the Redis protocol.
 *
 * A call is begun, given its keys and then its arguments in the order in which
 * the script names them, and ended.  One is put together at a time, in memory
 * of the process; nothing is called in between.  Nothing here blocks.
 */
#ifndef NGX_HTTP_CHECKOUT_REDIS_SCRIPT_H
#define NGX_HTTP_CHECKOUT_REDIS_SCRIPT_H

#include <ngx_config.h>
#include <ngx_core.h>

#include "checkout_scripts.h"
#include "redis/command.h"


/* The bounds of a call; script_end() fails when it has more. */
#define NGX_HTTP_CHECKOUT_SCRIPT_WORDS  1280 /* with EVALSHA */
/* bytes, of all but text() */
#define NGX_HTTP_CHECKOUT_SCRIPT_SCRATCH  (96 * 1024)

/* What stands in a call before its first key. */
#define NGX_HTTP_CHECKOUT_SCRIPT_HEAD  3


/*
 * source: 0, or 1 to send the script itself, to a Redis that does not know it.
 * keys: how many follow.
 */
void ngx_http_checkout_script_begin(const struct checkout_script *script,
    ngx_uint_t source, ngx_uint_t keys);

/*
 * The key that prefix, name and suffix make together; they are copied.
 *
 * Every name of a key that nginx sends passes here, as each of the worker does
 * through worker/redis/keys.c: the scripts get all their keys as KEYS, and
 * make no name themselves (settle.lua reads product and day off the end of
 * two).  A tag in front of all keys would stand here and there, and change
 * what finds keys by their name, worker/redis/loaded_products.c, and what
 * stands for a server in the zone, ngx_http_checkout_zone_key()
 * (stats/counters.h).
 */
void ngx_http_checkout_script_key(const char *prefix, const char *name,
    size_t len, const char *suffix);

/*
 * Three keys: orders:<today>, orders:<yesterday>, and orders:<tomorrow>, which
 * a server whose clock is ahead wrote.
 */
void ngx_http_checkout_script_days(void);

/* A text that is not copied: it lives until script_end(). */
void ngx_http_checkout_script_text(const char *text, size_t len);

void ngx_http_checkout_script_number(uint64_t value);

/* size bytes, to write the next word into; never NULL. */
char *ngx_http_checkout_script_space(size_t size);

/* The first len bytes of that space are the next word. */
void ngx_http_checkout_script_take(size_t len);

/*
 * command: takes the text, and can be sent.  NGX_ERROR: no memory, or the call
 * is larger than its bounds, which is logged; command->text is NULL.
 */
ngx_int_t ngx_http_checkout_script_end(ngx_http_checkout_command_t *command);


#endif
