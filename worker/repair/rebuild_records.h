/*
 * A step of the rebuild: the gate's records compared with the rows of MySQL.
 */
#ifndef CHECKOUT_WORKER_REPAIR_REBUILD_RECORDS_H
#define CHECKOUT_WORKER_REPAIR_REBUILD_RECORDS_H

#include "repair/rebuild_context.h"

/*
 * Enqueues accepted orders again that have no row, writes failed ones again, keeps payments that MySQL lost, and brings
 * records up to their rows. Needs r->waiting. Returns any enum rebuild_result but REBUILD_BUSY.
 */
enum rebuild_result rebuild_records(struct rebuild *r);

#endif
