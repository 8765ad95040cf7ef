/*
 * checkoutctl events list | retry | drop: outgoing events that are not delivered, first of all those that were given
 * up.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/json.h"
#include "ctl/query.h"
#include "ctl/report.h"
#include "ctl/words.h"
#include "order/order.h"
#include "outbound/outbox.h"
#include "text/number.h"

/* The events that a command selects. */
struct selection {
    uint64_t number;                              /* 0: the event that the next two name */
    char identifier[CHECKOUT_IDENTIFIER_LEN + 1]; /* empty: all dead events */
    char type[SENDER_TYPE_MAX + 1];
};


/* "evt_<order>_paid" (outbound/outbox.h). Returns 0, or -1. */
static int
read_webhook_id(const char *word, struct selection *selection)
{
    const size_t prefix = sizeof(OUTBOX_EVENT_PREFIX) - 1;
    const char *identifier = word + prefix, *suffix;

    if (strncmp(word, OUTBOX_EVENT_PREFIX, prefix) != 0 || strlen(identifier) < CHECKOUT_IDENTIFIER_LEN + 2
        || checkout_identifier_check(identifier, CHECKOUT_IDENTIFIER_LEN) == -1)
    {
        return -1;
    }

    suffix = identifier + CHECKOUT_IDENTIFIER_LEN + 1;

    if (suffix[-1] != '_' || suffix[strspn(suffix, "abcdefghijklmnopqrstuvwxyz_")] != '\0'
        || strlen(suffix) > SENDER_TYPE_MAX - sizeof(OUTBOX_TYPE_PREFIX))
    {
        return -1;
    }

    snprintf(selection->identifier, sizeof(selection->identifier), "%s", identifier);
    snprintf(selection->type, sizeof(selection->type), OUTBOX_TYPE_PREFIX "%s", suffix);
    return 0;
}


/* A number as "events list" shows it, or a webhook-id. Returns 0, or -1 after a message. */
static int
read_event(const char *word, struct selection *selection)
{
    *selection = (struct selection) { 0 };

    if ((number_parse(&selection->number, word, strlen(word), INT64_MAX) == 0 && selection->number > 0)
        || read_webhook_id(word, selection) == 0)
    {
        return 0;
    }

    (void) report_error("\"%s\" is no event; \"events list\" shows them", word);
    return -1;
}


static const char columns[] =
    "SELECT id AS event, CONCAT('" OUTBOX_EVENT_PREFIX
    "', order_identifier, '_', SUBSTRING_INDEX(type, '" OUTBOX_TYPE_PREFIX
    "', -1)) AS webhook_id, type, order_identifier,"
    " CASE WHEN delivered_at IS NOT NULL THEN 'delivered' WHEN dead_at IS NOT NULL THEN 'dead' ELSE 'waiting' END"
    " AS state, tries, created_at, next_try_at, delivered_at, dead_at, last_error FROM outgoing_events";


/* The dead ones, then those that wait, or all others: each by its index. */
static void
add_list(struct buffer *sql, int all, uint64_t limit)
{
    const char *order = all ? "id DESC" : "id", *others = all ? "dead_at IS NULL" : "next_try_at IS NOT NULL";

    buffer_format(sql, "(%s WHERE dead_at IS NOT NULL ORDER BY %s LIMIT %" PRIu64 ")", columns, order, limit);
    buffer_format(sql, " UNION ALL (%s %s WHERE %s ORDER BY %s LIMIT %" PRIu64 ")", columns,
                  all ? "FORCE INDEX (PRIMARY)" : "", others, order, limit);
    buffer_format(sql, " ORDER BY dead_at IS NULL, %s LIMIT %" PRIu64, all ? "event DESC" : "event", limit);
}


