/*
 * The text of a script call.
 *
 * hiredis formats the whole call into one buffer, which belongs to the
 * command.  Numbers, keys and what is written into a space stand in the
 * process's scratch memory until then.
 */
#include "redis/script.h"

#include "order/identifier.h"
#include "text/number.h"


#define NGX_HTTP_CHECKOUT_DAY_MS  86400000


static const char
             *ngx_http_checkout_script_argv[NGX_HTTP_CHECKOUT_SCRIPT_WORDS];
static size_t  ngx_http_checkout_script_lengths[NGX_HTTP_CHECKOUT_SCRIPT_WORDS];
static int     ngx_http_checkout_script_argc;

static char         ngx_http_checkout_scratch[NGX_HTTP_CHECKOUT_SCRIPT_SCRATCH];
static char        *ngx_http_checkout_script_pos;
static ngx_uint_t   ngx_http_checkout_script_overflow;


char *
ngx_http_checkout_script_space(size_t size)
{
    char  *end;

    end = ngx_http_checkout_scratch + NGX_HTTP_CHECKOUT_SCRIPT_SCRATCH;

    if ((size_t) (end - ngx_http_checkout_script_pos) < size) {
        ngx_http_checkout_script_overflow = 1;
        ngx_http_checkout_script_pos = ngx_http_checkout_scratch;
    }

    return ngx_http_checkout_script_pos;
}


void
ngx_http_checkout_script_take(size_t len)
{
    ngx_http_checkout_script_text(ngx_http_checkout_script_pos, len);
    ngx_http_checkout_script_pos += len;
}


void
ngx_http_checkout_script_text(const char *text, size_t len)
{
    if (ngx_http_checkout_script_argc == NGX_HTTP_CHECKOUT_SCRIPT_WORDS) {
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
    char  *space;

    space = ngx_http_checkout_script_space(NUMBER_DIGITS_MAX);
    ngx_http_checkout_script_take(number_write(space, value) - space);
}


void
ngx_http_checkout_script_key(const char *prefix, const char *name, size_t len,
    const char *suffix)
{
    char    *p, *space;
    size_t   before, after;

    before = ngx_strlen(prefix);
    after = ngx_strlen(suffix);

    space = ngx_http_checkout_script_space(before + len + after);

    p = (char *) ngx_cpymem(space, prefix, before);
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
    ngx_http_checkout_script_day(now - NGX_HTTP_CHECKOUT_DAY_MS);
    ngx_http_checkout_script_day(now + NGX_HTTP_CHECKOUT_DAY_MS);
}


void
ngx_http_checkout_script_begin(const struct checkout_script *script,
    ngx_uint_t source, ngx_uint_t keys)
{
    ngx_http_checkout_script_argc = 0;
    ngx_http_checkout_script_pos = ngx_http_checkout_scratch;
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
ngx_http_checkout_script_end(ngx_http_checkout_command_t *command)
{
    int  len;

    if (ngx_http_checkout_script_overflow) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "checkout: a script call is larger than its bound");
        command->text = NULL;
        return NGX_ERROR;
    }

    len = redisFormatCommandArgv(&command->text, ngx_http_checkout_script_argc,
                                 ngx_http_checkout_script_argv,
                                 ngx_http_checkout_script_lengths);
    if (len < 0) {
        command->text = NULL;
        return NGX_ERROR;
    }

    ngx_http_checkout_command_prepare(command, len);

    return NGX_OK;
}
