/*
 * A product's state as the scripts push and settle take it (common/lua/register.lua). Pure.
 */
#ifndef CHECKOUT_WORKER_REDIS_PUSH_WORDS_H
#define CHECKOUT_WORKER_REDIS_PUSH_WORDS_H

#include "mysql/product_row.h"
#include "redis/args.h"

/* Adds seven words: the version ("-" where row->found is 0: nothing is pushed), the stock, the sale terms. */
void push_words_add(struct redis_args *args, const struct product_row *row);

#endif
