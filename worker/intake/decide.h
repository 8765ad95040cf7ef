/*
 * The decision: which orders of a batch are sold. Pure: it reads and writes memory only.
 */
#ifndef CHECKOUT_WORKER_INTAKE_DECIDE_H
#define CHECKOUT_WORKER_INTAKE_DECIDE_H

#include "intake/batch.h"

/* What MySQL holds of an identifier already. */
struct stored_verdict {
    int found;
    int archived; /* a stub: what was asked for is in the archive, and cannot be compared */
    struct checkout_order asked;
    char status[RECORD_STATUS_MAX + 1];
    char reason[RECORD_REASON_MAX + 1];
    uint64_t created_ms; /* when that verdict was committed */
};

/*
 * The gate keeps an order's record for at least a day. An order that comes so long after its verdict had no record any
 * more: its units were counted for the buyer a second time. One that comes sooner is the same entry once more, or Redis
 * lost it together with the buyer's count. Half a day is far from both limits. Which cases it cannot tell apart, and
 * how wrong a buyer's count may then be, is in docs/operations.md ("How a batch is processed").
 */
#define FORGOTTEN_AFTER_MS (12 * 3600 * 1000)

/*
 * Gives each of orders[0 .. n) its verdict, in the order of arrival.
 *
 * leaders[i]: index of the first order with the same identifier among them (i itself where it is the first);
 * stored[i]: MySQL's verdict, for leaders. products: as they were read under the lock; the units sold are
 * taken from their stock.
 */
void decide(struct order *orders, const size_t *leaders, const struct stored_verdict *stored, size_t n,
            struct product_row *products);

#endif
