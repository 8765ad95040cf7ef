/*
 * The words of a call of the script settle (common/lua/settle.lua describes each). Pure: only memory is touched.
 */
#ifndef CHECKOUT_WORKER_INTAKE_SETTLE_WORDS_H
#define CHECKOUT_WORKER_INTAKE_SETTLE_WORDS_H

#include "intake/batch.h"
#include "redis/args.h"

/*
 * Replaces args by the call for a batch of at least one entry. The batch is complete (batch_complete()) and every order
 * of it has its verdict. epoch: of the gate, as it was read before the batch's entries. args owns copies of all words.
 */
void settle_words(struct redis_args *args, const struct batch *batch, int64_t epoch);

#endif
