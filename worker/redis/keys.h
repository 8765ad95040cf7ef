/*
 * The names of the keys in Redis; no other file makes them. Each function adds one word, the key. Pure.
 */
#ifndef CHECKOUT_WORKER_REDIS_KEYS_H
#define CHECKOUT_WORKER_REDIS_KEYS_H

#include "redis/args.h"

#define CONSUMER_GROUP "checkout-worker"

void key_queue(struct redis_args *args);
void key_dead_letters(struct redis_args *args);
void key_gate(struct redis_args *args);
void key_workers(struct redis_args *args);
void key_stock(struct redis_args *args, uint64_t product);
void key_register(struct redis_args *args, uint64_t product);
void key_buyers(struct redis_args *args, uint64_t product);
void key_bucket(struct redis_args *args, const char *day); /* day: "2026-11-21" */

#endif
