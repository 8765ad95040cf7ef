/*
 * checkoutctl events: what the shop was not told of yet, first of all what was given up.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "order/order.h"
#include "outbound/outbox.h"
#include "text/number.h"

/* Which events a command is about. */
struct choice {
    uint64_t number;         /* 0: all that are dead, unless the next says something */
    char identifier[CHECKOUT_IDENTIFIER_LEN + 1], type[SENDER_TYPE_MAX + 1];   /* of a webhook-id; empty: none */
};


/* "evt_<order>_paid" (outbound/outbox.h). Returns 0, or -1. */
static int
read_webhook_id(const char *word, struct choice *choice)
{
    const size_t prefix = sizeof(OUTBOX_EVENT_PREFIX) - 1;
    const char *identifier = word + prefix, *what;

    if (strncmp(word, OUTBOX_EVENT_PREFIX, prefix) != 0 || strlen(identifier) < CHECKOUT_IDENTIFIER_LEN + 2
        || checkout_identifier_check(identifier, CHECKOUT_IDENTIFIER_LEN) == -1)
    {
        return -1;
    }

    what = identifier + CHECKOUT_IDENTIFIER_LEN + 1;

    if (what[-1] != '_' || what[strspn(what, "abcdefghijklmnopqrstuvwxyz_")] != '\0'
        || strlen(what) > SENDER_TYPE_MAX - sizeof(OUTBOX_TYPE_PREFIX))
    {
        return -1;
    }

    snprintf(choice->identifier, sizeof(choice->identifier), "%s", identifier);
    snprintf(choice->type, sizeof(choice->type), OUTBOX_TYPE_PREFIX "%s", what);
    return 0;
}


/* A number of the list, or a webhook-id. Returns 0, or -1 after a message. */
static int
read_event(const char *word, struct choice *choice)
{
    *choice = (struct choice) { 0 };

    if ((number_parse(&choice->number, word, strlen(word), INT64_MAX) == 0 && choice->number > 0)
        || read_webhook_id(word, choice) == 0)
    {
        return 0;
    }

    (void) ctl_fail("\"%s\" is no event; \"events list\" shows them", word);
    return -1;
}


int
ctl_events_list(struct ctl *ctl, int argc, char **argv)
{
    struct buffer sql = { 0 };
    uint64_t limit = 100;
    MYSQL_RES *rows = NULL;

    if (ctl_take_number(&argc, argv, "--limit", 10000, &limit) == -1) {
        return CTL_ERROR;
    }

    int all = ctl_take_word(&argc, argv, "--all");

    if (argc > 0) {
        return ctl_fail("events list takes --all and --limit N");
    }

    buffer_format(&sql, "SELECT id AS event, CONCAT('" OUTBOX_EVENT_PREFIX "', order_identifier, '_',"
                  " SUBSTRING_INDEX(type, '" OUTBOX_TYPE_PREFIX "', -1)) AS webhook_id, type, order_identifier,"
                  " CASE WHEN delivered_at IS NOT NULL THEN 'delivered' WHEN dead_at IS NOT NULL THEN 'dead'"
                  " ELSE 'waiting' END AS state, tries, created_at, next_try_at, delivered_at, dead_at, last_error"
                  " FROM outgoing_events %s ORDER BY dead_at IS NULL, id %s LIMIT %" PRIu64,
                  all ? "" : "WHERE delivered_at IS NULL", all ? "DESC" : "", limit);

    enum db_result result = db_open(&ctl->db) == DB_OK ? db_rows(&ctl->db, &sql, &rows) : DB_RETRY;

    buffer_free(&sql);

    if (result != DB_OK) {
        return ctl_db_failed(ctl);
    }

    cJSON *o = cJSON_CreateObject();

    json_rows(o, "events", rows);
    mysql_free_result(rows);
    return ctl_print(ctl, o);
}


static void
add_choice(struct buffer *sql, const struct choice *choice)
{
    if (choice->number != 0) {
        buffer_format(sql, " WHERE id = %" PRIu64 " AND delivered_at IS NULL", choice->number);
    } else if (choice->identifier[0] != '\0') {
        buffer_format(sql, " WHERE order_identifier = '%s' AND type = '%s' AND delivered_at IS NULL",
                      choice->identifier, choice->type);
    } else {
        buffer_text(sql, " WHERE dead_at IS NOT NULL");
    }
}


/* Runs a change. Returns the number of events that it fits, or -1. */
static int64_t
change(struct ctl *ctl, const char *set, const struct choice *choice)
{
    struct buffer sql = { 0 };
    int64_t n = -1;

    if (ctl->dry_run) {
        buffer_text(&sql, "UPDATE outgoing_events SET last_error = last_error");
    } else {
        buffer_format(&sql, "UPDATE outgoing_events SET %s", set);
    }

    add_choice(&sql, choice);

    if (db_open(&ctl->db) == DB_OK && db_run(&ctl->db, &sql) == DB_OK) {
        /* Rows found are counted, also those that stay as they are. */
        const char *info = mysql_info(ctl->db.mysql), *matched = info != NULL ? strstr(info, "Rows matched: ") : NULL;

        n = matched != NULL ? strtoll(matched + 14, NULL, 10) : 0;
    }

    buffer_free(&sql);
    return n;
}


int
ctl_events_retry(struct ctl *ctl, int argc, char **argv)
{
    struct choice choice = { 0 };
    int all = ctl_take_word(&argc, argv, "--all");

    if (argc != !all) {
        return ctl_fail("events retry takes an event, or --all for those that are dead");
    }

    if (!all && read_event(argv[0], &choice) == -1) {
        return CTL_ERROR;
    }

    int64_t n = change(ctl, "tries = 0, next_try_at = NOW(3), dead_at = NULL", &choice);

    if (n == -1) {
        return ctl_db_failed(ctl);
    }

    if (!all && n == 0) {
        return ctl_not_found("there is no event %s that the shop was not told of", argv[0]);
    }

    cJSON *o = cJSON_CreateObject();

    json_int(o, "events", n);
    return ctl_say(ctl, o, "events %s again: %" PRId64, ctl->dry_run ? "that would be sent" : "sent", n);
}


int
ctl_events_drop(struct ctl *ctl, int argc, char **argv)
{
    struct choice choice;

    if (argc != 1) {
        return ctl_fail("events drop takes one event");
    }

    if (read_event(argv[0], &choice) == -1) {
        return CTL_ERROR;
    }

    if (!ctl->dry_run && !ctl->yes) {
        return ctl_fail("the shop will never be told of it; say --yes if you mean it");
    }

    int64_t n = change(ctl, "delivered_at = NOW(3), next_try_at = NULL, dead_at = NULL,"
                            " last_error = 'dropped by hand'", &choice);

    if (n == -1) {
        return ctl_db_failed(ctl);
    }

    if (n == 0) {
        return ctl_not_found("there is no event %s that the shop was not told of", argv[0]);
    }

    cJSON *o = cJSON_CreateObject();

    json_int(o, "events", n);
    return ctl_say(ctl, o, ctl->dry_run ? "the event would be dropped" : "the event is dropped");
}
