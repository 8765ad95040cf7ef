#include "observe/stats.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/invariant.h"

#define BUCKETS_MOST 12
#define ITEMS(array) (sizeof(array) / sizeof((array)[0]))

struct histogram {
    const char *name, *help;
    uint64_t bounds[BUCKETS_MOST]; /* ascending; 0 ends them */
    uint64_t unit;                 /* how many of what is counted make 1 in the text */
    atomic_uint_fast64_t counts[BUCKETS_MOST + 1];
    atomic_uint_fast64_t sum;
};

static struct histogram batch_orders = {
    .name = "checkout_batch_orders",
    .help = "Orders in one batch.",
    .unit = 1,
    .bounds = { 1, 4, 16, 64, 128, 256, 512, 1024, 4096 }
};

static struct histogram commit_seconds = {
    .name = "checkout_commit_seconds",
    .help = "Time of one transaction, from its begin to its commit.",
    .unit = 1000000,
    .bounds = { 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 10000000 }
};

static const struct {
    const char *name, *help;
} count_names[STATS_COUNTS] = {
    [STATS_BATCHES] = { "checkout_batches_total", "Batches settled." },
    [STATS_ENTRIES] = { "checkout_entries_total", "Entries of the queue settled." },
    [STATS_TAKEN_OVER] = { "checkout_taken_over_total", "Entries taken over from dead consumers." },
    [STATS_BURIED] = { "checkout_buried_total", "Entries that were no job, moved to the dead letters." },
    [STATS_LOST] = { "checkout_lost_total", "Entries deleted from the queue before they were settled." },
    [STATS_RECONCILED] = { "checkout_reconciled_total", "Products that the reconciler put right at the gate." },
    [STATS_EVENTS_DELIVERED] = { "checkout_outgoing_events_delivered_total", "Events that the shop has acknowledged." },
    [STATS_EVENTS_FAILED] = { "checkout_outgoing_events_failed_total", "Attempts at events that will be repeated." },
    [STATS_EVENTS_DEAD] = { "checkout_outgoing_events_dead_total", "Events that were given up." },
    [STATS_GATEWAY_SUCCEEDED] = { "checkout_gateway_succeeded_total", "Payments that the gateway took." },
    [STATS_GATEWAY_FAILED] = { "checkout_gateway_failed_total", "Payments that the gateway refused." },
    [STATS_GATEWAY_UNKNOWN] = { "checkout_gateway_unknown_total", "Questions to the gateway without an answer." },
};

static const struct {
    const char *name, *help;
} gauge_names[STATS_GAUGES] = {
    [STATS_OUTGOING_WAITING] = { "checkout_outgoing_events_waiting", "Events that the shop was not told of yet." },
    [STATS_OUTGOING_DEAD] = { "checkout_outgoing_events_dead", "Events given up; each waits for a person." },
    [STATS_GATEWAY_OPEN] = { "checkout_gateway_calls_open", "Orders that the gateway gave no answer for yet." },
    [STATS_COUNTER_DRIFT] = { "checkout_counter_drift_units",
                              "Units by which counters differ from orders and movements; right is 0." },
    [STATS_NOTICES_WAITING] = { "checkout_gate_notices_waiting",
                                "Changes of orders that the gate was not told of yet." },
    [STATS_NOTICES_AGE] = { "checkout_gate_notices_age_seconds", "Age of the oldest of them." },
    [STATS_REBUILD] = { "checkout_rebuild", "1 while a rebuild is under way, 2 when its process is dead; else 0." },
};

static const char *const verdicts[] = {
    "pending_payment", "repeated", "dead_letter", "out_of_stock", "product_gone", "idempotency_conflict", "rejected"
};

static const struct {
    unsigned code;
    const char *cause;
} causes[] = {
    { 0, "connection" }, /* also every number of the client library */
    { 1213, "deadlock" },
    { 1020, "deadlock" },
    { 1062, "duplicate_key" },
    { 1205, "lock_wait" },
    { 1290, "read_only" },
    { 1836, "read_only" },
    { 1792, "read_only" },
    { 1021, "disk_full" },
    { 1114, "disk_full" },
    { 1026, "disk_full" },
    { 1040, "too_many_connections" },
    { 1203, "too_many_connections" },
    { 1226, "too_many_connections" },
    { 1317, "killed" },
    { 1927, "killed" },
    { 1969, "killed" },
    { 3024, "killed" },
    { 1053, "killed" },
    { 1044, "grant" },
    { 1045, "grant" },
    { 1142, "grant" },
    { 1143, "grant" },
};

