/*
 * The end of every program of unit tests: Check runs a suite, and main() says what came of it.
 */
#ifndef CHECKOUT_SUITE_H
#define CHECKOUT_SUITE_H

#include <check.h>
#include <stdlib.h>

#include "base/invariant.h"

/* CK_VERBOSITY sets how much is said. Frees the suite. Returns the exit code. */
static inline int
suite_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);

    invariant_set_abort(1);
    srunner_run_all(runner, CK_ENV);

    int failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
