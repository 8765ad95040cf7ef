/*
 * Calls of scripts that only read, and that several endpoints make.
 *
 * Each puts the call together: EVALSHA, or EVAL with the source. NGX_ERROR:
 * no memory. They neither send nor block.
 */
#ifndef NGX_HTTP_CHECKOUT_REDIS_READS_H
#define NGX_HTTP_CHECKOUT_REDIS_READS_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "redis/command.h"


/*
 * find_order.lua: the order's record (order/order.h), or nil. identifier:
 * CHECKOUT_IDENTIFIER_LEN characters.
 */
ngx_int_t ngx_http_checkout_reads_order(ngx_http_checkout_command_t *command,
    ngx_uint_t source, const char *identifier);

/*
 * get_stock.lua: { stock, the register's stock, in flight, the register's
 * version, recovering }, each a string, the first four of digits, or nil.
 */
ngx_int_t ngx_http_checkout_reads_stock(ngx_http_checkout_command_t *command,
    ngx_uint_t source, uint64_t product_id);


#endif
