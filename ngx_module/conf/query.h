/*
 * Statements in locations: checkout_query and its companions.
 */
#ifndef NGX_HTTP_CHECKOUT_CONF_QUERY_H
#define NGX_HTTP_CHECKOUT_CONF_QUERY_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "conf/conf.h"
#include "mysql/prepared.h"
#include "request/outcome.h"
#include "request/parameter.h"


typedef struct {
    ngx_http_checkout_parameter_t  values[2];  /* page, rows of a page */
    ngx_uint_t                     max;
    ngx_uint_t                     by_default;
    /* pages that may be asked for; 0: any number */
    ngx_uint_t                     pages;
    /* a statement that gives the total; empty: it is made */
    ngx_str_t                      count;
    unsigned                       total:1;
} ngx_http_checkout_query_page_t;

/* What a location asks MySQL. */
struct ngx_http_checkout_query_s {
    ngx_str_t                        statement;  /* as configured */
    const char                      *sql;        /* as it is run */
    const char                      *count_sql;  /* NULL: no total */
    ngx_http_checkout_parameter_t   *values;
    ngx_uint_t                       nvalues;
    ngx_http_checkout_query_page_t  *page;  /* NULL: not paged */
    enum prepared_form               form;
    ngx_http_checkout_outcome_e      not_found;
    /* of the first directive of them */
    ngx_str_t                        file;
    ngx_uint_t                       line;
    unsigned                         has_form:1;
    /* one of the values is a buyer */
    unsigned                         of_buyer:1;
};

char *ngx_http_checkout_set_query(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_checkout_set_query_result(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_checkout_set_query_page(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Once the location's directives are read; its query is not NULL.
 * NGX_CONF_ERROR: what is wrong with them is logged.
 */
char *ngx_http_checkout_merge_query(ngx_conf_t *cf,
    ngx_http_checkout_loc_conf_t *conf);


#endif
