/*
 * What the commands of checkoutctl share.
 *
 * A command gets the words behind its name and returns the exit code: 0 done or "in order", 1 a law is
 * violated, 2 wrong use or cannot run. It prints results to stdout and errors to stderr.
 */
#ifndef CHECKOUT_CTL_H
#define CHECKOUT_CTL_H

#include "config.h"
#include "db.h"
#include "redis_conn.h"

#define CTL_OK       0
#define CTL_VIOLATED 1
#define CTL_ERROR    2

struct ctl {
    struct config config;
    struct db db;
    struct redis_conn redis;
};

int ctl_migrate(struct ctl *ctl, int argc, char **argv);
int ctl_product_add(struct ctl *ctl, int argc, char **argv);
int ctl_product_set(struct ctl *ctl, int argc, char **argv);
int ctl_stock_load(struct ctl *ctl, int argc, char **argv);
int ctl_stock_get(struct ctl *ctl, int argc, char **argv);
int ctl_audit(struct ctl *ctl, int argc, char **argv);

/* Prints "checkoutctl: …" to stderr and returns CTL_ERROR. */
int ctl_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int ctl_db_failed(const struct ctl *ctl);
int ctl_redis_failed(const struct ctl *ctl);

/* A product id from the command line: 1 .. 2^63 - 1. Returns 0, or -1 after a message. */
int ctl_product_id(const char *word, uint64_t *id);

#endif
