/*
 * Reading dead letters, for the commands "dlq".
 */
#ifndef CHECKOUT_WORKER_CTL_DEAD_LETTERS_H
#define CHECKOUT_WORKER_CTL_DEAD_LETTERS_H

#include <cjson/cJSON.h>

#include "ctl/ctl.h"

/*
 * Reads one dead letter; blocks on Redis. Returns a reply, which the caller frees, whose element[0] is the letter, or
 * NULL after a message, with the exit code in *code: id is no id, Redis failed, or there is no such letter.
 */
redisReply *dead_letters_read(struct ctl *ctl, const char *id, int *code);

/* Returns the letter's id and main fields, an object that the caller owns. entry: as redis/queue_entry.h takes it. */
cJSON *dead_letters_head(const redisReply *entry);

#endif
