#include "lifecycle/payments.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "failpoint.h"
#include "lifecycle/payment_event.h"
#include "observe/stats.h"
#include "text/number.h"

#define IDLE_MS       100
#define SINGLE_ROUNDS (2 * CHANGE_BATCH_MAX) /* rounds that take one event each, after a batch was refused or stuck */
#define NO_CHANGE     ((size_t) -1)

/* The lock of the inbox comes before all others. */
static const char new_events[] = " FROM payment_events FORCE INDEX (payment_events_due)"
                                 " WHERE processed_at IS NULL AND next_try_at IS NULL ORDER BY received_at LIMIT ";

static const char waiting_events[] =
    " FROM payment_events FORCE INDEX (payment_events_due)"
    " WHERE processed_at IS NULL AND next_try_at <= NOW(3) ORDER BY next_try_at LIMIT ";


unsigned
payments_wait_ms(unsigned tries)
{
    return tries < 7 ? PAYMENTS_WAIT_FIRST_MS << tries : PAYMENTS_WAIT_MOST_MS;
}


/* Without any lock, for most of the time nothing is due. */
static enum db_result
find_due(struct change_thread *t, const char *from, int *found)
{
    buffer_clear(&t->sql);
    buffer_format(&t->sql, "SELECT 1%s1", from);
    return EFFECT("payment.peek", db_any(&t->db, &t->sql, found));
}


static enum db_result
read_events(struct change_thread *t, const char *from, MYSQL_RES **rows)
{
    buffer_clear(&t->sql);
    buffer_format(&t->sql,
                  "SELECT id, provider, body, tries, received_at < NOW(3) - INTERVAL %d HOUR%s%u"
                  " FOR UPDATE SKIP LOCKED",
                  PAYMENTS_WAIT_HOURS, from, t->singly > 0 ? 1 : CHANGE_BATCH_MAX);
    return EFFECT("payment.read", db_rows(&t->db, &t->sql, rows));
}


static void
add_change(struct change_batch *batch, const struct payment_event *e, int too_old)
{
    struct order_change *c = change_batch_add(batch, e->identifier, e->event);

    memcpy(c->payment_id, e->payment_id, sizeof(c->payment_id));
    memcpy(c->currency, e->currency, sizeof(c->currency));
    c->amount = e->amount;
    c->too_old = too_old;
    c->code = e->event == EVENT_PAYMENT_FAILED ? "payment_failed" : NULL;
}


static void
add_outcome(struct change_thread *t, MYSQL_ROW row, const struct payment_event *e, enum event_outcome outcome)
{
    buffer_format(&t->sql,
                  "%sUPDATE payment_events SET tries = tries + 1, order_identifier = ", t->sql.len > 0 ? ";" : "");
    buffer_format(&t->sql, e->identifier[0] != '\0' ? "'%s'" : "NULL", e->identifier);
    buffer_text(&t->sql, ", type = ");

    if (e->type[0] != '\0') {
        db_quote(&t->db, &t->sql, e->type);
    } else {
        buffer_text(&t->sql, "NULL");
    }

    buffer_text(&t->sql, ", payment_id = ");

    if (e->payment_id[0] != '\0') {
        db_quote(&t->db, &t->sql, e->payment_id);
    } else {
        buffer_text(&t->sql, "NULL");
    }

    if (outcome == OUTCOME_WAITS) {
        buffer_format(&t->sql, ", next_try_at = NOW(3) + INTERVAL %u MICROSECOND",
                      payments_wait_ms((unsigned) number_of_column(row[3])) * 1000);
    } else {
        buffer_format(&t->sql, ", next_try_at = NULL, processed_at = NOW(3), outcome = '%s'",
                      event_outcome_name(outcome));
    }

    buffer_text(&t->sql, " WHERE processed_at IS NULL AND id = ");
    db_quote(&t->db, &t->sql, row[0]);
    buffer_text(&t->sql, " AND provider = ");
    db_quote(&t->db, &t->sql, row[1]);
}


static enum event_outcome
outcome_of(const struct change_thread *t, const struct payment_event *e, size_t change)
{
    if (change != NO_CHANGE) {
        enum event_outcome outcome = t->batch->changes[change].outcome;

        /* The gate knows more of its order than MySQL, or cannot be asked: tried again, for as long as it takes. */
        return outcome == OUTCOME_LOCKED ? OUTCOME_WAITS : outcome;
    }

    return e->kind == PAYMENT_EVENT_OTHER ? OUTCOME_IGNORED : OUTCOME_MALFORMED;
}


