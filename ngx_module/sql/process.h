/*
 * What a worker process needs to run jobs on MySQL servers.
 */
#ifndef NGX_HTTP_CHECKOUT_SQL_PROCESS_H
#define NGX_HTTP_CHECKOUT_SQL_PROCESS_H

#include <ngx_config.h>
#include <ngx_core.h>

#include "sql/settings.h"


/*
 * A worker process starts. accesses: ngx_http_checkout_access_t *, all of the
 * configuration; where there is none, no thread is asked for. NGX_ERROR: what
 * is missing is logged, and the process cannot serve.
 */
ngx_int_t ngx_http_checkout_sql_init(ngx_cycle_t *cycle,
    ngx_http_checkout_threads_settings_t *threads, ngx_array_t *accesses);

/*
 * A worker process ends, and nginx has told its threads to. Blocks for up to a
 * second until they are gone. No request is left.
 */
void ngx_http_checkout_sql_exit(ngx_array_t *accesses);


#endif
