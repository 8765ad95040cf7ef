/*
 * Reading replies of Redis. Pure.
 */
#ifndef CHECKOUT_WORKER_REDIS_REPLY_H
#define CHECKOUT_WORKER_REDIS_REPLY_H

#include <hiredis/hiredis.h>
#include <stdint.h>

/* A reply's text or integer as a number; `missing` for NULL, nil, an empty text or anything else. */
int64_t reply_number(const redisReply *reply, int64_t missing);

/* A text of an array name, value, name, value …; it belongs to the array. NULL: no such name, or no text. */
const redisReply *reply_field(const redisReply *pairs, const char *name);

#endif
