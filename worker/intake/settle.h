/*
 * Settling: one call of the script settle brings the verdicts of a batch that MySQL has committed to Redis.
 */
#ifndef CHECKOUT_WORKER_INTAKE_SETTLE_H
#define CHECKOUT_WORKER_INTAKE_SETTLE_H

#include "intake/batch.h"
#include "redis/connection.h"

/* The epoch is another one by now: nothing was settled. Read it, close the session on MySQL, and run the batch again.
 */
#define SETTLE_STALE (-2)

/*
 * batch: complete, with a verdict for every order (batch_check_committed()). args: memory for the words, used again by
 * the next call. epoch: of the gate, as it was read before the batch's entries. Blocks up to [redis] timeout. Returns
 * the number of entries that this call took off the queue (fewer
 * than the batch has is normal: another consumer settled them), SETTLE_STALE, or
 * -1 with conn->error set. It may be repeated after a failure.
 */
int64_t settle_batch(struct redis_connection *conn, struct redis_args *args, const struct batch *batch, int64_t epoch);

#endif
