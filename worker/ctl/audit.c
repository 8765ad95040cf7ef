/*
 * checkoutctl audit: reads Redis and MySQL on a live system, has the laws judged (ctl/audit_laws.h), and corrects the
 * gate with --repair. Queue and dead letters are read in pages: no script of the audit reads more than a bounded part
 * of them, so a sale goes on beside it.
 */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "ctl/audit_laws.h"
#include "ctl/ctl.h"
#include "ctl/json.h"
#include "ctl/report.h"
#include "ctl/words.h"
#include "redis/keys.h"
#include "redis/loaded_products.h"
#include "repair/sync.h"

#define OVERDUE_MS   60000 /* a batch takes milliseconds, and a dead consumer's is taken over within seconds */
#define OVERDUE_MOST 1000  /* more are not counted */
#define PASSES       3     /* over a long queue: only what differs in all of them in the same way is wrong */

/* Returns 1 for a register of another type than hash, whose fields cannot be read, as if there was no register. */
static int
register_is_foreign(struct ctl *ctl, uint64_t product)
{
    struct redis_args args = { 0 };

    args_text(&args, "TYPE");
    key_register(&args, product);

    redisReply *reply = redis_call(&ctl->redis, &args, 0);

    args_free(&args);

    int foreign = reply != NULL && strcmp(reply->str, "hash") != 0 && strcmp(reply->str, "none") != 0;

    if (reply != NULL) {
        freeReplyObject(reply);
    }

    return foreign;
}


static int
read_queue(struct ctl *ctl, struct audit *a)
{
    struct redis_args args = { 0 };

    args_script(&args, &checkout_script_audit_queue, 3);
    key_queue(&args);
    key_dead_letters(&args);
    key_gate(&args);
    args_text(&args, CONSUMER_GROUP);
    args_number(&args, OVERDUE_MS);
    args_number(&args, OVERDUE_MOST);

    redisReply *reply = redis_script(&ctl->redis, &checkout_script_audit_queue, &args);

    args_free(&args);

    if (reply == NULL) {
        return -1;
    }

    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 7) {
        a->queue_entries = reply_number(reply->element[0], 0);
        a->dead_letters = reply_number(reply->element[1], 0);
        a->queue_orders = reply_number(reply->element[2], 0);
        a->queued = reply_number(reply->element[3], -1);
        a->products = a->products_after = reply_number(reply->element[4], -1);
        a->rebuilding = reply_number(reply->element[5], 0) == 1;
        a->overdue = reply_number(reply->element[6], 0);
    }

    freeReplyObject(reply);
    return 0;
}


/*
 * What a long queue holds differs from what the gate counts by what moves while it is read; by the same number at each
 * pass only where the count is wrong.
 */
static int
count_queue(struct ctl *ctl, struct audit *a)
{
    int64_t seen = a->count.orders - a->queued;

    for (int pass = 1; seen != 0 && pass < PASSES; pass++) {
        struct in_flight again = { 0 };

        if (in_flight_read(&again, &ctl->redis) == -1 || read_queue(ctl, a) == -1) {
            return -1;
        }

        seen = again.orders - a->queued == seen ? seen : 0;
    }

    a->queue_orders = a->queued + seen;
    return 0;
}


/* Sets what was counted beside the register; where it differs both are looked at in one step. */
static int
compare_in_flight(struct ctl *ctl, struct audit *a, struct gate_product *g)
{
    struct product_row row = { .id = g->id };
    struct gate_counted counted;

    g->in_flight_sum = in_flight_units(&a->count, g->id);

    if (g->in_flight == g->in_flight_sum || g->register_stock == GATE_MISSING || g->damaged) {
        return 0;
    }

    switch (gate_load(&ctl->redis, &row, GATE_LOAD_LOOK, &a->count, &counted)) {
    case GATE_PUSH_FAILED:
        return -1;
    case GATE_PUSH_NOT_NEWER:
        g->in_flight_sum = g->in_flight + counted.counted - counted.in_flight;
        return 0;
    default:
        g->in_flight_sum = GATE_MISSING;
        return 0;
    }
}


static int
read_registers(struct ctl *ctl, struct audit *a)
{
    struct gate_counts counts;

    for (size_t i = 0; i < a->gate_count; i += GATE_INSPECT_MOST) {
        size_t n = a->gate_count - i < GATE_INSPECT_MOST ? a->gate_count - i : GATE_INSPECT_MOST;

        if (gate_inspect(&ctl->redis, a->gate + i, n, &counts) == -1) {
            return -1;
        }

        a->products_after = counts.products;
    }

    for (size_t i = 0; i < a->gate_count; i++) {
        a->foreign[i] = a->gate[i].register_stock == GATE_MISSING && register_is_foreign(ctl, a->gate[i].id);

        if (compare_in_flight(ctl, a, &a->gate[i]) == -1) {
            return -1;
        }
    }

    return 0;
}


