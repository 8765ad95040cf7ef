#include "outbound/outbox.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "failpoint.h"
#include "observe/stats.h"
#include "text/number.h"


enum outbox_verdict
outbox_judge(long status, unsigned tries, unsigned most_tries)
{
    if (status >= 200 && status < 300) {
        return OUTBOX_DELIVERED;
    }

    return status == OUTBOX_GONE || tries >= most_tries ? OUTBOX_DEAD : OUTBOX_AGAIN;
}


/* --- leases ------------------------------------------------------------------------------------------------------- */


/* Without a lock, for mostly nothing is due. Returns 1 when a row is due, 0, or -1 when MySQL failed. */
static int
is_any_due(struct sender *s)
{
    int due;

    buffer_clear(&s->sql);
    buffer_text(&s->sql, "SELECT 1 FROM outgoing_events WHERE next_try_at <= NOW(3) LIMIT 1");
    return EFFECT("outbox.any_due", db_any(&s->db, &s->sql, &due)) == DB_OK ? due : -1;
}


/* Copies the rows into leased items. Returns how many. */
static int
take_rows(struct sender *s, MYSQL_RES *rows)
{
    int n = 0;
    MYSQL_ROW row;

    while ((row = mysql_fetch_row(rows)) != NULL) {
        struct sender_item *item = sender_lease_item(s);
        unsigned long *lengths = mysql_fetch_lengths(rows);

        if (item == NULL || row[0] == NULL || row[1] == NULL || row[2] == NULL || row[3] == NULL || row[4] == NULL
            || row[5] == NULL)
        {
            break; /* the rows are no more than there are free items, and no column is NULL */
        }

        item->id = number_of_column(row[0]);
        snprintf(item->identifier, sizeof(item->identifier), "%s", row[1]);
        snprintf(item->type, sizeof(item->type), "%s", row[5]);
        buffer_add(&item->body, row[2], lengths[2]);
        item->tries = (unsigned) number_of_column(row[3]) + 1;
        item->now = number_of_column(row[4]);
        n++;
    }

    return n;
}


static void
lease_statement(struct sender *s)
{
    const char *between = "";

    buffer_clear(&s->sql);
    buffer_format(&s->sql,
                  "UPDATE outgoing_events SET tries = tries + 1, next_try_at = NOW(3) + INTERVAL %" PRIu64
                  " MICROSECOND WHERE id IN (",
                  (uint64_t) (s->config->events.timeout + SENDER_LEASE_MARGIN_MS) * 1000);

    for (unsigned i = 0; i < s->count; i++) {
        if (s->items[i].state == SENDER_LEASED) {
            buffer_text(&s->sql, between);
            buffer_number(&s->sql, s->items[i].id);
            between = ",";
        }
    }

    buffer_text(&s->sql, ")");
}


static int
claim(struct sender *s, unsigned n)
{
    MYSQL_RES *rows = NULL;
    int due = is_any_due(s);

    if (due <= 0) {
        return due;
    }

    if (EFFECT("outbox.begin", db_text(&s->db, "START TRANSACTION")) != DB_OK) {
        return -1;
    }

    buffer_clear(&s->sql);
    buffer_format(&s->sql,
                  "SELECT id, order_identifier, body, tries, FLOOR(UNIX_TIMESTAMP(NOW())), type"
                  " FROM outgoing_events WHERE next_try_at <= NOW(3) ORDER BY next_try_at, id LIMIT %u"
                  " FOR UPDATE SKIP LOCKED",
                  n);

    if (EFFECT("outbox.claim", db_rows(&s->db, &s->sql, &rows)) != DB_OK) {
        return -1;
    }

    int taken = take_rows(s, rows);

    mysql_free_result(rows);

    if (taken > 0) {
        lease_statement(s);

        if (EFFECT("outbox.lease", db_run(&s->db, &s->sql)) != DB_OK) {
            return -1;
        }
    }

    return EFFECT("outbox.commit", db_text(&s->db, "COMMIT")) == DB_OK ? taken : -1;
}


/* --- the request -------------------------------------------------------------------------------------------------- */


static void
event_id(char id[OUTBOX_ID_MAX], const struct sender_item *item)
{
    const size_t prefix = sizeof(OUTBOX_TYPE_PREFIX) - 1;
    const char *what = strncmp(item->type, OUTBOX_TYPE_PREFIX, prefix) == 0 ? item->type + prefix : item->type;

    snprintf(id, OUTBOX_ID_MAX, OUTBOX_EVENT_PREFIX "%s_%s", item->identifier, what);
}


/* "v1,… v1,…": one signature with each secret. Returns 0, or -1. */
static int
sign(const struct sender *s, const struct sender_item *item, const char *id, char *out)
{
    const struct secrets *secrets = &s->config->events.secrets;
    struct checkout_text id_text = { id, strlen(id) };

    for (size_t i = 0; i < secrets->count; i++) {
        if (i > 0) {
            *out++ = ' ';
        }

        if (checkout_sign_standard(out, &secrets->list[i], id_text, item->now, item->body.data, item->body.len) == -1) {
            return -1;
        }

        out += CHECKOUT_SIGNATURE_LEN;
    }

    *out = '\0';
    return 0;
}


static struct curl_slist *
make_headers(const struct sender *s, const struct sender_item *item)
{
    char id[OUTBOX_ID_MAX], timestamp[24], signatures[CHECKOUT_SECRETS_MAX * (CHECKOUT_SIGNATURE_LEN + 1)];
    struct curl_slist *list = http_header(NULL, "Content-Type", "application/json");

    event_id(id, item);
    snprintf(timestamp, sizeof(timestamp), "%" PRIu64, item->now);

    if (sign(s, item, id, signatures) == -1) {
        curl_slist_free_all(list);
        return NULL;
    }

    list = list == NULL ? NULL : http_header(list, "webhook-id", id);
    list = list == NULL ? NULL : http_header(list, "webhook-timestamp", timestamp);
    return list == NULL ? NULL : http_header(list, "webhook-signature", signatures);
}


