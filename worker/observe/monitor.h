/*
 * The monitor: one thread per process that reads the state of the queue every second, and checks the laws
 * (observe/laws.h) every `laws_interval`, on connections of its own. The answers to /metrics, /healthz and /readyz
 * are made of what it read last and of the process's counts (observe/stats.h), so that a request for them costs Redis
 * and MySQL nothing.
 *
 * The main thread starts and joins it; libmicrohttpd's thread calls the two functions that write answers. `lock`
 * protects what both threads use; the functions take it themselves. The connections belong to the monitor's thread.
 */
#ifndef CHECKOUT_WORKER_OBSERVE_MONITOR_H
#define CHECKOUT_WORKER_OBSERVE_MONITOR_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/config.h"
#include "observe/consumer_status.h"
#include "observe/laws.h"
#include "observe/peers.h"
#include "observe/rebuild_watch.h"
#include "text/buffer.h"

/* The numbers of common/lua/monitor.lua, which describes each. */
struct monitor_queue {
    int valid; /* 0: Redis did not answer at the last try, and the rest is older */
    int64_t entries, oldest_ms, queued, dead_letters, pending, pending_dead, consumers, recovering;
};

struct monitor {
    const struct config *config;             /* not owned */
    const struct consumer_status *consumers; /* not owned */
    unsigned count;
    struct peers *peers; /* not owned */
    pthread_t thread;
    atomic_int ended;              /* 1: the thread is about to return */
    struct redis_connection redis; /* the thread's, as are the next two */
    struct laws laws;
    struct rebuild_watch rebuild;

    pthread_mutex_t lock;
    struct monitor_queue queue; /* under lock */
};

/*
 * Starts the thread, which ends when the stop is requested. config, peers and consumers (count of them) must
 * outlive it. Returns 0, or an error number of errno.h: do not join it then.
 */
int monitor_start(struct monitor *m, const struct config *config, const struct consumer_status *consumers,
                  unsigned count, struct peers *peers);

/*
 * Waits for the thread's end and frees what it owned. Call stop_request() before, else it waits for ever, and
 * http_server_close(), so that nothing uses it.
 */
void monitor_join(struct monitor *m);

/*
 * Appends Prometheus text (prometheus.io, "Exposition formats", version 0.0.4). Any thread; does not wait for a server.
 */
void monitor_write_metrics(struct monitor *m, struct buffer *text);

/*
 * Appends one JSON object. Returns 1 when orders are being worked on, 0 when they wait (outage, pause, stop). Any
 * thread; does not block.
 */
int monitor_write_health(struct monitor *m, struct buffer *text);

#endif