enum retry {
    RETRY_REDIS,
    RETRY_SETTLE,
    RETRY_MYSQL_OTHER,
    RETRY_MYSQL
};

static atomic_uint_fast64_t counts[STATS_COUNTS];
static atomic_int_fast64_t gauges[STATS_GAUGES] = { -1, -1, -1, -1, -1, -1, -1 };
static atomic_uint_fast64_t set_ms[STATS_GAUGES]; /* by clock_ms(); 0: never */
static atomic_uint_fast64_t by_verdict[ITEMS(verdicts)];
static atomic_uint_fast64_t by_outcome[ORDER_EVENTS + 1][EVENT_OUTCOMES];
static atomic_uint_fast64_t retries[RETRY_MYSQL + ITEMS(causes)];


static void
observe(struct histogram *h, uint64_t value)
{
    size_t i = 0;

    while (i < BUCKETS_MOST && h->bounds[i] != 0 && value > h->bounds[i]) {
        i++;
    }

    atomic_fetch_add(&h->counts[i], 1);
    atomic_fetch_add(&h->sum, value);
}


void
stats_add(enum stats_count count, uint64_t n)
{
    atomic_fetch_add(&counts[count], n);
}


void
stats_set(enum stats_gauge gauge, int64_t value)
{
    atomic_store(&gauges[gauge], value);

    if (value != -1) {
        atomic_store(&set_ms[gauge], clock_ms());
    }
}


int64_t
stats_age_ms(enum stats_gauge gauge, const char **name)
{
    uint64_t set = atomic_load(&set_ms[gauge]);

    *name = gauge_names[gauge].name + strlen("checkout_");
    return set == 0 ? -1 : (int64_t) (clock_ms() - set);
}


uint64_t
stats_read(enum stats_count count)
{
    return atomic_load(&counts[count]);
}


void
stats_batch(uint64_t orders)
{
    atomic_fetch_add(&counts[STATS_BATCHES], 1);
    observe(&batch_orders, orders);
}


void
stats_verdict(const char *verdict)
{
    for (size_t v = 0; v < ITEMS(verdicts); v++) {
        if (strcmp(verdict, verdicts[v]) == 0) {
            atomic_fetch_add(&by_verdict[v], 1);
            return;
        }
    }
}


void
stats_commit(uint64_t microseconds)
{
    observe(&commit_seconds, microseconds);
}


void
stats_mysql_retry(unsigned code)
{
    size_t retry = RETRY_MYSQL_OTHER;

    /* 2000 .. 2999 are the client library's own: MySQL Reference Manual, "Client Error Message Reference". */
    if (code >= 2000 && code < 3000) {
        code = 0;
    }

    for (size_t i = 0; i < ITEMS(causes) && retry == RETRY_MYSQL_OTHER; i++) {
        if (causes[i].code == code) {
            retry = RETRY_MYSQL + i;
        }
    }

    atomic_fetch_add(&retries[retry], 1);
}


void
stats_redis_retry(int settle)
{
    atomic_fetch_add(&retries[settle ? RETRY_SETTLE : RETRY_REDIS], 1);
}


static void
write_head(struct buffer *text, const char *name, const char *help, const char *type)
{
    buffer_format(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}


static void
write_histogram(struct buffer *text, struct histogram *h)
{
    uint64_t total = 0;

    write_head(text, h->name, h->help, "histogram");

    for (size_t i = 0; i <= BUCKETS_MOST; i++) {
        int last = i == BUCKETS_MOST || h->bounds[i] == 0;

        total += atomic_load(&h->counts[i]);

        if (last) {
            break;
        }

        buffer_format(text, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", h->name, (double) h->bounds[i] / (double) h->unit,
                      total);
    }

    buffer_format(text, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %g\n%s_count %" PRIu64 "\n", h->name, total,
                  h->name, (double) atomic_load(&h->sum) / (double) h->unit, h->name, total);
}


static uint64_t
retries_of_cause(size_t first)
{
    uint64_t sum = 0;

    for (size_t i = first; i < ITEMS(causes); i++) {
        if (strcmp(causes[i].cause, causes[first].cause) == 0) {
            sum += atomic_load(&retries[RETRY_MYSQL + i]);
        }
    }

    return sum;
}


static int
is_repeated_cause(size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (strcmp(causes[j].cause, causes[i].cause) == 0) {
            return 1;
        }
    }

    return 0;
}


