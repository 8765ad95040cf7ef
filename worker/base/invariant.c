#include "base/invariant.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "failpoint.h"

#if defined(CHECKOUT_FAILPOINTS) || defined(__SANITIZE_ADDRESS__)
#define ABORTS 1
#else
#define ABORTS 0
#endif


static atomic_int must_abort = ABORTS;
static atomic_uint_fast64_t failures;


int
invariant_failed(struct invariant_site *site)
{
    uint64_t now = clock_ms(), count = atomic_fetch_add(&failures, 1) + 1;
    uint_fast64_t next = atomic_load(&site->next_ms);

    if (now >= next && atomic_compare_exchange_strong(&site->next_ms, &next, now + LOG_LIMIT_MS)) {
        log_error("event=invariant_failed what=\"%s\" at=%s:%d failures=%" PRIu64, site->text, site->file, site->line,
                  count);
    }

    /* A test that breaks a check on purpose wants to see what a release does then. */
    if (atomic_load(&must_abort) && !FAILPOINT_BREAKS_CHECKS()) {
        abort();
    }

    return 0;
}


uint64_t
invariant_failures(void)
{
    return atomic_load(&failures);
}


void
invariant_set_abort(int aborts)
{
    atomic_store(&must_abort, aborts);
}
