/*
 * checkoutctl archive: moves finished orders and what belongs to them out of MySQL, into a file or away.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/archive_step.h"
#include "ctl/json.h"
#include "ctl/product_options.h"
#include "ctl/report.h"
#include "ctl/words.h"

static const char *const left_names[ARCHIVE_LEFT_REASONS] = { "limited", "waiting", "locked" };


/* "2026-11-21" is its first moment in UTC; else a time with its zone. */
static int
read_before(const char *word, char before[32])
{
    char whole[32];

    snprintf(whole, sizeof(whole), "%sT00:00:00Z", word);
    return strlen(word) == 10 && product_options_time(before, whole) == 0 ? 0 : product_options_time(before, word);
}


/* What is not past cannot be finished. Returns 0, or -1 after a message. */
static int
check_past(struct archive *a)
{
    uint64_t past = 0;
    int any;

    buffer_format(&a->sql, "SELECT %s <= NOW(3)", a->before);

    if (archive_read_number(a, &past, &any) == -1) {
        return -1;
    }

    return past ? 0 : (report_error("--before is in the future"), -1);
}


/* Orders first: their movements and events may be due as well. Returns 0, or -1 after a message. */
static int
run_steps(struct archive *a)
{
    return check_past(a) == -1 || archive_orders(a) == -1 || archive_movements(a) == -1
                   || archive_payment_bodies(a) == -1 || archive_outgoing_events(a) == -1
               ? -1
               : 0;
}


static int
report(const struct archive *a, const char *path)
{
    const struct archive_counts *n = &a->counts;
    cJSON *o = cJSON_CreateObject(), *left;
    char before[32], rest[128] = "";

    snprintf(before, sizeof(before), "%.*s", (int) strlen(a->before) - 2, a->before + 1);
    json_text(o, "before", before);
    json_text(o, "to", path);
    cJSON_AddBoolToObject(o, "dry_run", a->ctl->dry_run);
    json_uint(o, "orders", n->orders);
    json_uint(o, "order_items", n->items);
    json_uint(o, "gateway_calls", n->gateway_calls);
    json_uint(o, "stock_movements", n->movements);
    json_uint(o, "payment_event_bodies", n->payment_bodies);
    json_uint(o, "outgoing_events", n->outgoing_events);
    left = cJSON_AddObjectToObject(o, "left");

    for (size_t i = 0, len = 0; i < ARCHIVE_LEFT_REASONS; i++) {
        json_uint(left, left_names[i], n->left[i]);

        if (n->left[i] > 0 && len < sizeof(rest)) {
            len += (size_t) snprintf(rest + len, sizeof(rest) - len, "%s%" PRIu64 " %s",
                                     len > 0 ? ", " : "; left: ", n->left[i], left_names[i]);
        }
    }

    return report_result(
        a->ctl, o,
        "%s: %" PRIu64 " orders with %" PRIu64 " items and %" PRIu64 " gateway calls, %" PRIu64
        " stock movements, bodies of %" PRIu64 " payment events, %" PRIu64 " events of the shop%s",
        a->ctl->dry_run ? "would be archived"
        : path != NULL  ? "archived"
                        : "discarded",
        n->orders, n->items, n->gateway_calls, n->movements, n->payment_bodies, n->outgoing_events, rest);
}


/* Returns CTL_OK with the file open, or CTL_ERROR after a message. */
static int
open_file(struct archive_file *file, const char *path)
{
    if (archive_file_open(file, path) == -1) {
        int code = report_error("%s %s", path, file->error);

        archive_file_close(file);
        return code;
    }

    if (file->cut > 0) {
        fprintf(stderr, "checkoutctl: %s ended with an unfinished batch, %" PRIu64 " bytes, which were cut off\n", path,
                file->cut);
    }

    return CTL_OK;
}


int
ctl_archive(struct ctl *ctl, int argc, char **argv)
{
    const char *word = NULL, *path = NULL;
    struct archive a = { .ctl = ctl };
    struct archive_file file = { .fd = -1 };
    char before[32];

    if (words_take_text(&argc, argv, "--before", &word) == -1 || words_take_text(&argc, argv, "--to", &path) == -1
        || word == NULL)
    {
        return report_error("archive takes --before DATE, and --to FILE.jsonl.gz or --discard");
    }

    int discard = words_take_flag(&argc, argv, "--discard");

    if (argc > 0 || (path != NULL) + discard > 1 || (path == NULL && !discard && !ctl->dry_run)) {
        return report_error("archive takes --before DATE, and one of --to FILE.jsonl.gz and --discard");
    }

    if (read_before(word, before) == -1) {
        return report_error("\"%s\" is no date such as 2026-08-01, or time such as 2026-08-01T00:00:00+08:00", word);
    }

    a.before = before;

    if (path != NULL && !ctl->dry_run) {
        if (open_file(&file, path) != CTL_OK) {
            return CTL_ERROR;
        }

        a.file = &file;
    }

    int failed = run_steps(&a);

    archive_file_close(&file);
    buffer_free(&a.sql);
    buffer_free(&a.lines);
    return failed ? CTL_ERROR : report(&a, path);
}
