/*
 * The buyers of a product that a command loaded or changed: it sells once they are counted (repair/buyers_count.h).
 */
#ifndef CHECKOUT_WORKER_CTL_BUYERS_H
#define CHECKOUT_WORKER_CTL_BUYERS_H

#include "ctl/ctl.h"
#include "mysql/product_row.h"

/*
 * Returns when the product at the gate counts its buyers, or needs no count: a worker counts them, or this does where
 * no worker runs. Blocks up to a quarter of a minute; after that, or where a server fails, it says on stderr that a
 * worker will do it, which is no failure of the command. row: as committed.
 */
void buyers_wait(struct ctl *ctl, const struct product_row *row);

#endif
