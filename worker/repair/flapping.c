#include "repair/flapping.h"

#include <stddef.h>


int
restless_is_left(const struct restless *restless, uint64_t id, uint64_t now_ms)
{
    for (size_t i = 0; i < RESTLESS_MOST; i++) {
        if (restless->products[i].id == id) {
            return now_ms < restless->products[i].until_ms;
        }
    }

    return 0;
}


/* The product's place, or the one that was not used for longest, emptied. */
static struct restless_product *
find_place(struct restless *restless, uint64_t id)
{
    struct restless_product *oldest = &restless->products[0];

    for (size_t i = 0; i < RESTLESS_MOST; i++) {
        struct restless_product *p = &restless->products[i];

        if (p->id == id) {
            return p;
        }

        if (p->tick < oldest->tick) {
            oldest = p;
        }
    }

    *oldest = (struct restless_product) { .id = id };
    return oldest;
}


int
restless_note(struct restless *restless, uint64_t id, uint64_t tick, uint64_t now_ms)
{
    struct restless_product *p = find_place(restless, id);

    p->times = p->tick + 1 == tick ? p->times + 1 : 1;
    p->tick = tick;

    if (p->times < RESTLESS_TICKS) {
        return 0;
    }

    p->times = 0;
    p->until_ms = now_ms + RESTLESS_LEAVE_MS;
    return 1;
}