static void
write_retries(struct buffer *text)
{
    static const char *const names[] = {
        [RETRY_REDIS] = "redis", [RETRY_SETTLE] = "redis_settle", [RETRY_MYSQL_OTHER] = "mysql_other"
    };

    write_head(text, "checkout_retries_total", "What had to be tried again, by cause.", "counter");

    for (size_t i = 0; i < ITEMS(names); i++) {
        buffer_format(text, "checkout_retries_total{cause=\"%s\"} %" PRIu64 "\n", names[i],
                      (uint64_t) atomic_load(&retries[i]));
    }

    for (size_t i = 0; i < ITEMS(causes); i++) {
        if (!is_repeated_cause(i)) {
            buffer_format(text, "checkout_retries_total{cause=\"mysql_%s\"} %" PRIu64 "\n", causes[i].cause,
                          retries_of_cause(i));
        }
    }
}


void
stats_outcome(enum order_event event, enum event_outcome outcome)
{
    atomic_fetch_add(&by_outcome[event][outcome], 1);
}


/*
 * Writes only pairs that occurred: most never do. Flagged outcomes have a metric of their own, which is always there.
 */
static void
write_outcomes(struct buffer *text)
{
    uint64_t flagged = 0;

    write_head(text, "checkout_order_events_total", "Events in the lives of orders, by what became of them.",
               "counter");

    for (unsigned e = 0; e <= ORDER_EVENTS; e++) {
        for (unsigned o = 0; o < EVENT_OUTCOMES; o++) {
            uint64_t n = atomic_load(&by_outcome[e][o]);

            flagged += outcome_is_flagged((enum event_outcome) o) ? n : 0;

            if (n > 0) {
                buffer_format(text, "checkout_order_events_total{event=\"%s\",outcome=\"%s\"} %" PRIu64 "\n",
                              e < ORDER_EVENTS ? order_event_name((enum order_event) e) : "other",
                              event_outcome_name((enum event_outcome) o), n);
            }
        }
    }

    write_head(text, "checkout_payments_flagged_total", "Payment events that a person has to look at.", "counter");
    buffer_format(text, "checkout_payments_flagged_total %" PRIu64 "\n", flagged);
}


void
stats_write(struct buffer *text)
{
    for (size_t i = 0; i < STATS_COUNTS; i++) {
        write_head(text, count_names[i].name, count_names[i].help, "counter");
        buffer_format(text, "%s %" PRIu64 "\n", count_names[i].name, (uint64_t) atomic_load(&counts[i]));
    }

    for (size_t i = 0; i < STATS_GAUGES; i++) {
        int64_t value = atomic_load(&gauges[i]);

        if (value >= 0) {
            write_head(text, gauge_names[i].name, gauge_names[i].help, "gauge");
            buffer_format(text, "%s %" PRId64 "\n", gauge_names[i].name, value);
        }
    }

    write_head(text, "checkout_invariant_failures_total", "Checks of what must be true that failed.", "counter");
    buffer_format(text, "checkout_invariant_failures_total %" PRIu64 "\n", invariant_failures());

    write_head(text, "checkout_orders_total", "Orders settled, by verdict.", "counter");

    for (size_t i = 0; i < ITEMS(verdicts); i++) {
        buffer_format(text, "checkout_orders_total{verdict=\"%s\"} %" PRIu64 "\n", verdicts[i],
                      (uint64_t) atomic_load(&by_verdict[i]));
    }

    write_outcomes(text);
    write_retries(text);
    write_histogram(text, &batch_orders);
    write_histogram(text, &commit_seconds);
}
