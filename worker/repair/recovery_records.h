/*
 * The pass of a recovery over all records of the gate, page by page, beside normal work.
 *
 * A record is written after its row is committed, and is read before the row here. So a record that says more than its
 * row proves that MySQL lost it.
 */
#ifndef CHECKOUT_WORKER_REPAIR_RECOVERY_RECORDS_H
#define CHECKOUT_WORKER_REPAIR_RECOVERY_RECORDS_H

#include "repair/recovery_context.h"

/*
 * Compares every record with its row. Those of r->products are made good (repair/recovery_orders.h); so are those of
 * other products where no units move. Where they would, that product's recovery begins, for the next pass. Blocks: a
 * call of Redis and a statement for each page, and pauses as long as each took. Returns any enum recovery_result.
 */
enum recovery_result recovery_compare(struct recovery *r);

#endif