static int
read_gate(struct ctl *ctl, struct audit *a)
{
    uint64_t *ids = NULL;
    size_t capacity = 0;

    if (loaded_products_read(&ctl->redis, &ids, &a->gate_count, &capacity) == -1) {
        free(ids);
        return -1;
    }

    in_flight_begin(&a->count, ids, a->gate_count, 1);
    a->gate = memory_resize(NULL, a->gate_count, sizeof(struct gate_product));
    a->foreign = memory_resize(NULL, a->gate_count, 1);

    for (size_t i = 0; i < a->gate_count; i++) {
        a->gate[i] = (struct gate_product) { .id = ids[i] };
    }

    free(ids);

    int is_long = a->queue_orders < 0;

    if (in_flight_read(&a->count, &ctl->redis) == -1 || (is_long && read_queue(ctl, a) == -1)
        || (is_long && count_queue(ctl, a) == -1))
    {
        return -1;
    }

    return read_registers(ctl, a);
}


static void
add_count(struct audit *a, const struct supply_count *count)
{
    if (a->count_count == a->count_capacity) {
        a->count_capacity = a->count_capacity > 0 ? 2 * a->count_capacity : SUPPLY_ROWS_MOST;
        a->counts = memory_resize(a->counts, a->count_capacity, sizeof(*a->counts));
    }

    a->counts[a->count_count++] = *count;
}


/* Product by product, each in a snapshot of its own: no statement reads more than a page, whatever the shop has sold.
 */
static enum db_result
read_products(struct ctl *ctl, struct audit *a)
{
    static struct supply rows[SUPPLY_ROWS_MOST];
    size_t n = SUPPLY_ROWS_MOST;
    uint64_t after = 0;
    enum db_result result = db_open(&ctl->db);

    while (result == DB_OK && n == SUPPLY_ROWS_MOST) {
        result = supply_rows_read(&ctl->db, after, rows, SUPPLY_ROWS_MOST, &n);

        for (size_t i = 0; result == DB_OK && i < n; i++) {
            struct supply_count count;

            after = rows[i].product;
            result = supply_count(&ctl->db, after, NULL, NULL, &count);

            if (result == DB_OK && count.row.found) {
                add_count(a, &count);
            }
        }
    }

    return result;
}


static void
print_text(const struct audit *a)
{
    for (int law = 0; law < LAWS; law++) {
        if (a->violated[law] == 0) {
            printf("ok        %s (%" PRIu64 " checked)\n", audit_law_names[law], a->checked[law]);
            continue;
        }

        printf("VIOLATED  %s (%" PRIu64 " of %" PRIu64 ")\n%s", audit_law_names[law], a->violated[law], a->checked[law],
               a->violations[law].data);
    }

    printf("queue %" PRId64 " entries, dead letters %" PRId64 ", products behind MySQL %" PRIu64
           ", not yet counted %" PRIu64 "\n",
           a->queue_entries, a->dead_letters, a->behind, a->not_counted);
}


static void
add_lines(cJSON *array, char *lines)
{
    char *rest = lines;

    for (char *line; lines != NULL && (line = strsep(&rest, "\n")) != NULL && line[0] != '\0';) {
        cJSON_AddItemToArray(array, cJSON_CreateString(line));
    }
}


static void
print_json(const struct ctl *ctl, struct audit *a)
{
    cJSON *all = cJSON_CreateObject();
    cJSON *laws = cJSON_AddArrayToObject(all, "laws");

    cJSON_AddBoolToObject(all, "ok", !audit_is_violated(a));

    for (int law = 0; law < LAWS; law++) {
        cJSON *one = cJSON_CreateObject();

        cJSON_AddStringToObject(one, "law", audit_law_names[law]);
        cJSON_AddBoolToObject(one, "ok", a->violated[law] == 0);
        cJSON_AddNumberToObject(one, "checked", (double) a->checked[law]);
        cJSON_AddNumberToObject(one, "violated", (double) a->violated[law]);
        add_lines(cJSON_AddArrayToObject(one, "violations"), a->violations[law].data);
        cJSON_AddItemToArray(laws, one);
    }

    cJSON_AddNumberToObject(all, "queue_entries", (double) a->queue_entries);
    cJSON_AddNumberToObject(all, "dead_letters", (double) a->dead_letters);
    cJSON_AddNumberToObject(all, "products_behind", (double) a->behind);
    cJSON_AddNumberToObject(all, "products_not_counted", (double) a->not_counted);

    (void) report_object(ctl, all);
}


static int
read_all(struct ctl *ctl, struct audit *a)
{
    if (read_queue(ctl, a) == -1 || read_gate(ctl, a) == -1) {
        return report_redis_failed(ctl);
    }

    if (read_products(ctl, a) != DB_OK) {
        return report_db_failed(ctl);
    }

    audit_judge(a);
    return audit_is_violated(a) ? CTL_VIOLATED : CTL_OK;
}


