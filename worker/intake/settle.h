/*
 * Settling: one call of the script settle brings the verdicts of a batch that MySQL has committed to Redis.
 */
#ifndef CHECKOUT_WORKER_INTAKE_SETTLE_H
#define CHECKOUT_WORKER_INTAKE_SETTLE_H

#include "intake/batch.h"
#include "redis/connection.h"

/*
 * batch: complete, with a verdict for every order (batch_check_committed()). args: memory for the words, used again by
 * the next call. Blocks up to [redis] timeout. Returns the number of entries that this call took off the queue (fewer
 * than the batch has is normal: another consumer settled them), or -1 with conn->error set. It may be repeated after a
 * failure.
 */
int64_t settle_batch(struct redis_connection *conn, struct redis_args *args, const struct batch *batch);

#endif
