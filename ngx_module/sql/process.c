/*
 * What a worker process needs to run jobs on MySQL servers.
 */
#include "sql/process.h"

#include "sql/pool.h"
#include "sql/thread.h"


/* The client library reads it with each connection, as the worker's user. */
static void
ngx_http_checkout_sql_check_file(ngx_cycle_t *cycle, const char *name)
{
    if (name != NULL && access(name, R_OK) == -1) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, ngx_errno,
                      "checkout: the worker process cannot read \"%s\", which "
                      "its connections to MySQL need",
                      name);
    }
}


ngx_int_t
ngx_http_checkout_sql_init(ngx_cycle_t *cycle,
    ngx_http_checkout_threads_settings_t *threads, ngx_array_t *accesses)
{
    ngx_uint_t                    i;
    ngx_http_checkout_access_t  **list;

    ngx_http_checkout_pools_init();

    if (accesses->nelts == 0) {
        return NGX_OK;
    }

    list = accesses->elts;

    for (i = 0; i < accesses->nelts; i++) {
        ngx_http_checkout_sql_check_file(cycle, list[i]->server.ssl_ca);
        ngx_http_checkout_sql_check_file(cycle, list[i]->server.ssl_cert);
        ngx_http_checkout_sql_check_file(cycle, list[i]->server.ssl_key);
    }

    return ngx_http_checkout_threads_init(cycle, threads,
                                          ngx_http_checkout_pool_dispatch);
}


void
ngx_http_checkout_sql_exit(ngx_array_t *accesses)
{
    ngx_uint_t  alone;

    if (accesses->nelts) {
        alone = ngx_http_checkout_threads_wait();
        ngx_http_checkout_pools_exit();

        if (alone) {
            mysql_library_end();
        }
    }
}
