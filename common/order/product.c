#include "order/product.h"

#include <string.h>


int
sale_terms_equal(const struct sale_terms *a, const struct sale_terms *b)
{
    return a->opens_at == b->opens_at && a->closes_at == b->closes_at && a->per_user_limit == b->per_user_limit
           && a->max_quantity == b->max_quantity && strcmp(a->state, b->state) == 0;
}
