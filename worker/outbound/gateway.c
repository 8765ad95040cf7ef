#include "outbound/gateway.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "failpoint.h"
#include "lifecycle/payment_inbox.h"
#include "observe/stats.h"
#include "text/number.h"

#define CREATE_MOST  1000 /* calls created by one statement */
#define CREATE_MS    100  /* between two searches for orders without a call */
#define PAUSE_FACTOR 20   /* a search that takes MySQL 50 ms is followed by 1 s without one */


/* --- answers ------------------------------------------------------------------------------------------------------ */


/* A text of visible ASCII that JSON needs no escape for. Returns 1, or 0: there is none, or it is another. */
static int
copy_plain(char *out, size_t size, const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    size_t len = text != NULL ? strlen(text) : 0;

    if (len == 0 || len >= size) {
        return 0;
    }

    for (size_t i = 0; i < len; i++) {
        if (text[i] < 0x21 || text[i] > 0x7e || text[i] == '"' || text[i] == '\\') {
            return 0;
        }
    }

    memcpy(out, text, len + 1);
    return 1;
}


static void
copy_reason(char *out, size_t size, const cJSON *object)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "reason"));
    size_t i = 0;

    for (; text != NULL && text[i] != '\0' && i + 1 < size; i++) {
        out[i] = isalnum((unsigned char) text[i]) || strchr("_-.", text[i]) != NULL ? text[i] : '_';
    }

    out[i] = '\0';
}


/* Returns 1, or 0 for a member that is there and is no such text: the answer is then invalid. */
static int
copy_optional(char *out, size_t size, const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name) == NULL || copy_plain(out, size, object, name);
}


/* Returns what makes an answer with status "succeeded" invalid, or NULL when it is valid. */
static const char *
read_success(struct gateway_answer *a, long status, const cJSON *object)
{
    return status != 200 ? "succeeded needs status 200"
           : !copy_plain(a->payment_id, sizeof(a->payment_id), object, "payment_id")
               ? "payment_id is no text of 1 to 255 visible characters"
           : !copy_optional(a->amount, sizeof(a->amount), object, "amount") ? "amount is no text such as '19.80'"
           : !copy_optional(a->currency, sizeof(a->currency), object, "currency")
               ? "currency is no text such as 'TWD'"
               : NULL;
}


static enum gateway_outcome
read_object(struct gateway_answer *a, long status, const cJSON *object)
{
    const char *word = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "status"));

    if (word != NULL && strcmp(word, "failed") == 0) {
        (void) copy_plain(a->payment_id, sizeof(a->payment_id), object, "payment_id");
        copy_reason(a->reason, sizeof(a->reason), object);
        return GATEWAY_FAILED;
    }

    a->why = word != NULL && strcmp(word, "succeeded") == 0
                 ? read_success(a, status, object)
                 : "its member status is neither succeeded nor failed";

    return a->why == NULL ? GATEWAY_SUCCEEDED : GATEWAY_UNKNOWN;
}


void
gateway_read(struct gateway_answer *answer, long status, const char *body, size_t len)
{
    const char *end = NULL;

    *answer = (struct gateway_answer) { .outcome = GATEWAY_UNKNOWN };

    if (status != 200 && status != 402) {
        return;
    }

    answer->why = "no JSON object, or text behind it";

    if (len == 0) {
        return;
    }

    cJSON *object = cJSON_ParseWithLengthOpts(body, len, &end, 0);

    while (object != NULL && end < body + len && isspace((unsigned char) *end)) {
        end++;
    }

    /* Text behind the object, or half an object, is no answer of a gateway. */
    if (cJSON_IsObject(object) && end == body + len) {
        answer->why = NULL;
        answer->outcome = read_object(answer, status, object);
    }

    cJSON_Delete(object);
}


/* --- leases ------------------------------------------------------------------------------------------------------- */


/* Creates a call for each order that waits for its payment. Two processes that do it at once create one. */
static int
create_calls(struct sender *s)
{
    if (s->config->payment.mode != PAYMENT_BY_GATEWAY || clock_ms() < s->next_create_ms) {
        return 0;
    }

    buffer_clear(&s->sql);
    buffer_format(&s->sql,
                  "INSERT INTO gateway_calls (order_identifier) SELECT o.order_identifier FROM orders o"
                  " LEFT JOIN gateway_calls g ON g.order_identifier = o.order_identifier"
                  " WHERE o.status = 'pending_payment' AND o.pay_by > NOW(3) AND g.order_identifier IS NULL LIMIT %d"
                  " ON DUPLICATE KEY UPDATE tries = gateway_calls.tries",
                  CREATE_MOST);

    uint64_t begun = clock_ms();
    enum db_result result = EFFECT("gateway.enlist", db_run(&s->db, &s->sql));
    uint64_t pause = (clock_ms() - begun) * PAUSE_FACTOR;

    s->next_create_ms = clock_ms() + (pause > CREATE_MS ? pause : CREATE_MS);

    /* DB_AGAIN: another process was first, and does the same. */
    return result == DB_OK || result == DB_AGAIN ? 0 : -1;
}


