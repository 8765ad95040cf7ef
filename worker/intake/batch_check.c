#include "intake/batch_check.h"

#include "base/invariant.h"
#include "failpoint.h"


static int
check_decision(const struct order *o, const struct product_row *locked, size_t products)
{
    return INVARIANT(o->product < products && locked[o->product].id == o->asked.product_id,
                     "an order names its product")
           && INVARIANT(o->verdict != VERDICT_NONE && o->verdict != VERDICT_DEAD,
                        "an order has a verdict before it is written")
           && INVARIANT(o->verdict != VERDICT_SOLD || locked[o->product].found,
                        "an order is sold from a product that is there");
}


int
batch_check_decided(const struct order *orders, size_t n, const struct product_row *locked,
                    const struct product_row *after, int64_t *left, size_t products)
{
    for (size_t i = 0; i < products; i++) {
        left[i] = locked[i].stock;
    }

    for (size_t i = 0; i < n; i++) {
        if (!check_decision(&orders[i], locked, products)
            || !INVARIANT(!FAILPOINT_BREAKS("batch.decided", orders[i].asked.product_id), "no fail point"))
        {
            return 0;
        }

        if (orders[i].verdict == VERDICT_SOLD) {
            left[orders[i].product] -= orders[i].asked.quantity;
        }
    }

    for (size_t i = 0; i < products; i++) {
        if (!INVARIANT(after[i].stock == left[i], "the stock taken is the sum of the quantities sold")
            || !INVARIANT(after[i].stock >= 0 || after[i].stock == locked[i].stock, "no stock is sold below zero"))
        {
            return 0;
        }
    }

    return 1;
}


static int
check_order(const struct batch *b, const struct order *o, size_t entry)
{
    const struct product_row *p = &b->products[o->product];

    return INVARIANT(o->entry == entry && p->id == b->entries[entry].product_id,
                     "an order belongs to its entry and product")
           && INVARIANT(o->verdict != VERDICT_NONE, "an order has a verdict before it is settled")
           && INVARIANT(o->verdict != VERDICT_SOLD || !p->found || p->version > 0,
                        "a push of sold units has a version");
}


static int
check_entry(const struct batch *b, size_t entry)
{
    const struct entry *e = &b->entries[entry];
    uint64_t units = 0;

    if (!INVARIANT(e->orders > 0 && e->first_order + e->orders <= b->order_count, "an entry has its orders")
        || !INVARIANT(!FAILPOINT_BREAKS("batch.committed", e->product_id), "no fail point"))
    {
        return 0;
    }

    for (size_t i = e->first_order; i < e->first_order + e->orders; i++) {
        if (!check_order(b, &b->orders[i], entry)) {
            return 0;
        }

        units += b->orders[i].asked.quantity;
    }

    return INVARIANT(units == e->units, "the units of an entry are the sum of its quantities");
}


int
batch_check_committed(const struct batch *batch)
{
    for (size_t i = 0; i < batch->entry_count; i++) {
        if (!check_entry(batch, i)) {
            return 0;
        }
    }

    return 1;
}
