/*
 * Classes of what a run came to. Numbers are from the MySQL Reference Manual,
 * "Server Error Message Reference" and "Client Error Message Reference", and
 * from MariaDB's "Error Codes".
 */
#include "sql/errors.h"

#include <stddef.h>


#define NGX_HTTP_CHECKOUT_LOCK_WAIT  1205 /* Lock wait timeout exceeded */


/* CR_*: the client library has no connection, or lost it. */
static int
ngx_http_checkout_is_client_error(unsigned code)
{
    return code >= 2000 && code < 3000;
}


/*
 * The server's own trouble, which another server need not have. All other
 * errors are taken for the statement's.
 */
static int
ngx_http_checkout_is_server_error(unsigned code)
{
    size_t  i;

    /* clang-format off */
    static const unsigned  codes[] = {
        /* disk, memory */
        1021, 1026, 1030, 1037, 1038, 1041, 1114,
        /* no more connections */
        1040, 1129, 1130, 1203, 1226,
        /* it shuts down, or ends this session */
        1053, 1077, 1079, 1080, 1927, 3169, 4031,
        /* network */
        1158, 1159, 1160, 1161,
        /* a broken table, or one that is read-only */
        1194, 1195, 1290, 1792, 1836,
    };
    /* clang-format on */

    for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i] == code) {
            return 1;
        }
    }

    return ngx_http_checkout_is_client_error(code);
}


/* How a session shows itself that the server has ended. */
static int
ngx_http_checkout_is_session_end(unsigned code)
{
    return ngx_http_checkout_is_client_error(code) || code == 1053
           || code == 1927 || code == 3169 || code == 4031
           || (code >= 1158 && code <= 1161);
}


/* DB_RETRY says "environmental, or unknown"; here the kinds differ. */
static ngx_http_checkout_run_class_e
ngx_http_checkout_run_classify_retry(const ngx_http_checkout_run_end_t *end)
{
    if (error_is_timeout(end->code)) {
        return NGX_HTTP_CHECKOUT_RUN_SLOW;
    }

    if (end->code == NGX_HTTP_CHECKOUT_LOCK_WAIT) {
        return NGX_HTTP_CHECKOUT_RUN_LOCKED;
    }

    if (end->reused && ngx_http_checkout_is_session_end(end->code)) {
        return NGX_HTTP_CHECKOUT_RUN_STALE;
    }

    return ngx_http_checkout_is_server_error(end->code)
               ? NGX_HTTP_CHECKOUT_RUN_FAILED
               : NGX_HTTP_CHECKOUT_RUN_WRONG;
}


ngx_http_checkout_run_class_e
ngx_http_checkout_run_classify(const ngx_http_checkout_run_end_t *end)
{
    if (!end->connected) {
        return NGX_HTTP_CHECKOUT_RUN_FAILED;
    }

    switch (end->result) {

    case DB_OK:
        return NGX_HTTP_CHECKOUT_RUN_DONE;

    case DB_POISON:
        return NGX_HTTP_CHECKOUT_RUN_REFUSED;

    case DB_AGAIN:
        return end->repeats <= NGX_HTTP_CHECKOUT_REPEATS_MAX
                   ? NGX_HTTP_CHECKOUT_RUN_LOST
                   : NGX_HTTP_CHECKOUT_RUN_WRONG;

    case DB_RETRY:
        break;
    }

    return ngx_http_checkout_run_classify_retry(end);
}
