/*
 * The decision: which orders of a batch are sold. Pure: it reads and writes memory only.
 */
#ifndef CHECKOUT_DECIDE_H
#define CHECKOUT_DECIDE_H

#include "batch.h"

/* What MySQL holds of an identifier already. */
struct stored_verdict {
    int found;
    struct checkout_order asked;
    char status[STATUS_MAX + 1];
    char reason[REASON_MAX + 1];
};

/*
 * Decides orders[0 .. n) in the order of arrival.
 *
 * leaders[i]: index of the first order with the same identifier among them (i itself where it is the first);
 * stored[i]: MySQL's verdict, for leaders. products: as they were read under the lock; the units sold are
 * taken from their stock.
 */
void decide(struct order *orders, const size_t *leaders, const struct stored_verdict *stored, size_t n,
            struct product_row *products);

#endif
