/*
 * The laws that `checkoutctl audit` checks, and their judgment. Pure: what is judged was read before (ctl/audit.c).
 *
 * Redis is read first, each group of products in one step (what is in flight is counted beside it, and where it differs
 * looked at again in one step), then MySQL, each product in a snapshot of its own. So a register may be behind MySQL
 * (its push is still to come), but never ahead of it, and equal versions must hold equal stock. Laws of MySQL go by
 * what its orders and movements add up to, never by the counters: those are judged by it.
 */
#ifndef CHECKOUT_WORKER_CTL_AUDIT_LAWS_H
#define CHECKOUT_WORKER_CTL_AUDIT_LAWS_H

#include <stddef.h>
#include <stdint.h>

#include "mysql/supply_count.h"
#include "redis/gate.h"
#include "text/buffer.h"

#define AUDIT_VIOLATIONS_SHOWN 20 /* per law; all are counted */

enum law {
    LAW_MYSQL_NOT_NEGATIVE,
    LAW_NO_OVERSELL,
    LAW_COUNTERS,
    LAW_GATE_NOT_NEGATIVE,
    LAW_STOCK_FOLLOWS,
    LAW_IN_FLIGHT,
    LAW_VERSIONS,
    LAW_REGISTERS,
    LAW_KNOWN,
    LAW_COUNTS,
    LAW_SETTLED,
    LAW_RECOVERED,
    LAWS
};

extern const char *const audit_law_names[LAWS];

/* Zero-initialised is empty; audit_free() frees what it holds. */
struct audit {
    /* Read from Redis, then from MySQL. */
    struct gate_product *gate;
    size_t gate_count;
    struct in_flight count;      /* the pass over the queue */
    unsigned char *foreign;      /* [i]: gate[i] has no register, but a key of another type in its place */
    struct supply_count *counts; /* of all products, ids ascending */
    size_t count_count, count_capacity;
    int64_t queue_entries, dead_letters;
    int64_t queue_orders, queued;     /* what the queue holds, and what the gate counts; -1: no number */
    int64_t products, products_after; /* by the gate's count, before and after the registers were read */
    int64_t overdue;                  /* entries read by a consumer and not settled within 60 s */
    int rebuilding;

    /* Judged. */
    uint64_t checked[LAWS], violated[LAWS];
    struct buffer violations[LAWS]; /* lines, AUDIT_VIOLATIONS_SHOWN at most */
    uint64_t behind;                /* registers whose push is still to come */
    uint64_t not_counted;           /* products whose counters are not whole yet */
};

/* Judges all laws of what was read. Call it once. */
void audit_judge(struct audit *a);

/* Returns 1 when a law is violated, else 0. */
int audit_is_violated(const struct audit *a);

/* Returns the row of a product, or NULL: MySQL does not have it. It belongs to the audit. */
const struct supply *audit_find_row(const struct audit *a, uint64_t product);

/* Frees what it holds; the struct is empty then. */
void audit_free(struct audit *a);

#endif
