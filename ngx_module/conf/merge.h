/*
 * Configurations of the module: made, merged, and given what their handler
 * needs.
 */
#ifndef NGX_HTTP_CHECKOUT_CONF_MERGE_H
#define NGX_HTTP_CHECKOUT_CONF_MERGE_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* As nginx calls them: ngx_http_module_t. */
void *ngx_http_checkout_create_main_conf(ngx_conf_t *cf);
void *ngx_http_checkout_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_checkout_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);


#endif
