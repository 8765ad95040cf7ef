#include "ctl/audit_laws.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>


const char *const audit_law_names[LAWS] = {
    [LAW_MYSQL_NOT_NEGATIVE] = "MySQL stock is not negative",
    [LAW_NO_OVERSELL] = "units supplied = stock + units in live orders",
    [LAW_COUNTERS] = "counters = what orders and movements add up to",
    [LAW_GATE_NOT_NEGATIVE] = "gate stock is not negative",
    [LAW_STOCK_FOLLOWS] = "gate stock = max(0, register stock - in flight)",
    [LAW_IN_FLIGHT] = "in flight = units in queue and dead letters",
    [LAW_VERSIONS] = "equal versions hold equal stock, the gate is never ahead",
    [LAW_REGISTERS] = "registers are hashes that hold numbers",
    [LAW_KNOWN] = "what the gate sells is in MySQL",
    [LAW_COUNTS] = "the gate's counts are those of queue and registers",
    [LAW_SETTLED] = "what was read from the queue is settled within 60 s",
    [LAW_RECOVERED] = "no product waits for what MySQL lost",
};


/* Counts one check of a law; where it does not hold, adds a line with both numbers. product 0: none. */
static void
judge(struct audit *a, enum law law, int holds, uint64_t product, const char *left, int64_t l, const char *right,
      int64_t r)
{
    a->checked[law]++;

    if (holds) {
        return;
    }

    if (a->violated[law]++ >= AUDIT_VIOLATIONS_SHOWN) {
        return;
    }

    if (product != 0) {
        buffer_format(&a->violations[law], "product %" PRIu64 ": ", product);
    }

    buffer_format(&a->violations[law], "%s %" PRId64 ", %s %" PRId64 "\n", left, l, right, r);
}


static void
judge_mysql(struct audit *a)
{
    for (size_t i = 0; i < a->count_count; i++) {
        const struct supply *row = &a->counts[i].row;
        const struct supply_sums *sums = &a->counts[i].sums;

        judge(a, LAW_MYSQL_NOT_NEGATIVE, row->stock >= 0, row->product, "stock", row->stock, "least", 0);

        /* A row made by hand has no stock movement yet; "stock load" books one, and before that nothing can be sold. */
        if (sums->movements > 0 || sums->live > 0) {
            judge(a, LAW_NO_OVERSELL, sums->supplied == row->stock + sums->live, row->product, "supplied",
                  sums->supplied, "stock and live orders", row->stock + sums->live);
        }

        if (row->state == SUPPLY_COUNTED) {
            judge(a, LAW_COUNTERS, row->live == sums->live, row->product, "live_units", row->live, "in live orders",
                  sums->live);
            judge(a, LAW_COUNTERS, row->supplied == sums->supplied, row->product, "supplied_units", row->supplied,
                  "in movements", sums->supplied);
        } else {
            a->not_counted++;
        }
    }
}


const struct supply *
audit_find_row(const struct audit *a, uint64_t product)
{
    size_t low = 0, high = a->count_count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (a->counts[middle].row.product < product) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }

    return low < a->count_count && a->counts[low].row.product == product ? &a->counts[low].row : NULL;
}


static void
judge_version(struct audit *a, const struct gate_product *g, const struct supply *s)
{
    int64_t version = (int64_t) s->version;

    if (g->version > version) {
        judge(a, LAW_VERSIONS, 0, g->id, "gate version", g->version, "MySQL version", version);
    } else if (g->version == version) {
        judge(a, LAW_VERSIONS, g->register_stock == s->stock, g->id, "register stock", g->register_stock,
              "MySQL stock of the same version", s->stock);
    } else {
        a->checked[LAW_VERSIONS]++;
        a->behind++;
    }
}


/* A product that was loaded or removed while the registers were read changes the count: then it is not judged. */
static void
judge_counts(struct audit *a)
{
    int64_t registers = 0;

    for (size_t i = 0; i < a->gate_count; i++) {
        registers += a->gate[i].register_stock != GATE_MISSING;
    }

    judge(a, LAW_SETTLED, a->overdue == 0, 0, "entries read and not settled for 60 s", a->overdue, "right", 0);

    if (!a->rebuilding) {
        judge(a, LAW_COUNTS, a->queued == a->queue_orders, 0, "orders queued by the gate's count", a->queued,
              "in the queue", a->queue_orders);
        judge(a, LAW_COUNTS, a->products != a->products_after || a->products == registers, 0,
              "products loaded by the gate's count", a->products, "registers", registers);
    }
}


static void
judge_gate(struct audit *a)
{
    for (size_t i = 0; i < a->gate_count; i++) {
        const struct gate_product *g = &a->gate[i];
        const struct supply *s = audit_find_row(a, g->id);

        judge(a, LAW_GATE_NOT_NEGATIVE, g->stock >= 0 || g->stock == GATE_MISSING, g->id, "stock", g->stock, "least",
              0);

        int loaded = g->register_stock != GATE_MISSING;

        judge(a, LAW_REGISTERS, loaded ? !g->damaged : !a->foreign[i], g->id,
              loaded ? "fields that are no numbers" : "register of another type", 1, "right", 0);

        if (!loaded) {
            continue;
        }

        judge(a, LAW_KNOWN, s != NULL || strcmp(g->terms.state, "closed") == 0, g->id, "units to sell", g->stock,
              "rows in MySQL", 0);
        judge(a, LAW_STOCK_FOLLOWS, g->stock == gate_expected_stock(g), g->id, "gate stock", g->stock,
              "by the register", gate_expected_stock(g));
        judge(a, LAW_IN_FLIGHT, g->in_flight_sum == GATE_MISSING || g->in_flight == g->in_flight_sum, g->id,
              "in flight", g->in_flight, "queue and dead letters", g->in_flight_sum);

        judge(a, LAW_RECOVERED, !g->recovering, g->id, "products that are being recovered", 1, "right", 0);

        if (s != NULL && !g->recovering) {
            judge_version(a, g, s);
        }
    }
}


void
audit_judge(struct audit *a)
{
    judge_mysql(a);
    judge_gate(a);
    judge_counts(a);
}


int
audit_is_violated(const struct audit *a)
{
    for (int law = 0; law < LAWS; law++) {
        if (a->violated[law] > 0) {
            return 1;
        }
    }

    return 0;
}


void
audit_free(struct audit *a)
{
    in_flight_free(&a->count);
    free(a->gate);
    free(a->foreign);
    free(a->counts);

    for (int law = 0; law < LAWS; law++) {
        buffer_free(&a->violations[law]);
    }
}