/* Without a lock, for mostly nothing is due. Returns 1 when a call is due, 0, or -1 when MySQL failed. */
static int
is_any_due(struct sender *s)
{
    int due;

    buffer_clear(&s->sql);
    buffer_text(&s->sql, "SELECT 1 FROM gateway_calls WHERE next_try_at <= NOW(3) LIMIT 1");
    return EFFECT("gateway.any_due", db_any(&s->db, &s->sql, &due)) == DB_OK ? due : -1;
}


static void
add_leased(struct sender *s)
{
    const char *between = "('";

    for (unsigned i = 0; i < s->count; i++) {
        if (s->items[i].state == SENDER_LEASED) {
            buffer_format(&s->sql, "%s%s", between, s->items[i].identifier);
            between = "','";
        }
    }

    buffer_text(&s->sql, "')");
}


/* Reads due calls into leased items, and locks their rows. Returns how many, or -1. */
static int
take_calls(struct sender *s, unsigned n)
{
    MYSQL_RES *rows = NULL;
    MYSQL_ROW row;
    int taken = 0;

    buffer_clear(&s->sql);
    buffer_format(&s->sql,
                  "SELECT order_identifier, tries, FLOOR(UNIX_TIMESTAMP(NOW())), asked_at IS NOT NULL"
                  " FROM gateway_calls"
                  " WHERE next_try_at <= NOW(3) ORDER BY next_try_at LIMIT %u FOR UPDATE SKIP LOCKED",
                  n);

    if (EFFECT("gateway.claim", db_rows(&s->db, &s->sql, &rows)) != DB_OK) {
        return -1;
    }

    while ((row = mysql_fetch_row(rows)) != NULL) {
        struct sender_item *item = sender_lease_item(s);

        if (item == NULL || row[0] == NULL || row[1] == NULL || row[2] == NULL || row[3] == NULL) {
            break; /* the rows are no more than there are free items, and no column is NULL */
        }

        snprintf(item->identifier, sizeof(item->identifier), "%s", row[0]);
        item->tries = (unsigned) number_of_column(row[1]) + 1;
        item->now = number_of_column(row[2]);
        item->asked_before = row[3][0] == '1';
        taken++;
    }

    mysql_free_result(rows);
    return taken;
}


static struct sender_item *
find_leased(struct sender *s, const char *identifier)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (s->items[i].state == SENDER_LEASED && strcmp(s->items[i].identifier, identifier) == 0) {
            return &s->items[i];
        }
    }

    return NULL;
}


/* Writes the request's body. It stays empty where nobody asked for the order yet and it needs no payment any more. */
static void
read_order(struct sender *s, MYSQL_ROW row)
{
    struct sender_item *item = row[0] != NULL ? find_leased(s, row[0]) : NULL;

    if (item == NULL || row[1] == NULL || row[2] == NULL || row[3] == NULL
        || (!item->asked_before && strcmp(row[1], "pending_payment") != 0))
    {
        return;
    }

    item->order_status = order_status_parse(row[1], strlen(row[1]));
    snprintf(item->amount, sizeof(item->amount), "%s", row[2]);
    buffer_format(&item->body, "{\"order_identifier\":\"%s\",\"amount\":\"%s\",\"currency\":\"%s\",\"user_id\":%s}",
                  item->identifier, row[2], s->config->payment.currency, row[3]);
}


/*
 * Reads the orders of the leased calls, without a lock: an order that is cancelled meanwhile is one that is paid late.
 */
static int
read_orders(struct sender *s)
{
    MYSQL_RES *rows = NULL;
    MYSQL_ROW row;

    buffer_clear(&s->sql);
    buffer_text(&s->sql, "SELECT order_identifier, status, total_price, user_id FROM orders"
                         " WHERE order_identifier IN ");
    add_leased(s);

    if (EFFECT("gateway.orders", db_rows(&s->db, &s->sql, &rows)) != DB_OK) {
        return -1;
    }

    while ((row = mysql_fetch_row(rows)) != NULL) {
        read_order(s, row);
    }

    mysql_free_result(rows);
    return 0;
}


