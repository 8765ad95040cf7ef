/*
 * A step of the rebuild: every product of MySQL loaded at the gate, and those that MySQL lacks closed there.
 */
#ifndef CHECKOUT_WORKER_REPAIR_REBUILD_PRODUCTS_H
#define CHECKOUT_WORKER_REPAIR_REBUILD_PRODUCTS_H

#include "repair/rebuild_context.h"

/*
 * Sets r->products to the number of products that are loaded now. Needs r->waiting. Returns REBUILD_DONE,
 * REBUILD_DB_FAILED or REBUILD_REDIS_FAILED.
 */
enum rebuild_result rebuild_products(struct rebuild *r);

#endif
