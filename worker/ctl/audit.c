/*
 * checkoutctl audit: checks the laws on a live system.
 *
 * What the gate counts of the queue is compared with the queue in one step.
 * Redis is read first, each group of products in one step, then MySQL in one snapshot; so a register may be
 * behind MySQL (its push is on the way), but it can never be ahead, and equal versions must hold equal stock.
 */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "text/buffer.h"
#include "ctl/ctl.h"
#include "redis/gate.h"
#include "redis/keys.h"
#include "redis/loaded_products.h"
#include "mysql/supply.h"
#include "repair/sync.h"

#define SUM_ANY_QUEUE   1000000000   /* the audit sums however long the queue is */
#define VIOLATIONS_SHOWN 20          /* per law; all are counted */
#define OVERDUE_MS       60000       /* a batch takes milliseconds, and a dead consumer's is taken over within seconds */
#define OVERDUE_MOST     1000        /* more are not counted */

enum law {
    LAW_MYSQL_NOT_NEGATIVE,
    LAW_NO_OVERSELL,
    LAW_GATE_NOT_NEGATIVE,
    LAW_STOCK_FOLLOWS,
    LAW_IN_FLIGHT,
    LAW_VERSIONS,
    LAW_REGISTERS,
    LAW_KNOWN,
    LAW_COUNTS,
    LAW_SETTLED,
    LAWS
};

static const char *const law_names[LAWS] = {
    [LAW_MYSQL_NOT_NEGATIVE] = "MySQL stock is not negative",
    [LAW_NO_OVERSELL] = "units supplied = stock + units in live orders",
    [LAW_GATE_NOT_NEGATIVE] = "gate stock is not negative",
    [LAW_STOCK_FOLLOWS] = "gate stock = max(0, register stock - in flight)",
    [LAW_IN_FLIGHT] = "in flight = units in queue and dead letters",
    [LAW_VERSIONS] = "equal versions hold equal stock, the gate is never ahead",
    [LAW_REGISTERS] = "registers are hashes that hold numbers",
    [LAW_KNOWN] = "what the gate sells is in MySQL",
    [LAW_COUNTS] = "the gate's counts are those of queue and registers",
    [LAW_SETTLED] = "what was read from the queue is settled within 60 s",
};

struct audit {
    struct gate_product *gate;
    size_t gate_count;
    struct supply *supplies;
    size_t supply_count;
    int64_t queue_entries, dead_letters;
    int64_t queue_orders, queued;        /* what the queue holds, and what the gate counts; -1: no number */
    int64_t products, products_after;    /* by the gate's count, before and after the registers were read */
    int64_t overdue;
    int rebuilding;
    uint64_t checked[LAWS], violated[LAWS];
    struct buffer violations[LAWS];      /* lines */
    uint64_t behind;                     /* registers whose push is still to come */
};


static void
judge(struct audit *a, enum law law, int holds, uint64_t product, const char *left, int64_t l, const char *right,
      int64_t r)
{
    a->checked[law]++;

    if (holds) {
        return;
    }

    if (a->violated[law]++ >= VIOLATIONS_SHOWN) {
        return;
    }

    if (product != 0) {
        buffer_format(&a->violations[law], "product %" PRIu64 ": ", product);
    }

    buffer_format(&a->violations[law], "%s %" PRId64 ", %s %" PRId64 "\n", left, l, right, r);
}


