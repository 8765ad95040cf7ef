#include "intake/decide.h"

#include <stdio.h>
#include <string.h>


/* A tombstone may stand without product and quantity (intake/order_transaction.h): then it is this order's. */
static int
same_content(const struct checkout_order *asked, const struct checkout_order *existing)
{
    return asked->user_id == existing->user_id
           && (existing->product_id == 0
               || (asked->product_id == existing->product_id && asked->quantity == existing->quantity));
}


static void
give_verdict(struct order *o, enum verdict verdict, const char *status, const char *reason)
{
    o->verdict = verdict;
    snprintf(o->status, sizeof(o->status), "%s", status);
    snprintf(o->reason, sizeof(o->reason), "%s", reason);
}


/*
 * An identifier has one verdict: the same order shares it. Another order under that identifier is not made, and the
 * identifier's record keeps the existing verdict. asked NULL: what stands is a stub, and any order shares its verdict.
 */
static void
take_existing_verdict(struct order *o, const struct checkout_order *asked, uint64_t ms, const char *status,
                      const char *reason)
{
    if (asked == NULL || same_content(&o->asked, asked)) {
        give_verdict(o, VERDICT_EXISTS, status, reason);
        return;
    }

    give_verdict(o, VERDICT_CONFLICT, status, reason);
    o->existing = *asked;
    o->existing_ms = ms;
}


static void
decide_new(struct order *o, struct product_row *product)
{
    if (!product->found) {
        give_verdict(o, VERDICT_FAILED, "failed", "product_gone");
    } else if (product->stock < (int64_t) o->asked.quantity) {
        give_verdict(o, VERDICT_FAILED, "failed", "out_of_stock");
    } else {
        product->stock -= o->asked.quantity;
        give_verdict(o, VERDICT_SOLD, "pending_payment", "");
    }
}


void
decide(struct order *orders, const size_t *leaders, const struct stored_verdict *stored, size_t n,
       struct product_row *products)
{
    for (size_t i = 0; i < n; i++) {
        const struct order *leader = &orders[leaders[i]];
        const struct stored_verdict *before = &stored[leaders[i]];

        if (before->found) {
            take_existing_verdict(&orders[i], before->archived ? NULL : &before->asked, before->created_ms,
                                  before->status, before->reason);
            orders[i].repeated |= orders[i].accepted_ms > before->created_ms + FORGOTTEN_AFTER_MS;
        } else if (leaders[i] != i) {
            take_existing_verdict(&orders[i], &leader->asked, leader->accepted_ms, leader->status, leader->reason);
        } else {
            decide_new(&orders[i], &products[orders[i].product]);
        }
    }
}
