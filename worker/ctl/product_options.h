/*
 * The options that describe a product on the command line, checked and turned into SQL values.
 */
#ifndef CHECKOUT_WORKER_CTL_PRODUCT_OPTIONS_H
#define CHECKOUT_WORKER_CTL_PRODUCT_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

/* An option that was not given is NULL, or has set = 0. Texts point into argv. */
struct product_options {
    const char *name;  /* NULL: not given */
    const char *price; /* "19.80", checked */
    const char *state; /* "open" or "closed" */
    struct product_number {
        int set;
        uint64_t value;
    } stock;
    struct product_term {
        int set;
        int none;     /* "none": the term is taken away */
        char sql[32]; /* what stands in SQL: '2026-11-21 12:00:00.000', 5 */
    } opens_at, closes_at, per_user_limit, max_quantity, payment_timeout;
};

/*
 * Reads "--name TEXT --price 19.80 …", argc words. Returns 0, or -1 with the reason in error, which has room for size
 * bytes. Does not block.
 */
int product_options_read(struct product_options *options, int argc, char **argv, char *error, size_t size);

/*
 * Turns "2026-11-21T12:00:00Z" (RFC 3339; seconds and their fraction are optional, "+08:00" is taken too) into
 * 'YYYY-MM-DD HH:MM:SS.mmm' in UTC, with its quotes. Returns 0, or -1: it is no such time.
 */
int product_options_time(char out[32], const char *text);

#endif
