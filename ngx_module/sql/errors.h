/*
 * What a run of a job on a MySQL server came to: a class for each kind of
 * reaction. Pure: no type of nginx, no state, nothing blocks.
 */
#ifndef NGX_HTTP_CHECKOUT_SQL_ERRORS_H
#define NGX_HTTP_CHECKOUT_SQL_ERRORS_H

#include "mysql/error_class.h"


/* how often a job is run again that lost against another session */
#define NGX_HTTP_CHECKOUT_REPEATS_MAX  5


typedef enum {
    NGX_HTTP_CHECKOUT_RUN_DONE,
    NGX_HTTP_CHECKOUT_RUN_REFUSED, /* the job's data; any server would */
    NGX_HTTP_CHECKOUT_RUN_WRONG,   /* the statement fails on any server */
    /* the server ended the statement, as its time was over */
    NGX_HTTP_CHECKOUT_RUN_SLOW,
    /* another session kept a row locked for too long; nothing was changed */
    NGX_HTTP_CHECKOUT_RUN_LOCKED,
    /* the server had closed the connection while it was idle: connect again */
    NGX_HTTP_CHECKOUT_RUN_STALE,
    /* to another session (deadlock): run the job again */
    NGX_HTTP_CHECKOUT_RUN_LOST,
    NGX_HTTP_CHECKOUT_RUN_FAILED /* the server's own trouble: ask another */
} ngx_http_checkout_run_class_e;

typedef struct {
    int             connected;  /* 0: there was no connection */
    int             reused;     /* the connection has run a job before */
    enum db_result  result;     /* of the job's last run */
    unsigned        code;       /* MySQL's number of its error; 0: none */
    unsigned        repeats;    /* of the job, as it lost */
} ngx_http_checkout_run_end_t;

/* `result` and `code` mean nothing where `connected` is 0: that is FAILED. */
ngx_http_checkout_run_class_e ngx_http_checkout_run_classify(
    const ngx_http_checkout_run_end_t *end);


#endif
