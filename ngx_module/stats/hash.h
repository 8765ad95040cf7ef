/*
 * A hash of 64 bits.
 */
#ifndef NGX_HTTP_CHECKOUT_STATS_HASH_H
#define NGX_HTTP_CHECKOUT_STATS_HASH_H

#include <stdint.h>


/*
 * The finalizer of SplitMix64: Steele, Lea, Flood, "Fast splittable
 * pseudorandom number generators", OOPSLA 2014.
 */
static inline uint64_t
ngx_http_checkout_hash(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;

    return x ^ (x >> 31);
}


#endif
