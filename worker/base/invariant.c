#include "base/invariant.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "failpoint.h"

#if defined(CHECKOUT_FAILPOINTS) || defined(__SANITIZE_ADDRESS__)
#define ABORTS 1
#else
#define ABORTS 0
#endif


static atomic_int must_abort = ABORTS;
static atomic_uint_fast64_t failures;


int
invariant_failed(const char *text, const char *file, int line)
{
    atomic_fetch_add(&failures, 1);
    log_error("event=invariant_failed what=\"%s\" at=%s:%d", text, file, line);

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
