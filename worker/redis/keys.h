/*
 * The names of the keys in Redis; no other file of the worker makes one. Each function adds one word, the key, a copy
 * in args. Pure.
 *
 * A tag in front of every key would stand in TAG (keys.c) and, for nginx, in ngx_http_checkout_script_key()
 * (ngx_module/redis/script.h). It would also touch what finds keys by their name, redis/loaded_products.h (pattern and
 * form; redis/order_records.h takes its pattern from here), and the number that stands for server and database in
 * nginx's shared memory, of marks and gauges (ngx_module/stats/counters.h). The scripts get every key as KEYS and make
 * no name themselves.
 */
#ifndef CHECKOUT_WORKER_REDIS_KEYS_H
#define CHECKOUT_WORKER_REDIS_KEYS_H

#include "redis/args.h"

#define CONSUMER_GROUP "checkout-worker"

void key_queue(struct redis_args *args);
void key_dead_letters(struct redis_args *args);
void key_gate(struct redis_args *args);
void key_workers(struct redis_args *args);
void key_products(struct redis_args *args);   /* the set of ids that are loaded */
void key_recovering(struct redis_args *args); /* a set: ids of products that are being recovered */
void key_stock(struct redis_args *args, uint64_t product);
void key_register(struct redis_args *args, uint64_t product);
void key_buyers(struct redis_args *args, uint64_t product);
void key_buyers_new(struct redis_args *args, uint64_t product); /* while they are counted anew */
void key_bucket(struct redis_args *args, const char *day);      /* day: "2026-11-21" */

#endif
