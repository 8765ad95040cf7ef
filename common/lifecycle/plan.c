#include "lifecycle/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


struct change_batch *
change_batch_create(size_t capacity)
{
    struct change_batch *batch = calloc(1, sizeof(*batch));

    if (batch == NULL) {
        return NULL;
    }

    batch->capacity = capacity;
    batch->item_capacity = 2 * capacity + CHANGE_ITEMS_MIN;
    batch->changes = calloc(capacity, sizeof(*batch->changes));
    batch->orders = calloc(capacity, sizeof(*batch->orders));
    batch->items = calloc(batch->item_capacity, sizeof(*batch->items));
    batch->products = calloc(batch->item_capacity, sizeof(*batch->products));
    batch->deltas = calloc(batch->item_capacity, sizeof(*batch->deltas));

    if (batch->changes == NULL || batch->orders == NULL || batch->items == NULL || batch->products == NULL
        || batch->deltas == NULL)
    {
        change_batch_free(batch);
        return NULL;
    }

    return batch;
}


void
change_batch_free(struct change_batch *batch)
{
    if (batch == NULL) {
        return;
    }

    free(batch->changes);
    free(batch->orders);
    free(batch->items);
    free(batch->products);
    free(batch->deltas);
    buffer_free(&batch->sql);
    buffer_free(&batch->movements);
    buffer_free(&batch->new_items);
    buffer_free(&batch->outgoing);
    free(batch);
}


void
change_batch_clear(struct change_batch *batch)
{
    batch->count = batch->order_count = batch->item_count = batch->product_count = 0;
    batch->behind = 0;
    batch->inconsistent = 0;
}


struct order_change *
change_batch_add(struct change_batch *batch, const char *identifier, enum order_event event)
{
    if (batch->count == batch->capacity) {
        return NULL;
    }

    struct order_change *c = &batch->changes[batch->count++];

    *c = (struct order_change) { .event = event };
    memcpy(c->identifier, identifier, CHECKOUT_IDENTIFIER_LEN);
    return c;
}


int
order_status_changed(const struct changed_order *order)
{
    return order->status != order->before;
}


/* Of a tombstone, today's price counts; it has no other. */
static int
total_of(const struct change_batch *batch, const struct changed_order *o, uint64_t *total)
{
    uint64_t sum = 0, price, units;

    if (o->items > 0 || o->total > 0) {
        *total = o->total;
        return o->total_known;
    }

    for (size_t i = 0; i < batch->item_count; i++) {
        const struct changed_item *item = &batch->items[i];
        const struct product_row *p = item->place != PRODUCT_NOT_LOCKED ? &batch->products[item->place] : NULL;

        if (&batch->orders[item->order] != o) {
            continue;
        }

        if (p == NULL || !p->found || money_parse(&price, p->price, strlen(p->price)) == -1
            || __builtin_mul_overflow(price, item->quantity, &units) || __builtin_add_overflow(sum, units, &sum))
        {
            return 0;
        }
    }

    *total = sum;
    return 1;
}


static int
stock_suffices(const struct change_batch *batch, size_t order)
{
    int any = 0;

    for (size_t i = 0; i < batch->item_count; i++) {
        const struct changed_item *item = &batch->items[i];
        const struct product_row *p = item->place != PRODUCT_NOT_LOCKED ? &batch->products[item->place] : NULL;

        if (item->order != order) {
            continue;
        }

        if (p == NULL || !p->found || item->quantity == 0
            || p->stock + batch->deltas[item->place].delta < (int64_t) item->quantity)
        {
            return 0;
        }

        any = 1;
    }

    return any;
}


static struct order_facts
facts_of(const struct change_batch *batch, const struct order_change *c)
{
    const struct changed_order *o = &batch->orders[c->order];
    struct order_facts facts = {
        .archived = o->archived, .due = o->due, .too_old = c->too_old, .without_items = o->items == 0
    };
    uint64_t total;

    if (o->status == ORDER_UNKNOWN) {
        return facts;
    }

    facts.currency_right = strcmp(c->currency, batch->currency) == 0;
    facts.amount_right = total_of(batch, o, &total) && total == c->amount;
    facts.same_payment = c->payment_id[0] == '\0' || o->payment_id[0] == '\0'
                         || strcmp(c->payment_id, o->payment_id) == 0;
    facts.paid_twice = o->second_payment[0] != '\0';
    facts.stock_suffices = stock_suffices(batch, c->order);
    return facts;
}


