/*
 * A step of the rebuild: the units that each user holds, of products with a limit for each user.
 */
#ifndef CHECKOUT_WORKER_REPAIR_REBUILD_BUYERS_H
#define CHECKOUT_WORKER_REPAIR_REBUILD_BUYERS_H

#include "repair/rebuild_context.h"

/*
 * Counts each product under its row lock, which no other step may hold, and reads r->waiting anew. Does nothing in a
 * dry run. Returns any enum rebuild_result; REBUILD_BUSY where one product's orders were settled faster than counted.
 */
enum rebuild_result rebuild_buyers(struct rebuild *r);

#endif
