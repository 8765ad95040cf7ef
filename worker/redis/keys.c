#include "redis/keys.h"

#include <inttypes.h>

#define TAG ""


void
key_queue(struct redis_args *args)
{
    args_text(args, TAG "order-processing-queue");
}


void
key_dead_letters(struct redis_args *args)
{
    args_text(args, TAG "dead-letter-queue");
}


void
key_gate(struct redis_args *args)
{
    args_text(args, TAG "gate");
}


void
key_workers(struct redis_args *args)
{
    args_text(args, TAG "workers");
}


void
key_products(struct redis_args *args)
{
    args_text(args, TAG "products");
}


void
key_recovering(struct redis_args *args)
{
    args_text(args, TAG "products:recovering");
}


void
key_stock(struct redis_args *args, uint64_t product)
{
    args_format(args, TAG "product:%" PRIu64 ":stock", product);
}


void
key_register(struct redis_args *args, uint64_t product)
{
    args_format(args, TAG "product:%" PRIu64 ":register", product);
}


void
key_buyers(struct redis_args *args, uint64_t product)
{
    args_format(args, TAG "product:%" PRIu64 ":buyers", product);
}


void
key_buyers_new(struct redis_args *args, uint64_t product)
{
    args_format(args, TAG "product:%" PRIu64 ":buyers:new", product);
}


void
key_bucket(struct redis_args *args, const char *day)
{
    args_format(args, TAG "orders:%s", day);
}
