/*
 * The text of a script call: EVALSHA, or EVAL with the source, in the form of the Redis protocol.
 *
 * A call is begun, given its keys and arguments in the order in which the script names them, and ended:
 * then hiredis formats the whole into one buffer that belongs to the call. Only one is put together at a
 * time, so the arguments stand in memory of the process. Texts that are handed in must live until the
 * end; numbers, keys and what is written into a room are kept here.
 */
#include "redis/script.h"

#include "gate/queue.h"
#include "redis/connection.h"
#include "redis/private.h"
#include "order/identifier.h"
#include "order/order.h"
#include "text/number.h"


#define NGX_HTTP_CHECKOUT_SCRIPT_ARGS     1280
#define NGX_HTTP_CHECKOUT_SCRIPT_SCRATCH  (96 * 1024)

/* The largest call is a full batch; see ngx_http_checkout_gate.c for its keys and arguments. */
#if (NGX_HTTP_CHECKOUT_SCRIPT_ARGS < 3 + 4 + 2 + 9 * NGX_HTTP_CHECKOUT_BATCH_GROUPS                          \
                                     + 2 * NGX_HTTP_CHECKOUT_BATCH_ORDERS)
#error "a full batch has more arguments than a script call has room for"
#endif


static const char  *ngx_http_checkout_script_argv[NGX_HTTP_CHECKOUT_SCRIPT_ARGS];
static size_t       ngx_http_checkout_script_lengths[NGX_HTTP_CHECKOUT_SCRIPT_ARGS];
static int          ngx_http_checkout_script_argc;

static char         ngx_http_checkout_script_scratch[NGX_HTTP_CHECKOUT_SCRIPT_SCRATCH];
static char        *ngx_http_checkout_script_pos;
static ngx_uint_t   ngx_http_checkout_script_overflow;


/* Room for an argument of up to size bytes, to be taken afterwards; never NULL. */
char *
ngx_http_checkout_script_room(size_t size)
{
    char  *end;

    end = ngx_http_checkout_script_scratch + NGX_HTTP_CHECKOUT_SCRIPT_SCRATCH;

    if ((size_t) (end - ngx_http_checkout_script_pos) < size) {
        ngx_http_checkout_script_overflow = 1;
        ngx_http_checkout_script_pos = ngx_http_checkout_script_scratch;
    }

    return ngx_http_checkout_script_pos;
}


/* The first len bytes of the room become the next argument. */
void
ngx_http_checkout_script_take(size_t len)
{
    ngx_http_checkout_script_text(ngx_http_checkout_script_pos, len);
    ngx_http_checkout_script_pos += len;
}


void
ngx_http_checkout_script_text(const char *text, size_t len)
{
    if (ngx_http_checkout_script_argc == NGX_HTTP_CHECKOUT_SCRIPT_ARGS) {
        ngx_http_checkout_script_overflow = 1;
        return;
    }

    ngx_http_checkout_script_argv[ngx_http_checkout_script_argc] = text;
    ngx_http_checkout_script_lengths[ngx_http_checkout_script_argc] = len;
    ngx_http_checkout_script_argc++;
}


void
ngx_http_checkout_script_number(uint64_t value)
{
    char  *room;

    room = ngx_http_checkout_script_room(20);
    ngx_http_checkout_script_take(number_write(room, value) - room);
}


/* The one place where the names of keys are made: a tag, once there are lanes, belongs here. */
void
ngx_http_checkout_script_key(const char *prefix, const char *name, size_t len, const char *suffix)
{
    char   *p, *room;
    size_t  before, after;

    before = ngx_strlen(prefix);
    after = ngx_strlen(suffix);

    room = ngx_http_checkout_script_room(before + len + after);

    p = (char *) ngx_cpymem(room, prefix, before);
    p = (char *) ngx_cpymem(p, name, len);
    ngx_memcpy(p, suffix, after);

    ngx_http_checkout_script_take(before + len + after);
}


static void
ngx_http_checkout_script_day(uint64_t ms)
{
    char  day[CHECKOUT_DAY_LEN];

    checkout_day(day, ms);
    ngx_http_checkout_script_key("orders:", day, CHECKOUT_DAY_LEN, "");
}


void
ngx_http_checkout_script_days(void)
{
    uint64_t  now;

    now = (uint64_t) ngx_time() * 1000;

    ngx_http_checkout_script_day(now);
    ngx_http_checkout_script_day(now - 86400000);
    ngx_http_checkout_script_day(now + 86400000);
}


/* source: send the script itself, for a Redis that does not know it. */
void
ngx_http_checkout_script_begin(const struct checkout_script *script, ngx_uint_t source, ngx_uint_t keys)
{
    ngx_http_checkout_script_argc = 0;
    ngx_http_checkout_script_pos = ngx_http_checkout_script_scratch;
    ngx_http_checkout_script_overflow = 0;

    if (source) {
        ngx_http_checkout_script_text("EVAL", 4);
        ngx_http_checkout_script_text(script->source, script->length);

    } else {
        ngx_http_checkout_script_text("EVALSHA", 7);
        ngx_http_checkout_script_text(script->sha1, 40);
    }

    ngx_http_checkout_script_number(keys);
}


ngx_int_t
ngx_http_checkout_script_end(ngx_http_checkout_call_t *call)
{
    int  len;

    if (ngx_http_checkout_script_overflow) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0, "checkout: a script call is larger than its bound");
        return NGX_ERROR;
    }

    len = redisFormatCommandArgv(&call->command, ngx_http_checkout_script_argc, ngx_http_checkout_script_argv,
                                 ngx_http_checkout_script_lengths);
    if (len < 0) {
        call->command = NULL;
        return NGX_ERROR;
    }

    ngx_http_checkout_call_prepare(call, len);

    return NGX_OK;
}
