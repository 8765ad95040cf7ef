#include "repair/flapping.h"

#include <stddef.h>


int
flapping_is_suspended(const struct flapping *flapping, uint64_t id, uint64_t now_ms)
{
    for (size_t i = 0; i < FLAPPING_MOST; i++) {
        if (flapping->products[i].id == id) {
            return now_ms < flapping->products[i].until_ms;
        }
    }

    return 0;
}


/* The product's place, or the one that was not used for longest, emptied. */
static struct flapping_product *
find_place(struct flapping *flapping, uint64_t id)
{
    struct flapping_product *oldest = &flapping->products[0];

    for (size_t i = 0; i < FLAPPING_MOST; i++) {
        struct flapping_product *p = &flapping->products[i];

        if (p->id == id) {
            return p;
        }

        if (p->tick < oldest->tick) {
            oldest = p;
        }
    }

    *oldest = (struct flapping_product) { .id = id };
    return oldest;
}


int
flapping_add(struct flapping *flapping, uint64_t id, uint64_t tick, uint64_t now_ms)
{
    struct flapping_product *p = find_place(flapping, id);

    p->times = p->tick + 1 == tick ? p->times + 1 : 1;
    p->tick = tick;

    if (p->times < FLAPPING_TICKS) {
        return 0;
    }

    p->times = 0;
    p->until_ms = now_ms + FLAPPING_SUSPEND_MS;
    return 1;
}