/* Moves the units of an order's items, in memory. Returns 0, or -1 where one's product is not locked. */
static int
move_stock(struct change_batch *batch, const struct plan_listener *listener, const struct order_change *c,
           enum order_status from, enum stock_effect stock)
{
    struct changed_order *o = &batch->orders[c->order];

    for (size_t i = 0; i < batch->item_count && stock != STOCK_UNCHANGED; i++) {
        const struct changed_item *item = &batch->items[i];

        if (item->order != c->order) {
            continue;
        }

        if (item->place == PRODUCT_NOT_LOCKED) {
            return -1;
        }

        int64_t units = stock == STOCK_TAKEN ? -(int64_t) item->quantity : (int64_t) item->quantity;
        struct stock_delta *d = &batch->deltas[item->place];

        if (stock == STOCK_WRITTEN_OFF) {
            d->supplied -= units;
        } else {
            d->delta += units;
        }

        d->live -= units;
        d->moved = 1;

        if (item->product == o->product) {
            o->taken -= units;
        }

        listener->movement(batch, c, item, from, stock);
    }

    return 0;
}


static void
keep_result(struct changed_order *o, const struct order_change *c, const struct lifecycle_decision *step)
{
    if (step->outcome == OUTCOME_PAID || step->outcome == OUTCOME_PAID_LATE || step->outcome == OUTCOME_REFUND_PENDING)
    {
        snprintf(o->payment_id, sizeof(o->payment_id), "%s", c->payment_id);
        o->new_payment = 1;

        if (o->items == 0) {
            o->total = c->amount;
            o->new_total = 1;
        }

        o->code[0] = '\0';
    }

    if (step->outcome == OUTCOME_PAID_LATE && o->items == 0) {
        o->new_item = 1;
        o->items = 1;
    }

    if (step->outcome == OUTCOME_REFUND_PENDING) {
        snprintf(o->code, sizeof(o->code), "late_payment");
    } else if (c->code != NULL && !order_is_live(step->status)) {
        snprintf(o->code, sizeof(o->code), "%s", c->code);
    }
}


/* Returns as plan_changes() does. */
static int
decide_one(struct change_batch *batch, const struct plan_listener *listener, struct order_change *c)
{
    struct changed_order *o = &batch->orders[c->order];

    if (o->passed_over) {
        c->outcome = OUTCOME_LOCKED;
        return 0;
    }

    /* What was read of earlier payments does not know of those in this batch: the next one does. */
    if (c->event == EVENT_PAYMENT_REFUNDED && o->paid_now) {
        c->outcome = OUTCOME_WAITS;
        return 0;
    }

    enum order_status seen = c->user != 0 && c->user != o->user ? ORDER_UNKNOWN : o->status;
    struct order_facts facts = facts_of(batch, c);
    struct lifecycle_decision step = lifecycle_decide(seen, c->event, &facts);

    c->outcome = step.outcome;
    o->paid_now |= c->event == EVENT_PAYMENT_SUCCEEDED || c->event == EVENT_PAYMENT_REFUNDED;

    if (step.outcome == OUTCOME_PAYMENT_REPLACED) {
        memcpy(o->payment_id, o->second_payment, sizeof(o->payment_id));
        o->new_payment = 1;
    }

    if (step.status == seen) {
        return 0;
    }

    enum order_status from = o->status;

    o->status = step.status;
    keep_result(o, c, &step);

    if (move_stock(batch, listener, c, from, step.stock) == -1) {
        return -1;
    }

    listener->status_changed(batch, o);
    return 0;
}


int
plan_changes(struct change_batch *batch, const struct plan_listener *listener)
{
    for (size_t i = 0; i < batch->count; i++) {
        if (decide_one(batch, listener, &batch->changes[i]) == -1) {
            return -1;
        }
    }

    return 0;
}
