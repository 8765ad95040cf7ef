/*
 * A step of the rebuild: for every product with a limit for each user, what its users hold, counted anew; for the
 * others no such count.
 */
#ifndef CHECKOUT_WORKER_REPAIR_REBUILD_BUYERS_H
#define CHECKOUT_WORKER_REPAIR_REBUILD_BUYERS_H

#include "repair/rebuild_context.h"

/*
 * Goes on behind r->buyers_done, and notes at the gate how far it is. Needs r->ids. A product sells on while it is
 * counted (repair/buyers_count.h), but for a moment, and for those that this rebuild has loaded: they wait for their
 * count. Returns any enum rebuild_result but REBUILD_BUSY. Does nothing in a dry run.
 */
enum rebuild_result rebuild_buyers(struct rebuild *r);

#endif