/* Ends the calls that need not be made. Returns how many remain, or -1. */
static int
end_needless_calls(struct sender *s)
{
    int left = 0;

    for (unsigned i = 0; i < s->count; i++) {
        struct sender_item *item = &s->items[i];

        if (item->state != SENDER_LEASED || item->body.len > 0) {
            left += item->state == SENDER_LEASED;
            continue;
        }

        buffer_clear(&s->sql);
        buffer_format(&s->sql,
                      "UPDATE gateway_calls SET next_try_at = NULL,"
                      " last_error = 'not asked: the order does not wait for a payment'"
                      " WHERE order_identifier = '%s'",
                      item->identifier);

        if (EFFECT("gateway.drop", db_run(&s->db, &s->sql)) != DB_OK) {
            return -1;
        }

        item->state = SENDER_FREE;
    }

    return left;
}


static int
lease(struct sender *s)
{
    buffer_clear(&s->sql);
    buffer_format(&s->sql,
                  "UPDATE gateway_calls SET tries = tries + 1, asked_at = COALESCE(asked_at, NOW(3)),"
                  " next_try_at = NOW(3) + INTERVAL %" PRIu64 " MICROSECOND WHERE order_identifier IN ",
                  (uint64_t) (s->config->payment.gateway_timeout + SENDER_LEASE_MARGIN_MS) * 1000);
    add_leased(s);
    return EFFECT("gateway.lease", db_run(&s->db, &s->sql)) == DB_OK ? 0 : -1;
}


static int
claim(struct sender *s, unsigned n)
{
    if (create_calls(s) == -1) {
        return -1;
    }

    int left = is_any_due(s);

    if (left <= 0) {
        return left;
    }

    if (EFFECT("gateway.begin", db_text(&s->db, "START TRANSACTION")) != DB_OK) {
        return -1;
    }

    int taken = take_calls(s, n);

    if (taken > 0) {
        left = read_orders(s) == 0 ? end_needless_calls(s) : -1;

        if (left == -1 || (left > 0 && lease(s) == -1)) {
            return -1;
        }
    }

    return taken >= 0 && EFFECT("gateway.commit", db_text(&s->db, "COMMIT")) == DB_OK ? taken : -1;
}


/* --- the request -------------------------------------------------------------------------------------------------- */


static struct curl_slist *
make_headers(const struct sender *s, const struct sender_item *item)
{
    struct curl_slist *list = http_header(NULL, "Content-Type", "application/json");
    struct buffer token = { 0 };

    list = list == NULL ? NULL : http_header(list, "Idempotency-Key", item->identifier);

    if (list != NULL && item->order_status != ORDER_PENDING_PAYMENT) {
        list = http_header(list, "Order-Status", order_status_name(item->order_status));
    }

    if (list != NULL && s->config->payment.gateway_secret != NULL) {
        buffer_format(&token, "Bearer %s", s->config->payment.gateway_secret);
        list = http_header(list, "Authorization", token.data);
        explicit_bzero(token.data, token.len);
        buffer_free(&token);
    }

    return list;
}


static int
start(struct sender *s, struct sender_item *item)
{
    struct http_request *r = &item->request;

    r->body = item->body.data;
    r->len = item->body.len;
    r->timeout_ms = s->config->payment.gateway_timeout;
    r->headers = make_headers(s, item);
    r->status = 0;
    r->cut = r->sent = 0;

    if (r->headers == NULL) {
        snprintf(r->error, sizeof(r->error), "the request cannot be made");
        return -1;
    }

    return EFFECT("gateway.post", http_client_start(&s->client, r));
}


/* --- the result --------------------------------------------------------------------------------------------------- */


/* The event, in the project's own form. */
static void
add_event(struct buffer *body, const struct sender *s, const struct sender_item *item, const struct gateway_answer *a)
{
    buffer_format(body,
                  "{\"type\":\"payment.%s\",\"data\":{\"order_identifier\":\"%s\",\"amount\":\"%s\""
                  ",\"currency\":\"%s\"",
                  a->outcome == GATEWAY_SUCCEEDED ? "succeeded" : "failed", item->identifier,
                  a->amount[0] != '\0' ? a->amount : item->amount,
                  a->currency[0] != '\0' ? a->currency : s->config->payment.currency);

    if (a->payment_id[0] != '\0') {
        buffer_format(body, ",\"payment_id\":\"%s\"", a->payment_id);
    }

    if (a->reason[0] != '\0') {
        buffer_format(body, ",\"reason\":\"%s\"", a->reason);
    }

    buffer_text(body, "}}");
}


