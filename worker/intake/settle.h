/*
 * Settling: telling Redis the verdicts of a batch that MySQL has committed, by the settle script.
 */
#ifndef CHECKOUT_WORKER_INTAKE_SETTLE_H
#define CHECKOUT_WORKER_INTAKE_SETTLE_H

#include "intake/batch.h"
#include "redis/connection.h"

/*
 * Returns the number of entries that this call took off the queue (fewer than the batch has is normal: somebody
 * else settled them), or -1 with conn->error set. A call whose reply was lost may be sent again.
 */
int64_t settle_batch(struct redis_connection *conn, struct redis_args *args, const struct batch *batch);

#endif
