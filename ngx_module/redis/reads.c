/*
 * Calls of scripts that only read, and that several endpoints make.
 */
#include "redis/reads.h"

#include "redis/script.h"
#include "checkout_scripts.h"
#include "order/identifier.h"
#include "text/number.h"


ngx_int_t
ngx_http_checkout_reads_order(ngx_http_checkout_command_t *command,
    ngx_uint_t source, const char *identifier)
{
    ngx_http_checkout_script_begin(&checkout_script_find_order, source, 3);
    ngx_http_checkout_script_days();
    ngx_http_checkout_script_text(identifier, CHECKOUT_IDENTIFIER_LEN);

    return ngx_http_checkout_script_end(command);
}


ngx_int_t
ngx_http_checkout_reads_stock(ngx_http_checkout_command_t *command,
    ngx_uint_t source, uint64_t product_id)
{
    char    id[20];
    size_t  len;

    len = number_write(id, product_id) - id;

    ngx_http_checkout_script_begin(&checkout_script_get_stock, source, 2);
    ngx_http_checkout_script_key("product:", id, len, ":stock");
    ngx_http_checkout_script_key("product:", id, len, ":register");

    return ngx_http_checkout_script_end(command);
}
