/*
 * A step of the rebuild: every product of MySQL loaded at the gate, and those that MySQL lacks closed there.
 *
 * All functions return REBUILD_DONE, REBUILD_DB_FAILED, REBUILD_REDIS_FAILED or REBUILD_TAKEN_OVER. They block for as
 * long as there are pages; each script call is about one product, or one page of them.
 */
#ifndef CHECKOUT_WORKER_REPAIR_REBUILD_PRODUCTS_H
#define CHECKOUT_WORKER_REPAIR_REBUILD_PRODUCTS_H

#include "repair/rebuild_context.h"

/*
 * Compares each product with its row, while the gate is open. What is loaded is put right at once; what is not, and
 * products with lost orders, become r->fenced. Needs r->waiting and r->lost, sets r->ids.
 */
enum rebuild_result rebuild_products_scan(struct rebuild *r);

/* Reads what is in flight of the products of r->fenced, before the fence. */
enum rebuild_result rebuild_products_read_units(struct rebuild *r);

/* Notes at the gate that all products but those of r->fenced are sold behind the fence. Needs r->ids. */
enum rebuild_result rebuild_products_open_others(struct rebuild *r);

/* Behind the fence: loads the products of r->fenced, with what is in flight of them, and opens one after the other. */
enum rebuild_result rebuild_products_fenced(struct rebuild *r);

/* Closes what MySQL does not have, sets r->products to the number of those that are loaded, and the gate's counts. */
enum rebuild_result rebuild_products_close_gone(struct rebuild *r);

#endif
