/*
 * A bound on the lines that one cause writes into the log: one a second, which tells how many were left out before it.
 * Times are clock_ms(). Pure; not for several threads at once. A zero-initialised limit lets the first line pass.
 */
#ifndef CHECKOUT_WORKER_BASE_LOG_LIMIT_H
#define CHECKOUT_WORKER_BASE_LOG_LIMIT_H

#include <stdint.h>

#define LOG_LIMIT_MS 1000

struct log_limit {
    uint64_t next_ms;  /* no line before */
    uint64_t left_out; /* lines since the last one */
};

/* Returns 1: write the line, *left_out were not written since the last one. 0: do not, it is counted. */
int log_limit_pass(struct log_limit *limit, uint64_t now_ms, uint64_t *left_out);

/* Returns 1 where lines were left out and one may be written again: write it, with *left_out. Else 0. */
int log_limit_rest(struct log_limit *limit, uint64_t now_ms, uint64_t *left_out);

#endif