static int
start(struct sender *s, struct sender_item *item)
{
    struct http_request *r = &item->request;

    r->body = item->body.data != NULL ? item->body.data : "";
    r->len = item->body.len;
    r->timeout_ms = s->config->events.timeout;
    r->headers = make_headers(s, item);
    r->status = 0;

    if (r->headers == NULL) {
        snprintf(r->error, sizeof(r->error), "the request cannot be made");
        return -1;
    }

    return EFFECT("outbox.post", http_client_start(&s->client, r));
}


/* --- the answer --------------------------------------------------------------------------------------------------- */


/* Counts and logs. */
static void
report(const struct sender_item *item, enum outbox_verdict verdict, const char *error)
{
    char id[OUTBOX_ID_MAX];

    event_id(id, item);

    switch (verdict) {
    case OUTBOX_DELIVERED:
        stats_add(STATS_EVENTS_DELIVERED, 1);
        log_debug("event=outgoing_event_delivered id=%s tries=%u", id, item->tries);
        return;
    case OUTBOX_DEAD:
        stats_add(STATS_EVENTS_DEAD, 1);
        log_error("event=outgoing_event_dead id=%s order=%s tries=%u error=\"%s\" why=\"%s\"", id, item->identifier,
                  item->tries, error,
                  item->request.status == OUTBOX_GONE ? "the shop wants no more events" : "too many tries");
        return;
    default:
        stats_add(STATS_EVENTS_FAILED, 1);
        log_warn("event=outgoing_event_failed id=%s order=%s tries=%u error=\"%s\"", id, item->identifier, item->tries,
                 error);
    }
}


static enum db_result
finish(struct sender *s, struct sender_item *item)
{
    enum outbox_verdict verdict = outbox_judge(item->request.status, item->tries, s->config->events.tries);
    char error[HTTP_ERROR_MAX];

    sender_item_error(item, error, sizeof(error));
    buffer_clear(&s->sql);

    if (verdict == OUTBOX_DELIVERED) {
        buffer_format(&s->sql,
                      "UPDATE outgoing_events SET delivered_at = NOW(3), next_try_at = NULL, dead_at = NULL,"
                      " last_error = NULL WHERE id = %" PRIu64 " AND delivered_at IS NULL",
                      item->id);
    } else {
        buffer_text(&s->sql, "UPDATE outgoing_events SET last_error = ");
        db_quote(&s->db, &s->sql, error);

        if (verdict == OUTBOX_DEAD) {
            buffer_text(&s->sql, ", dead_at = NOW(3), next_try_at = NULL");
        } else {
            buffer_format(&s->sql, ", next_try_at = NOW(3) + INTERVAL %" PRIu64 " MICROSECOND",
                          (uint64_t) sender_item_wait_ms(item, OUTBOX_WAIT_MOST_MS) * 1000);
        }

        buffer_format(&s->sql, " WHERE id = %" PRIu64 " AND tries = %u AND delivered_at IS NULL AND dead_at IS NULL",
                      item->id, item->tries);
    }

    enum db_result result = EFFECT("outbox.finish", db_run(&s->db, &s->sql));

    if (result == DB_OK) {
        report(item, verdict, error);
    }

    return result;
}


static enum db_result
hand_back(struct sender *s, struct sender_item *item)
{
    buffer_clear(&s->sql);
    buffer_format(&s->sql,
                  "UPDATE outgoing_events SET next_try_at = NOW(3) WHERE id = %" PRIu64 " AND tries = %u"
                  " AND delivered_at IS NULL AND dead_at IS NULL",
                  item->id, item->tries);
    return EFFECT("outbox.hand_back", db_run(&s->db, &s->sql));
}


/* --- start and metrics -------------------------------------------------------------------------------------------- */


static void
update_gauges(struct sender *s)
{
    MYSQL_RES *rows = NULL;

    buffer_clear(&s->sql);
    buffer_format(&s->sql,
                  "SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM outgoing_events FORCE INDEX (outgoing_events_due)"
                  " WHERE next_try_at IS NOT NULL LIMIT %d) waiting),"
                  " (SELECT COUNT(*) FROM (SELECT 1 FROM outgoing_events FORCE INDEX (outgoing_events_dead)"
                  " WHERE dead_at IS NOT NULL LIMIT %d) dead)",
                  STATS_COUNT_MOST, STATS_COUNT_MOST);

    if (EFFECT("outbox.survey", db_rows(&s->db, &s->sql, &rows)) != DB_OK) {
        stats_set(STATS_OUTGOING_WAITING, -1);
        stats_set(STATS_OUTGOING_DEAD, -1);
        return;
    }

    MYSQL_ROW row = mysql_fetch_row(rows);

    if (row != NULL && row[0] != NULL && row[1] != NULL) {
        stats_set(STATS_OUTGOING_WAITING, number_of_signed_column(row[0]));
        stats_set(STATS_OUTGOING_DEAD, number_of_signed_column(row[1]));
    }

    mysql_free_result(rows);
}


static const struct sender_kind outbox_kind = {
    .name = "outbox",
    .claim = claim,
    .start = start,
    .finish = finish,
    .hand_back = hand_back,
    .update_gauges = update_gauges
};


int
outbox_start(struct sender *s, const struct config *config)
{
    if (config->events.url[0] == '\0') {
        return 0;
    }

    return sender_start(s, &outbox_kind, config, config->events.url, config->events.ca_file, config->events.parallel);
}
