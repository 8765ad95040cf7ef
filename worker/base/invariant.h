/*
 * Checks of what must be true whatever comes from outside: where one fails, the program is wrong. Input is checked by
 * ordinary code, not by these.
 *
 * In a test build (fail points, sanitizers, unit tests) a check that fails writes a line and aborts. In a release build
 * it writes a line (event=invariant_failed, level error), counts it for checkout_invariant_failures_total, and gives 0:
 * the caller then writes nothing of what it holds.
 */
#ifndef CHECKOUT_WORKER_BASE_INVARIANT_H
#define CHECKOUT_WORKER_BASE_INVARIANT_H

#include <stdint.h>

/* Gives 1 where the condition holds, else 0. text: constant, what must be true, without double quotes. */
#define INVARIANT(condition, text) ((condition) ? 1 : invariant_failed(text, __FILE__, __LINE__))

/* For INVARIANT() alone. Returns 0, or does not return. Safe to call from every thread; does not block. */
int invariant_failed(const char *text, const char *file, int line) __attribute__((cold));

/* How many checks failed in this process. Safe to call from every thread. */
uint64_t invariant_failures(void);

/* 1: from now on a check that fails aborts, 0: it does not. Before this is called, the build decides. */
void invariant_set_abort(int aborts);

#endif