static void
print(const struct ctl *ctl, struct audit *a)
{
    if (ctl->json) {
        print_json(ctl, a);
    } else {
        print_text(a);
    }
}


/* Counters that differ from what they count get the difference of their snapshot, which no change since has altered. */
static int
repair_counters(struct ctl *ctl, const struct audit *a)
{
    for (size_t i = 0; i < a->count_count; i++) {
        const struct supply_count *count = &a->counts[i];
        int written;

        if (count->row.state != SUPPLY_COUNTED || supply_count_difference(count) == 0) {
            continue;
        }

        if (supply_count_write(&ctl->db, count, &written) != DB_OK) {
            return report_db_failed(ctl);
        }

        if (written && !ctl->json) {
            printf("repaired  counters of product %" PRIu64 "\n", count->row.product);
        }
    }

    return CTL_OK;
}


static int
is_right(const struct gate_product *g, const struct supply *s)
{
    return !g->damaged && g->stock == gate_expected_stock(g)
           && (g->in_flight_sum == GATE_MISSING || g->in_flight == g->in_flight_sum)
           && g->version <= (int64_t) s->version
           && (g->version < (int64_t) s->version || g->register_stock == s->stock);
}


/* Units in flight first: from then on the stock follows from the register. Returns the exit code. */
static int
repair_product(struct ctl *ctl, struct audit *a, uint64_t id)
{
    struct product_row row = { .id = id };
    struct gate_counted counted;
    enum gate_pushed recounted = gate_load(&ctl->redis, &row, GATE_LOAD_RECOUNT, &a->count, &counted);

    if (recounted == GATE_PUSH_FAILED || recounted == GATE_PUSH_COUNT) {
        return report_redis_failed(ctl);
    }

    switch (sync_product(&ctl->db, &ctl->redis, id, GATE_NEWER_ONLY, NULL, NULL, &row)) {
    case SYNC_DB_FAILED:
        return report_db_failed(ctl);
    case SYNC_REDIS_FAILED:
    case SYNC_NOT_PUSHED:
    case SYNC_BROKEN:
        return report_redis_failed(ctl);
    case SYNC_RECOVERING:
        return CTL_OK;
    default:
        if (!ctl->json) {
            printf("repaired  product %" PRIu64 "\n", id);
        }

        return CTL_OK;
    }
}


/* Corrects the gate where it contradicts MySQL or itself. Returns the exit code. */
static int
repair_gate(struct ctl *ctl, struct audit *a)
{
    for (size_t i = 0; i < a->gate_count; i++) {
        const struct gate_product *g = &a->gate[i];
        const struct supply *s = audit_find_row(a, g->id);

        if (g->register_stock == GATE_MISSING || s == NULL || is_right(g, s)) {
            continue;
        }

        int code = repair_product(ctl, a, g->id);

        if (code != CTL_OK) {
            return code;
        }
    }

    return CTL_OK;
}


/*
 * Corrects the gate, and counters. Stock that MySQL's movements do not explain stays: a person decides, and "stock
 * load" books it. Returns the exit code.
 */
static int
repair(struct ctl *ctl, struct audit *a)
{
    int code = repair_gate(ctl, a);

    return code == CTL_OK ? repair_counters(ctl, a) : code;
}


/* Audits once; with --repair once more after the repair, and that result counts. Returns the exit code. */
static int
audit(struct ctl *ctl, int with_repair)
{
    struct audit a = { 0 };
    int code = read_all(ctl, &a);

    if (code == CTL_VIOLATED && with_repair && !ctl->dry_run) {
        code = repair(ctl, &a);

        if (code == CTL_OK) {
            audit_free(&a);
            a = (struct audit) { 0 };
            code = read_all(ctl, &a);
        }
    }

    if (code != CTL_ERROR) {
        print(ctl, &a);
    }

    audit_free(&a);
    return code;
}


/* Audits until Ctrl-C, also while a server is away. */
static int
watch(struct ctl *ctl, int with_repair, uint64_t seconds)
{
    for (;;) {
        time_t now = time(NULL);
        struct tm utc;
        char text[32];

        (void) gmtime_r(&now, &utc);
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);

        if (!ctl->json) {
            printf("--- %s\n", text);
        }

        (void) audit(ctl, with_repair);

        if (fflush(stdout) != 0) {
            return CTL_ERROR;
        }

        (void) sleep((unsigned) seconds);
    }
}


int
ctl_audit(struct ctl *ctl, int argc, char **argv)
{
    uint64_t seconds = 2;

    if (words_take_number(&argc, argv, "--every", 86400, &seconds) == -1) {
        return CTL_ERROR;
    }

    int with_repair = words_take_flag(&argc, argv, "--repair");
    int watching = words_take_flag(&argc, argv, "--watch");

    if (argc > 0) {
        return report_error("audit knows no %s", argv[0]);
    }

    return watching ? watch(ctl, with_repair, seconds > 0 ? seconds : 1) : audit(ctl, with_repair);
}
