#include "ctl/buyers.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/stop.h"
#include "ctl/report.h"
#include "redis/lease.h"
#include "repair/buyers_wanted.h"

#define WAIT_MS 100
#define MOST_MS (LEASE_SILENT_MS + 5000) /* the lease of a worker that was killed is free after LEASE_SILENT_MS */


static int
go_on(void *data)
{
    (void) data;
    return !stop_requested();
}


/* Counts where no worker does. Returns 1 where nothing is left to do, 0, or -1 where a server failed. */
static int
try(struct ctl *ctl, struct lease *lease, uint64_t product)
{
    uint64_t users = 0;
    int wanted = buyers_is_wanted(&ctl->redis, product);

    if (wanted <= 0) {
        return wanted == 0 ? 1 : -1;
    }

    int held = lease_hold(lease, &ctl->redis);

    if (held != 1) {
        return held;
    }

    enum buyers_counted result = buyers_count(&ctl->db, &ctl->redis, &product, 1, go_on, NULL, &users);

    lease_give_back(lease, &ctl->redis);
    return result == BUYERS_DB_FAILED || result == BUYERS_REDIS_FAILED ? -1 : 0;
}


void
buyers_wait(struct ctl *ctl, const struct product_row *row)
{
    struct lease lease;
    uint64_t begun = clock_ms();
    int done = row->terms.per_user_limit == 0;

    lease_init(&lease, BUYERS_LEASE, "checkoutctl");

    while (done == 0 && clock_ms() - begun < MOST_MS) {
        done = try(ctl, &lease, row->id);

        if (done == 0 && stop_wait(WAIT_MS)) {
            break;
        }
    }

    if (done != 1) {
        (void) report_error("the buyers of product %" PRIu64
                            " are not counted yet: it answers 503 until a worker has done"
                            " that",
                            row->id);
    }
}
