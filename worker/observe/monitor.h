/*
 * The monitor: one thread per process that looks at the queue every second and at the laws every `laws_interval`,
 * on connections of its own, so that asking for the metrics costs Redis and MySQL nothing.
 *
 * It writes the answers of /metrics, /healthz and /readyz from what it saw last and from the process's counts.
 */
#ifndef CHECKOUT_WORKER_OBSERVE_MONITOR_H
#define CHECKOUT_WORKER_OBSERVE_MONITOR_H

#include <pthread.h>
#include <stdatomic.h>

#include "text/buffer.h"
#include "base/config.h"
#include "observe/consumer_status.h"
#include "redis/gate.h"
#include "mysql/supply.h"

struct monitor_queue {
    int seen;                          /* 0: Redis does not answer, and the rest is old */
    int64_t entries, oldest_ms, queued, dead_letters, pending, pending_dead, consumers;
};

struct monitor_laws {
    int seen;                          /* 0: never checked, or one of the servers does not answer */
    uint64_t checked_ms;               /* by clock_ms() */
    int64_t oversold, drift, unsettled, behind, products;
    int64_t refund_pending, events_waiting, overdue;
};

struct monitor {
    const struct config *config;       /* not owned */
    const struct consumer_status *consumers;   /* not owned */
    unsigned count;
    pthread_t thread;
    atomic_int ended;
    struct redis_conn redis;
    struct db db;
    uint64_t next_laws_ms;

    pthread_mutex_t lock;
    struct monitor_queue queue;        /* under lock, as is the next */
    struct monitor_laws laws;
};

/* Returns 0, or an error number. It ends when the stop is asked for. */
int monitor_start(struct monitor *m, const struct config *config, const struct consumer_status *consumers,
                  unsigned count);

/* Joins the thread and frees what it owned. Nobody may ask it any more. */
void monitor_join(struct monitor *m);

/* Prometheus text. */
void monitor_write_metrics(struct monitor *m, struct buffer *text);

/* JSON. Returns 1 when orders are being worked on, 0 when they wait (outage, pause, stop). */
int monitor_write_health(struct monitor *m, struct buffer *text);

/* Law 1: units of that product sold beyond its supply, or that its stock is below zero. Pure. */
int64_t monitor_oversold(const struct supply *supply);

/* Law 5: units by which the gate differs from MySQL. A gate that is behind differs by nothing yet. Pure. */
int64_t monitor_drift(const struct gate_product *gate, const struct supply *supply);

#endif
