/*
 * Before units move: does the gate know more of these products and orders than MySQL? Then MySQL has lost commits
 * (redis/loss.h), and an order that was paid, say, must not be cancelled for a payment that MySQL lacks.
 */
#ifndef CHECKOUT_WORKER_LIFECYCLE_GATE_LOOK_H
#define CHECKOUT_WORKER_LIFECYCLE_GATE_LOOK_H

#include "lifecycle/plan.h"
#include "redis/connection.h"

/*
 * A change_look (lifecycle/plan.h). data: the struct redis_connection, of the calling thread. Passes over the orders of
 * products that are being recovered, those whose record is later than their row, and, where Redis cannot be read, all
 * that could move units: payments in time go on. For the second kind it asks for a comparison of all records
 * (repair/recovery.h), at most once a minute in each process. Blocks: two calls of Redis under the locks of the batch,
 * and a statement. Returns DB_OK, or DB_RETRY where MySQL failed, or is read-only.
 */
enum db_result gate_look(struct change_batch *batch, struct db *db, void *data);

#endif
