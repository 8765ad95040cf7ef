/*
 * Checks of what must be true whatever comes from outside: where one fails, the program is wrong. Input is checked by
 * ordinary code, not by these.
 *
 * In a test build (fail points, sanitizers, unit tests) a check that fails writes a line and aborts. In a release build
 * it writes a line (event=invariant_failed, level error), counts it for checkout_invariant_failures_total, and gives 0:
 * the caller then writes nothing of what it holds. Each check writes at most one line a second.
 */
#ifndef CHECKOUT_WORKER_BASE_INVARIANT_H
#define CHECKOUT_WORKER_BASE_INVARIANT_H

#include <stdatomic.h>
#include <stdint.h>

/* Of one INVARIANT() in the source. */
struct invariant_site {
    const char *text, *file;
    int line;
    atomic_uint_fast64_t next_ms; /* no line before */
};

/* Gives 1 where the condition holds, else 0. words: constant, what must be true, without double quotes. */
#define INVARIANT(condition, words) \
    ((condition) ? 1 : __extension__({ \
        static struct invariant_site invariant_site_ = { .text = (words), .file = __FILE__, .line = __LINE__ }; \
        invariant_failed(&invariant_site_); \
    }))

/* For INVARIANT() alone. Returns 0, or does not return. Safe to call from every thread; does not block. */
int invariant_failed(struct invariant_site *site) __attribute__((cold));

/* How many checks failed in this process. Safe to call from every thread. */
uint64_t invariant_failures(void);

/* 1: from now on a check that fails aborts, 0: it does not. Before this is called, the build decides. */
void invariant_set_abort(int aborts);

#endif
