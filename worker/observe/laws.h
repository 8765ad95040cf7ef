/*
 * The laws as gauges: what MySQL and the gate show now, each gauge measured by itself, with the time when that was. One
 * that cannot be measured, or takes long, hides no other: it is left out of the metrics, and its age grows.
 *
 * One process at a time measures, by the lease "laws" (redis/lease.h); the others leave these gauges out. Nothing that
 * is read grows with what was sold: law 1 is a comparison within the rows of the products (mysql/supply.h), and what is
 * counted is counted up to STATS_COUNT_MOST (observe/stats.h). Each statement is ended by the server after
 * LAWS_STATEMENT_MS.
 *
 * A struct belongs to the monitor's thread, but for laws_write(), which any thread may call.
 */
#ifndef CHECKOUT_WORKER_OBSERVE_LAWS_H
#define CHECKOUT_WORKER_OBSERVE_LAWS_H

#include <pthread.h>

#include "base/config.h"
#include "mysql/supply.h"
#include "redis/gate.h"
#include "redis/lease.h"
#include "text/buffer.h"

#define LAWS_STATEMENT_MS 5000

/* Names and meanings: the table in laws.c, and docs/operations.md. */
enum law_gauge {
    LAW_GAUGE_OVERSOLD,
    LAW_GAUGE_NOT_COUNTED,
    LAW_GAUGE_DRIFT,
    LAW_GAUGE_BEHIND,
    LAW_GAUGE_LOADED,
    LAW_GAUGE_UNSETTLED,
    LAW_GAUGE_REFUND_PENDING,
    LAW_GAUGE_EVENTS_WAITING,
    LAW_GAUGE_OVERDUE,
    LAW_GAUGES
};

/* What is measured in one go. */
enum law_check {
    LAW_CHECK_PRODUCTS, /* the rows of MySQL, and the registers at the gate */
    LAW_CHECK_UNSETTLED,
    LAW_CHECK_REFUND_PENDING,
    LAW_CHECK_EVENTS_WAITING,
    LAW_CHECK_OVERDUE,
    LAW_CHECKS
};

struct law_value {
    int valid;           /* 1: it was measured at the last try */
    int measured;        /* 1: it ever was; the next two are of that time */
    uint64_t checked_ms; /* by clock_ms() */
    int64_t value;
};

struct laws {
    const struct config *config;    /* not owned */
    struct redis_connection *redis; /* not owned */
    struct db db;
    struct db_server server; /* as configured, with LAWS_STATEMENT_MS */
    struct lease lease;
    uint64_t lease_ms;            /* when the lease was asked for last; 0: never */
    int held;                     /* 1: this process measures */
    uint64_t next_ms[LAW_CHECKS]; /* when each check is due */
    int64_t unsettled;            /* as handed to laws_measure() */

    pthread_mutex_t lock;
    struct law_value values[LAW_GAUGES]; /* under lock */
};

/* config and redis must outlive it. Does not block. laws_free() frees what it owns. */
void laws_init(struct laws *laws, const struct config *config, struct redis_connection *redis);

/*
 * Measures what is due, every [worker] laws_interval, or later where a check took long, so that it takes a small part
 * of a server's time. unsettled: accepted orders without a verdict, as read just now; -1: Redis did not answer. Blocks.
 */
void laws_measure(struct laws *laws, int64_t unsettled);

/* Appends Prometheus text. Any thread; does not wait for a server. */
void laws_write(struct laws *laws, struct buffer *text);

/* The thread ends: gives the lease back and closes the connection. Blocks for a call of Redis at most. */
void laws_close(struct laws *laws);

/* Frees the rest, after laws_close(), once no other thread uses it. */
void laws_free(struct laws *laws);

/*
 * Law 1: units of that product sold beyond its supply, by its counters, or by which its stock is below zero; 0: it
 * holds, or the counters are not whole. Pure.
 */
int64_t laws_oversold(const struct supply *supply);

/*
 * Law 5: units by which the gate differs from MySQL; 0: it holds, or the gate is behind MySQL, and its push is still to
 * come. Pure.
 */
int64_t laws_drift(const struct gate_product *gate, const struct supply *supply);

#endif
