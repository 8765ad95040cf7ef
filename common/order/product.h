/*
 * What a product's sale is bound by, as the gate wants it. Nothing here allocates, blocks or keeps a pointer.
 */
#ifndef CHECKOUT_ORDER_PRODUCT_H
#define CHECKOUT_ORDER_PRODUCT_H

#include <stdint.h>

#define PRODUCT_PRICE_MAX 24 /* bytes of a price as decimal text, with its NUL */

/* Times in milliseconds since 1970 (UTC). 0 stands for "none" everywhere. */
struct sale_terms {
    uint64_t opens_at, closes_at;
    uint64_t per_user_limit; /* units that one buyer may have in all */
    uint64_t max_quantity;   /* units of one order */
    char state[8];           /* "open" or "closed" */
};

/* Returns 1 when all terms are the same, else 0. */
int sale_terms_equal(const struct sale_terms *a, const struct sale_terms *b);

#endif
