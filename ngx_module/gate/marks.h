/*
 * Marks of products of which too little is left: in the zone's memory, for
 * all worker processes.
 *
 * Nothing here takes a lock or blocks.  A mark is found by a hash of server
 * and product; where its place is taken, the oldest of four makes room.  It
 * carries a checksum, so one that is read while it is written, or that was
 * written by two processes at once or by one that died, is no mark: Redis is
 * asked then.
 */
#ifndef NGX_HTTP_CHECKOUT_GATE_MARKS_H
#define NGX_HTTP_CHECKOUT_GATE_MARKS_H

#include <ngx_config.h>
#include <ngx_core.h>

#include "stats/counters.h"


/*
 * NGX_OK: *left is what a mark younger than max_age (ms) says of the product.
 * NGX_DECLINED: there is none, and *left may have been changed.  shared: the
 * zone's memory, not NULL; server: its key in the zone.
 */
ngx_int_t ngx_http_checkout_marks_find(ngx_http_checkout_shared_t *shared,
    uint64_t server, uint64_t product_id, ngx_msec_t max_age, uint64_t *left);

/*
 * So many units were left, by a call that was sent at seen (as
 * ngx_current_msec).
 */
void ngx_http_checkout_marks_set(ngx_http_checkout_shared_t *shared,
    uint64_t server, uint64_t product_id, uint64_t left, ngx_msec_t seen);


#endif