static int
read_gate(struct ctl *ctl, struct audit *a)
{
    uint64_t *ids = NULL;
    size_t capacity = 0;
    struct gate_counts counts;

    if (loaded_products_read(&ctl->redis, &ids, &a->gate_count, &capacity) == -1) {
        free(ids);
        return -1;
    }

    a->gate = memory_resize(NULL, a->gate_count, sizeof(struct gate_product));

    for (size_t i = 0; i < a->gate_count; i++) {
        a->gate[i] = (struct gate_product) { .id = ids[i] };
    }

    free(ids);

    for (size_t i = 0; i < a->gate_count; i += GATE_INSPECT_MOST) {
        size_t n = a->gate_count - i < GATE_INSPECT_MOST ? a->gate_count - i : GATE_INSPECT_MOST;

        if (gate_inspect(&ctl->redis, a->gate + i, n, SUM_ANY_QUEUE, &counts) == -1) {
            return -1;
        }

        a->products_after = counts.products;
    }

    return 0;
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


/* Has the product a register of another type? Its fields cannot be read then, as if there was none. */
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


static void
judge_mysql(struct audit *a)
{
    for (size_t i = 0; i < a->supply_count; i++) {
        const struct supply *s = &a->supplies[i];

        judge(a, LAW_MYSQL_NOT_NEGATIVE, s->stock >= 0, s->product, "stock", s->stock, "least", 0);

        /* A row made by hand has no book yet; "stock load" opens it, and before that nothing can be sold. */
        if (s->booked || s->live > 0) {
            judge(a, LAW_NO_OVERSELL, s->supplied == s->stock + s->live, s->product, "supplied", s->supplied,
                  "stock and live orders", s->stock + s->live);
        }
    }
}


static const struct supply *
find_supply(const struct audit *a, uint64_t product)
{
    size_t low = 0, high = a->supply_count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (a->supplies[middle].product < product) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }

    return low < a->supply_count && a->supplies[low].product == product ? &a->supplies[low] : NULL;
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


/* A product that came or went while the registers were read changes the count: then nothing is said of it. */
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
judge_gate(struct ctl *ctl, struct audit *a)
{
    for (size_t i = 0; i < a->gate_count; i++) {
        const struct gate_product *g = &a->gate[i];
        const struct supply *s = find_supply(a, g->id);

        judge(a, LAW_GATE_NOT_NEGATIVE, g->stock >= 0 || g->stock == GATE_MISSING, g->id, "stock", g->stock,
              "least", 0);

        int loaded = g->register_stock != GATE_MISSING;

        judge(a, LAW_REGISTERS, loaded ? !g->damaged : !register_is_foreign(ctl, g->id), g->id,
              loaded ? "fields that are no numbers" : "register of another type", 1, "right", 0);

        if (!loaded) {
            continue;
        }

        judge(a, LAW_KNOWN, s != NULL || strcmp(g->terms.state, "closed") == 0, g->id, "units to sell", g->stock,
              "rows in MySQL", 0);
        judge(a, LAW_STOCK_FOLLOWS, g->stock == gate_expected_stock(g), g->id, "gate stock", g->stock,
              "by the register", gate_expected_stock(g));
        judge(a, LAW_IN_FLIGHT, g->in_flight == g->in_flight_sum, g->id, "in flight", g->in_flight,
              "queue and dead letters", g->in_flight_sum);

        if (s != NULL) {
            judge_version(a, g, s);
        }
    }
}


static int
is_violated(const struct audit *a)
{
    for (int law = 0; law < LAWS; law++) {
        if (a->violated[law] > 0) {
            return 1;
        }
    }

    return 0;
}


static void
print_text(const struct audit *a)
{
    for (int law = 0; law < LAWS; law++) {
        if (a->violated[law] == 0) {
            printf("ok        %s (%" PRIu64 " checked)\n", law_names[law], a->checked[law]);
            continue;
        }

        printf("VIOLATED  %s (%" PRIu64 " of %" PRIu64 ")\n%s", law_names[law], a->violated[law],
               a->checked[law], a->violations[law].data);
    }

    printf("queue %" PRId64 " entries, dead letters %" PRId64 ", products behind MySQL %" PRIu64 "\n",
           a->queue_entries, a->dead_letters, a->behind);
}


static void
add_lines(cJSON *array, char *lines)
{
    char *rest = lines;

    for (char *line; lines != NULL && (line = strsep(&rest, "\n")) != NULL && line[0] != '\0'; ) {
        cJSON_AddItemToArray(array, cJSON_CreateString(line));
    }
}


static void
print_json(struct audit *a)
{
    cJSON *all = cJSON_CreateObject();
    cJSON *laws = cJSON_AddArrayToObject(all, "laws");

    cJSON_AddBoolToObject(all, "ok", !is_violated(a));

    for (int law = 0; law < LAWS; law++) {
        cJSON *one = cJSON_CreateObject();

        cJSON_AddStringToObject(one, "law", law_names[law]);
        cJSON_AddBoolToObject(one, "ok", a->violated[law] == 0);
        cJSON_AddNumberToObject(one, "checked", (double) a->checked[law]);
        cJSON_AddNumberToObject(one, "violated", (double) a->violated[law]);
        add_lines(cJSON_AddArrayToObject(one, "violations"), a->violations[law].data);
        cJSON_AddItemToArray(laws, one);
    }

    cJSON_AddNumberToObject(all, "queue_entries", (double) a->queue_entries);
    cJSON_AddNumberToObject(all, "dead_letters", (double) a->dead_letters);
    cJSON_AddNumberToObject(all, "products_behind", (double) a->behind);

    char *text = cJSON_Print(all);

    if (text != NULL) {
        puts(text);
        cJSON_free(text);
    }

    cJSON_Delete(all);
}


static int
read_all(struct ctl *ctl, struct audit *a)
{
    if (read_queue(ctl, a) == -1 || read_gate(ctl, a) == -1) {
        return ctl_redis_failed(ctl);
    }

    if (supply_read_all(&ctl->db, &a->supplies, &a->supply_count) != DB_OK) {
        return ctl_db_failed(ctl);
    }

    judge_mysql(a);
    judge_gate(ctl, a);
    judge_counts(a);
    return is_violated(a) ? CTL_VIOLATED : CTL_OK;
}


static void
print(const struct ctl *ctl, struct audit *a)
{
    if (ctl->json) {
        print_json(a);
    } else {
        print_text(a);
    }
}


static void
free_audit(struct audit *a)
{
    free(a->gate);
    free(a->supplies);

    for (int law = 0; law < LAWS; law++) {
        buffer_free(&a->violations[law]);
    }
}


/*
 * Puts the gate right where it contradicts MySQL or itself. Stock that MySQL's own book does not explain is left
 * alone: "stock load" books it, once somebody has looked.
 */
static int
repair(struct ctl *ctl, const struct audit *a)
{
    for (size_t i = 0; i < a->gate_count; i++) {
        const struct gate_product *g = &a->gate[i];
        const struct supply *s = find_supply(a, g->id);
        struct product_row row;

        if (g->register_stock == GATE_MISSING || s == NULL
            || (!g->damaged && g->stock == gate_expected_stock(g) && g->in_flight == g->in_flight_sum
                && g->version <= (int64_t) s->version
                && (g->version < (int64_t) s->version || g->register_stock == s->stock)))
        {
            continue;
        }

        switch (sync_product(&ctl->db, &ctl->redis, g->id, GATE_RECOUNT, NULL, NULL, &row)) {
        case SYNC_DB_FAILED:
            return ctl_db_failed(ctl);
        case SYNC_REDIS_FAILED:
        case SYNC_NOT_PUSHED:
        case SYNC_BROKEN:
            return ctl_redis_failed(ctl);
        default:
            if (!ctl->json) {
                printf("repaired  product %" PRIu64 "\n", g->id);
            }
        }
    }

    return CTL_OK;
}


/* One look; with --repair a second one after the repair, and that one counts. */
static int
audit(struct ctl *ctl, int with_repair)
{
    struct audit a = { 0 };
    int code = read_all(ctl, &a);

    if (code == CTL_VIOLATED && with_repair && !ctl->dry_run) {
        code = repair(ctl, &a);

        if (code == CTL_OK) {
            free_audit(&a);
            a = (struct audit) { 0 };
            code = read_all(ctl, &a);
        }
    }

    if (code != CTL_ERROR) {
        print(ctl, &a);
    }

    free_audit(&a);
    return code;
}


/* Until Ctrl-C. A server that is away now and then does not end it. */
static int
watch(struct ctl *ctl, int with_repair, uint64_t seconds)
{
    for ( ;; ) {
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


/* Takes a word without a value out of the words. */
static int
take_word(int *argc, char **argv, const char *word)
{
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], word) == 0) {
            (*argc)--;
            memmove(argv + i, argv + i + 1, (size_t) (*argc - i) * sizeof(char *));
            return 1;
        }
    }

    return 0;
}


int
ctl_audit(struct ctl *ctl, int argc, char **argv)
{
    uint64_t seconds = 2;

    if (ctl_take_number(&argc, argv, "--every", 86400, &seconds) == -1) {
        return CTL_ERROR;
    }

    int with_repair = take_word(&argc, argv, "--repair");
    int watching = take_word(&argc, argv, "--watch");

    if (argc > 0) {
        return ctl_fail("audit knows no %s", argv[0]);
    }

    return watching ? watch(ctl, with_repair, seconds > 0 ? seconds : 1) : audit(ctl, with_repair);
}