/* Counts and logs an event that changes no order. */
static void
report_unapplied(const struct payment_event *e, MYSQL_ROW row)
{
    char id[256], clean[256];

    if (e->kind == PAYMENT_EVENT_CHANGE) {
        return;
    }

    stats_outcome(ORDER_EVENTS, e->kind == PAYMENT_EVENT_OTHER ? OUTCOME_IGNORED : OUTCOME_MALFORMED);

    if (e->kind == PAYMENT_EVENT_MALFORMED) {
        log_clean(id, sizeof(id), row[0]);
        log_clean(clean, sizeof(clean), row[1]);
        log_warn("event=payment_flagged outcome=malformed id=\"%s\" provider=\"%s\"", id, clean);
    }
}


/* Reads the bodies into changes, in the order of the rows; change_indexes[i]: that of row i, or NO_CHANGE. */
static void
read_bodies(struct change_thread *t, MYSQL_RES *rows, struct payment_event *events, size_t *change_indexes)
{
    MYSQL_ROW row;

    for (size_t i = 0; (row = mysql_fetch_row(rows)) != NULL; i++) {
        payment_event_read(&events[i], row[1], row[2], mysql_fetch_lengths(rows)[2]);
        change_indexes[i] = NO_CHANGE;

        if (events[i].kind == PAYMENT_EVENT_CHANGE) {
            change_indexes[i] = t->batch->count;
            add_change(t->batch, &events[i], row[4][0] == '1');
        }
    }
}


static enum db_result
write_outcomes(struct change_thread *t, MYSQL_RES *rows, const struct payment_event *events,
               const size_t *change_indexes)
{
    MYSQL_ROW row;

    buffer_clear(&t->sql);
    mysql_data_seek(rows, 0);

    for (size_t i = 0; (row = mysql_fetch_row(rows)) != NULL; i++) {
        add_outcome(t, row, &events[i], outcome_of(t, &events[i], change_indexes[i]));
    }

    return EFFECT("payment.outcomes", db_change_rows(&t->db, &t->sql, mysql_num_rows(rows)));
}


/* A rollback that fails closes the connection, and what is written next is escaped by an open one. */
static enum db_result
roll_back(struct change_thread *t)
{
    db_rollback(&t->db);
    return db_open(&t->db);
}


/* MySQL refuses the data of this one event: it is closed as rejected, or all others would wait behind it. */
static enum db_result
reject(struct change_thread *t, MYSQL_RES *rows)
{
    struct payment_event malformed = { .kind = PAYMENT_EVENT_MALFORMED };
    char id[256];

    mysql_data_seek(rows, 0);

    MYSQL_ROW row = mysql_fetch_row(rows);

    log_clean(id, sizeof(id), row[0]);
    log_error("event=payment_flagged outcome=rejected id=\"%s\" code=%u error=\"%s\"", id, t->db.code, t->db.error);

    if (EFFECT("payment.rollback", roll_back(t)) != DB_OK) {
        return DB_RETRY;
    }

    buffer_clear(&t->sql);
    add_outcome(t, row, &malformed, OUTCOME_REJECTED);

    enum db_result result = EFFECT("payment.reject", db_run(&t->db, &t->sql));

    if (result == DB_OK) {
        stats_outcome(ORDER_EVENTS, OUTCOME_REJECTED);
    }

    return result;
}


/*
 * This one event cannot be applied, perhaps for long: somebody keeps its order's lock, or a trigger of the shop refuses
 * the change. It is tried again later, so that others do not wait behind it; its order does not expire meanwhile.
 */
static enum db_result
postpone(struct change_thread *t, MYSQL_RES *rows, const struct payment_event *e)
{
    char id[256];

    mysql_data_seek(rows, 0);

    MYSQL_ROW row = mysql_fetch_row(rows);

    log_clean(id, sizeof(id), row[0]);
    log_warn("event=payment_put_off id=\"%s\" order=%s code=%u error=\"%s\" tries=%s wait_ms=%u", id,
             e->identifier[0] != '\0' ? e->identifier : "-", t->db.code, t->db.error, row[3],
             payments_wait_ms((unsigned) number_of_column(row[3])));
    stats_mysql_retry(t->db.code);

    if (EFFECT("payment.rollback", roll_back(t)) != DB_OK) {
        return DB_RETRY;
    }

    buffer_clear(&t->sql);
    add_outcome(t, row, e, OUTCOME_WAITS);

    enum db_result result = EFFECT("payment.put_off", db_run(&t->db, &t->sql));

    return result == DB_POISON ? reject(t, rows) : result;
}