int
ctl_events_list(struct ctl *ctl, int argc, char **argv)
{
    struct buffer sql = { 0 };
    uint64_t limit = 100;

    if (words_take_number(&argc, argv, "--limit", 10000, &limit) == -1) {
        return CTL_ERROR;
    }

    int all = words_take_flag(&argc, argv, "--all");

    if (argc > 0) {
        return report_error("events list takes --all and --limit N");
    }

    add_list(&sql, all, limit);

    MYSQL_RES *rows = query_rows(ctl, &sql);

    if (rows == NULL) {
        return CTL_ERROR;
    }

    cJSON *o = cJSON_CreateObject();

    json_rows(o, "events", rows, JSON_NUMBERS_TYPED);
    mysql_free_result(rows);
    return report_object(ctl, o);
}


static void
add_condition(struct buffer *sql, const struct selection *selection)
{
    if (selection->number != 0) {
        buffer_format(sql, " WHERE id = %" PRIu64 " AND delivered_at IS NULL", selection->number);
    } else if (selection->identifier[0] != '\0') {
        buffer_format(sql, " WHERE order_identifier = '%s' AND type = '%s' AND delivered_at IS NULL",
                      selection->identifier, selection->type);
    } else {
        buffer_text(sql, " WHERE dead_at IS NOT NULL");
    }
}


/* Changes the selected events; with --dry-run, only counts them. Returns their number, or -1 when MySQL failed. */
static int64_t
change(struct ctl *ctl, const char *set, const struct selection *selection)
{
    struct buffer sql = { 0 };
    int64_t n = -1;

    if (ctl->dry_run) {
        buffer_text(&sql, "UPDATE outgoing_events SET last_error = last_error");
    } else {
        buffer_format(&sql, "UPDATE outgoing_events SET %s", set);
    }

    add_condition(&sql, selection);

    if (db_open(&ctl->db) == DB_OK && db_run(&ctl->db, &sql) == DB_OK) {
        /* mysql_info(): rows found, also those that the change leaves as they are. */
        const char *info = mysql_info(ctl->db.mysql), *matched = info != NULL ? strstr(info, "Rows matched: ") : NULL;

        n = matched != NULL ? strtoll(matched + 14, NULL, 10) : 0;
    }

    buffer_free(&sql);
    return n;
}


int
ctl_events_retry(struct ctl *ctl, int argc, char **argv)
{
    struct selection selection = { 0 };
    int all = words_take_flag(&argc, argv, "--all");

    if (argc != !all) {
        return report_error("events retry takes an event, or --all for those that are dead");
    }

    if (!all && read_event(argv[0], &selection) == -1) {
        return CTL_ERROR;
    }

    int64_t n = change(ctl, "tries = 0, next_try_at = NOW(3), dead_at = NULL", &selection);

    if (n == -1) {
        return report_db_failed(ctl);
    }

    if (!all && n == 0) {
        return report_not_found("there is no event %s that the shop was not told of", argv[0]);
    }

    cJSON *o = cJSON_CreateObject();

    json_int(o, "events", n);
    return report_result(ctl, o, "events %s again: %" PRId64, ctl->dry_run ? "that would be sent" : "sent", n);
}


int
ctl_events_drop(struct ctl *ctl, int argc, char **argv)
{
    struct selection selection;

    if (argc != 1) {
        return report_error("events drop takes one event");
    }

    if (read_event(argv[0], &selection) == -1) {
        return CTL_ERROR;
    }

    if (!ctl->dry_run && !ctl->yes) {
        return report_error("the shop will never be told of it; say --yes if you mean it");
    }

    int64_t n = change(ctl,
                       "delivered_at = NOW(3), next_try_at = NULL, dead_at = NULL,"
                       " last_error = 'dropped by hand'",
                       &selection);

    if (n == -1) {
        return report_db_failed(ctl);
    }

    if (n == 0) {
        return report_not_found("there is no event %s that the shop was not told of", argv[0]);
    }

    cJSON *o = cJSON_CreateObject();

    json_int(o, "events", n);
    return report_result(ctl, o, ctl->dry_run ? "the event would be dropped" : "the event is dropped");
}
