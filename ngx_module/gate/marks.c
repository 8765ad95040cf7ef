/*
 * Marks of products of which too little is left.
 */
#include "gate/marks.h"

#include "stats/hash.h"


#define NGX_HTTP_CHECKOUT_MARKS_WAYS  4
/* ms by which the time of another process may be ahead */
#define NGX_HTTP_CHECKOUT_MARKS_SKEW  1000


typedef struct {
    volatile uint64_t  product_id;
    volatile uint64_t  server;
    volatile uint64_t  left;
    volatile uint64_t  seen;  /* ngx_current_msec: one clock for all */
    volatile uint64_t  check;
} ngx_http_checkout_mark_t;

typedef ngx_http_checkout_mark_t
    ngx_http_checkout_mark_set_t[NGX_HTTP_CHECKOUT_MARKS_WAYS];


static uint64_t
ngx_http_checkout_mark_check(uint64_t product_id, uint64_t server,
    uint64_t left, uint64_t seen)
{
    uint64_t  check;

    check = ngx_http_checkout_hash(seen);
    check = ngx_http_checkout_hash(left ^ check);
    check = ngx_http_checkout_hash(server ^ check);

    return ngx_http_checkout_hash(product_id ^ check);
}


/* The first of the marks among which a product's can stand. */
static ngx_http_checkout_mark_t *
ngx_http_checkout_mark_set(ngx_http_checkout_shared_t *shared, uint64_t server,
    uint64_t product_id)
{
    size_t                         size, sets;
    ngx_http_checkout_mark_set_t  *table;

    table = ngx_http_checkout_zone_rest(shared, &size);
    sets = size / sizeof(ngx_http_checkout_mark_set_t);

    return table[ngx_http_checkout_hash(server ^ product_id) % sets];
}


/*
 * ms since the mark was seen; a moment of the near future counts as now,
 * another one as long ago.
 */
static ngx_msec_t
ngx_http_checkout_mark_age(uint64_t seen)
{
    ngx_msec_int_t  age;

    age = (ngx_msec_int_t) (ngx_current_msec - (ngx_msec_t) seen);

    if (age >= 0) {
        return (ngx_msec_t) age;
    }

    return age > -NGX_HTTP_CHECKOUT_MARKS_SKEW ? 0 : NGX_MAX_INT_T_VALUE;
}


ngx_int_t
ngx_http_checkout_marks_find(ngx_http_checkout_shared_t *shared,
    uint64_t server, uint64_t product_id, ngx_msec_t max_age, uint64_t *left)
{
    uint64_t                   seen, check;
    ngx_uint_t                 i;
    ngx_http_checkout_mark_t  *mark;

    mark = ngx_http_checkout_mark_set(shared, server, product_id);

    for (i = 0; i < NGX_HTTP_CHECKOUT_MARKS_WAYS; i++, mark++) {
        if (mark->product_id != product_id || mark->server != server) {
            continue;
        }

        *left = mark->left;
        seen = mark->seen;
        check = mark->check;

        if (ngx_http_checkout_mark_age(seen) < max_age
            && check
                   == ngx_http_checkout_mark_check(product_id, server, *left,
                                                   seen))
        {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


void
ngx_http_checkout_marks_set(ngx_http_checkout_shared_t *shared,
    uint64_t server, uint64_t product_id, uint64_t left, ngx_msec_t seen)
{
    ngx_uint_t                 i;
    ngx_msec_t                 age, oldest_age;
    ngx_http_checkout_mark_t  *mark, *oldest;

    mark = ngx_http_checkout_mark_set(shared, server, product_id);
    oldest = mark;
    oldest_age = 0;

    for (i = 0; i < NGX_HTTP_CHECKOUT_MARKS_WAYS; i++, mark++) {
        if (mark->product_id == product_id && mark->server == server) {
            oldest = mark;
            break;
        }

        age = mark->product_id ? ngx_http_checkout_mark_age(mark->seen)
                               : NGX_MAX_INT_T_VALUE;

        if (age > oldest_age) {
            oldest_age = age;
            oldest = mark;
        }
    }

    oldest->product_id = product_id;
    oldest->server = server;
    oldest->left = left;
    oldest->seen = seen;
    oldest->check = ngx_http_checkout_mark_check(product_id, server, left,
                                                 seen);
}
