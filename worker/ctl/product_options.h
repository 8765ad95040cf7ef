/*
 * The words that describe a product on the command line, checked and turned into SQL values.
 */
#ifndef CHECKOUT_WORKER_CTL_PRODUCT_OPTIONS_H
#define CHECKOUT_WORKER_CTL_PRODUCT_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

/* A field that was not given has set = 0. Texts point into argv. */
struct product_words {
    const char *name;               /* NULL: not given */
    const char *price;              /* "19.80", checked */
    const char *state;              /* "open" or "closed" */
    struct product_number {
        int set;
        uint64_t value;
    } stock;
    struct product_term {
        int set;
        int none;                   /* "none": the term is taken away */
        char sql[32];               /* what stands in SQL: '2026-11-21 12:00:00.000', 5 */
    } opens_at, closes_at, per_user_limit, max_quantity, payment_timeout;
};

/* Returns 0, or -1 with the reason in error. */
int product_words_read(struct product_words *words, int argc, char **argv, char *error, size_t size);

/* "2026-11-21T12:00:00Z", seconds and their fraction optional, or with +08:00, to 'YYYY-MM-DD HH:MM:SS.mmm' in UTC
 * between quotes. Returns 0, or -1. */
int product_time_to_sql(char out[32], const char *text);

#endif