/* The event and the end of the call in one transaction. */
static enum db_result
write_answer(struct sender *s, struct sender_item *item, const struct gateway_answer *a)
{
    struct buffer body = { 0 };
    char id[CHECKOUT_IDENTIFIER_LEN + 16];
    const char *name = a->outcome == GATEWAY_SUCCEEDED ? "succeeded" : "failed";

    add_event(&body, s, item, a);
    snprintf(id, sizeof(id), "%s:%s", item->identifier, name);

    buffer_clear(&s->sql);
    buffer_text(&s->sql, "START TRANSACTION; ");
    payment_inbox_add_insert(
        &s->db, &s->sql, &(struct inbox_event) { .id = id, .provider = "gateway", .body = body.data, .len = body.len });
    buffer_format(&s->sql,
                  " ON DUPLICATE KEY UPDATE provider = 'gateway'; "
                  "UPDATE gateway_calls SET answered_at = NOW(3), next_try_at = NULL, last_error = NULL"
                  " WHERE order_identifier = '%s' AND answered_at IS NULL; COMMIT",
                  item->identifier);
    buffer_free(&body);

    enum db_result result = EFFECT("gateway.answer", db_run(&s->db, &s->sql));

    if (result == DB_OK) {
        stats_add(a->outcome == GATEWAY_SUCCEEDED ? STATS_GATEWAY_SUCCEEDED : STATS_GATEWAY_FAILED, 1);
        log_info("event=gateway_answered order=%s status=%s payment_id=\"%s\" reason=\"%s\" tries=%u", item->identifier,
                 name, a->payment_id, a->reason, item->tries);
    }

    return result;
}


static enum db_result
write_unknown(struct sender *s, struct sender_item *item, const char *why)
{
    char error[HTTP_ERROR_MAX];
    unsigned wait = sender_item_wait_ms(item, GATEWAY_WAIT_MOST_MS);

    sender_item_error(item, error, sizeof(error));

    if (why != NULL) {
        size_t len = strlen(error);

        snprintf(error + len, sizeof(error) - len, ": %s", why);
    }

    buffer_clear(&s->sql);
    buffer_text(&s->sql, "UPDATE gateway_calls SET last_error = ");
    db_quote(&s->db, &s->sql, error);
    buffer_text(&s->sql, item->asked_before || item->request.sent ? "" : ", asked_at = NULL");
    buffer_format(&s->sql,
                  ", next_try_at = NOW(3) + INTERVAL %" PRIu64 " MICROSECOND WHERE order_identifier = '%s'"
                  " AND tries = %u AND answered_at IS NULL",
                  (uint64_t) wait * 1000, item->identifier, item->tries);

    enum db_result result = EFFECT("gateway.unknown", db_run(&s->db, &s->sql));

    if (result == DB_OK) {
        stats_add(STATS_GATEWAY_UNKNOWN, 1);
        log_warn("event=gateway_unknown order=%s tries=%u error=\"%s\" wait_ms=%u", item->identifier, item->tries,
                 error, wait);
    }

    return result;
}


static enum db_result
finish(struct sender *s, struct sender_item *item)
{
    const struct http_request *r = &item->request;
    struct gateway_answer answer;

    gateway_read(&answer, r->cut ? 0 : r->status, r->answer.data, r->answer.len);

    if (r->cut) {
        answer.why = "the answer is longer than 64 KB";
    }

    return answer.outcome == GATEWAY_UNKNOWN ? write_unknown(s, item, answer.why) : write_answer(s, item, &answer);
}


static enum db_result
hand_back(struct sender *s, struct sender_item *item)
{
    buffer_clear(&s->sql);
    buffer_format(&s->sql,
                  "UPDATE gateway_calls SET next_try_at = NOW(3) WHERE order_identifier = '%s' AND tries = %u"
                  " AND answered_at IS NULL",
                  item->identifier, item->tries);
    return EFFECT("gateway.hand_back", db_run(&s->db, &s->sql));
}


static void
update_gauges(struct sender *s)
{
    MYSQL_RES *rows = NULL;

    buffer_clear(&s->sql);
    buffer_format(&s->sql,
                  "SELECT COUNT(*) FROM (SELECT 1 FROM gateway_calls FORCE INDEX (gateway_calls_due)"
                  " WHERE next_try_at IS NOT NULL LIMIT %d) open",
                  STATS_COUNT_MOST);

    if (EFFECT("gateway.survey", db_rows(&s->db, &s->sql, &rows)) != DB_OK) {
        stats_set(STATS_GATEWAY_OPEN, -1);
        return;
    }

    MYSQL_ROW row = mysql_fetch_row(rows);

    if (row != NULL && row[0] != NULL) {
        stats_set(STATS_GATEWAY_OPEN, number_of_signed_column(row[0]));
    }

    mysql_free_result(rows);
}


static const struct sender_kind gateway_kind = {
    .name = "gateway",
    .claim = claim,
    .start = start,
    .finish = finish,
    .hand_back = hand_back,
    .update_gauges = update_gauges
};


int
gateway_start(struct sender *s, const struct config *config)
{
    if (config->payment.gateway_url[0] == '\0') {
        return 0;
    }

    return sender_start(s, &gateway_kind, config, config->payment.gateway_url, config->payment.gateway_ca_file,
                        config->payment.gateway_parallel);
}