/* One event must not hold up all others; taking them one by one shows which it is. */
static enum db_result
on_failure(struct change_thread *t, MYSQL_RES *rows, const struct payment_event *events, enum db_result result)
{
    int single = mysql_num_rows(rows) == 1;

    if (result != DB_POISON && !change_thread_is_stuck(t, result)) {
        return result;
    }

    if (single) {
        return result == DB_POISON ? reject(t, rows) : postpone(t, rows, &events[0]);
    }

    t->singly = SINGLE_ROUNDS;
    return DB_AGAIN;
}


static enum db_result
apply(struct change_thread *t, MYSQL_RES *rows)
{
    static _Thread_local struct payment_event events[CHANGE_BATCH_MAX];
    static _Thread_local size_t change_indexes[CHANGE_BATCH_MAX];
    enum db_result result;
    MYSQL_ROW row;

    change_thread_begin_batch(t);
    read_bodies(t, rows, events, change_indexes);

    if ((result = change_batch_apply(t->batch, &t->db)) != DB_OK
        || (result = write_outcomes(t, rows, events, change_indexes)) != DB_OK
        || (result = EFFECT("payment.commit", change_thread_commit(t))) != DB_OK)
    {
        return on_failure(t, rows, events, result);
    }

    mysql_data_seek(rows, 0);

    for (size_t i = 0; (row = mysql_fetch_row(rows)) != NULL; i++) {
        report_unapplied(&events[i], row);
    }

    change_thread_committed(t);
    t->singly -= t->singly > 0;
    return DB_OK;
}


static enum change_round
round_of(enum db_result result)
{
    return result == DB_OK ? CHANGE_ROUND_DONE : result == DB_AGAIN ? CHANGE_ROUND_CONFLICT : CHANGE_ROUND_FAILED;
}


static enum change_round
apply_due(struct change_thread *t, const char *from)
{
    MYSQL_RES *rows;
    int found = 0;
    enum db_result result = find_due(t, from, &found);

    if (result != DB_OK || !found) {
        return result == DB_OK ? CHANGE_ROUND_EMPTY : round_of(result);
    }

    if ((result = EFFECT("payment.begin", db_text(&t->db, CHANGE_START_TRANSACTION))) != DB_OK
        || (result = read_events(t, from, &rows)) != DB_OK)
    {
        return round_of(result);
    }

    if (mysql_num_rows(rows) == 0) {
        mysql_free_result(rows);
        db_rollback(&t->db);
        return CHANGE_ROUND_EMPTY;
    }

    result = apply(t, rows);
    mysql_free_result(rows);
    return round_of(result);
}


/* nginx cancels orders too and needs this process's configuration. Written once, when MySQL first answers. */
static enum db_result
write_settings(struct change_thread *t)
{
    if (t->settings_written) {
        return DB_OK;
    }

    buffer_clear(&t->sql);
    buffer_text(&t->sql, "INSERT INTO settings (name, value) VALUES ('currency', ");
    db_quote(&t->db, &t->sql, t->config->payment.currency);
    buffer_format(&t->sql, "), ('events', '%s') ON DUPLICATE KEY UPDATE value = VALUES(value)",
                  config_sends_events(t->config) ? "on" : "off");

    enum db_result result = EFFECT("payment.settings", db_run(&t->db, &t->sql));

    t->settings_written = result == DB_OK;
    return result;
}


/* Rounds begin with new events and with waiting ones alternately, so that neither starve. */
static enum change_round
run_round(struct change_thread *t)
{
    enum db_result result = db_open(&t->db);

    if (result != DB_OK || (result = write_settings(t)) != DB_OK) {
        return round_of(result);
    }

    t->waiting_first = !t->waiting_first;

    enum change_round first = apply_due(t, t->waiting_first ? waiting_events : new_events);

    return first == CHANGE_ROUND_EMPTY ? apply_due(t, t->waiting_first ? new_events : waiting_events) : first;
}


const struct change_thread_kind
    payments_kind = { .name = "payments", .round = run_round, .idle_ms = IDLE_MS, .pause_factor = 3 };
