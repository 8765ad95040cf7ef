/*
 * The steps of `checkoutctl archive` for events. Of a payment event that was processed the body goes and all else
 * stays: its id makes the same event a repeat when it comes again. Events that the shop has got go whole.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "ctl/archive_step.h"
#include "failpoint.h"
#include "text/number.h"

#define EVENT_ID_MAX 255
#define PROVIDER_MAX 32

struct key {
    char received_at[32];
    char id[EVENT_ID_MAX + 1], provider[PROVIDER_MAX + 1];
};

/* Of payment events, in the order of their index: the time, then the primary key. */
struct body_page {
    struct key due[ARCHIVE_PAGE];
    size_t count;
    struct key last;
    int more;
    uint64_t emptied; /* by the transaction */
};


/* Behind the last one: those of the same moment by their key. */
static void
add_place(struct archive *a, const struct body_page *p)
{
    struct db *db = &a->ctl->db;

    if (p->last.received_at[0] == '\0') {
        return;
    }

    buffer_format(&a->sql, " AND received_at >= '%s' AND (received_at > '%s' OR id > ", p->last.received_at,
                  p->last.received_at);
    db_quote(db, &a->sql, p->last.id);
    buffer_text(&a->sql, " OR (id = ");
    db_quote(db, &a->sql, p->last.id);
    buffer_text(&a->sql, " AND provider > ");
    db_quote(db, &a->sql, p->last.provider);
    buffer_text(&a->sql, "))");
}


static int
read_body_page(struct archive *a, struct body_page *p)
{
    buffer_format(&a->sql,
                  "SELECT received_at, id, provider, processed_at < %s AND body <> '' FROM payment_events"
                  " FORCE INDEX (payment_events_time) WHERE received_at < %s",
                  a->before, a->before);
    add_place(a, p);
    buffer_format(&a->sql, " ORDER BY received_at, id, provider LIMIT %d", ARCHIVE_PAGE);

    MYSQL_RES *rows = archive_read(a);

    if (rows == NULL) {
        return -1;
    }

    p->more = mysql_num_rows(rows) == ARCHIVE_PAGE;
    p->count = 0;

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        snprintf(p->last.received_at, sizeof(p->last.received_at), "%s", row[0]);
        snprintf(p->last.id, sizeof(p->last.id), "%s", row[1]);
        snprintf(p->last.provider, sizeof(p->last.provider), "%s", row[2]);

        if (row[3] != NULL && row[3][0] == '1') {
            p->due[p->count++] = p->last;
        }
    }

    mysql_free_result(rows);
    return 0;
}


static void
add_keys(struct archive *a, const struct body_page *p)
{
    for (size_t i = 0; i < p->count; i++) {
        buffer_text(&a->sql, i > 0 ? " OR (id = " : "((id = ");
        db_quote(&a->ctl->db, &a->sql, p->due[i].id);
        buffer_text(&a->sql, " AND provider = ");
        db_quote(&a->ctl->db, &a->sql, p->due[i].provider);
        buffer_text(&a->sql, ")");
    }

    buffer_text(&a->sql, ")");
}


static enum db_result
empty_bodies(struct archive *a, void *data)
{
    struct body_page *p = data;

    buffer_clear(&a->sql);
    buffer_text(&a->sql, "UPDATE payment_events SET body = '' WHERE processed_at IS NOT NULL AND ");
    add_keys(a, p);

    return EFFECT("archive.bodies", db_run_counted(&a->ctl->db, &a->sql, &p->emptied));
}


static int
take_bodies(struct archive *a, struct body_page *p)
{
    uint64_t begun = clock_us(), count = 0;

    if (a->ctl->dry_run) {
        a->counts.payment_bodies += p->count;
        return 0;
    }

    buffer_text(&a->sql, "SELECT * FROM payment_events WHERE ");
    add_keys(a, p);

    if (archive_add_lines(a, "payment_events", &count) == -1 || archive_keep_lines(a) == -1
        || archive_commit(a, empty_bodies, p) == -1)
    {
        return -1;
    }

    a->counts.payment_bodies += p->emptied;
    archive_rest(begun);
    return 0;
}


int
archive_payment_bodies(struct archive *a)
{
    struct body_page *p = memory_resize(NULL, 1, sizeof(*p));
    int result;

    *p = (struct body_page) { 0 };

    do {
        result = read_body_page(a, p);

        if (result == 0 && p->count > 0) {
            result = take_bodies(a, p);
        }
    } while (result == 0 && p->more);

    free(p);
    return result;
}


/* --- events for the shop -------------------------------------------------------------------------------------------
 */


struct event_page {
    struct buffer due; /* "(1,2", their ids */
    size_t count;
    uint64_t last, end; /* ids; the walk's place, and where it ends */
    int more;
    uint64_t gone; /* by the transaction */
};


/* Ids ascend with time, but for moments: no event that is due has a greater id than the last one by time. */
static int
find_end(struct archive *a, struct event_page *p)
{
    int any;

    buffer_format(&a->sql,
                  "SELECT id FROM outgoing_events FORCE INDEX (outgoing_events_time) WHERE created_at < %s"
                  " ORDER BY created_at DESC, id DESC LIMIT 1",
                  a->before);

    if (archive_read_number(a, &p->end, &any) == -1) {
        return -1;
    }

    p->more = any;
    return 0;
}


static int
read_event_page(struct archive *a, struct event_page *p)
{
    buffer_format(&a->sql,
                  "SELECT id, delivered_at < %s FROM outgoing_events WHERE id > %" PRIu64 " AND id <= %" PRIu64
                  " ORDER BY id LIMIT %d",
                  a->before, p->last, p->end, ARCHIVE_PAGE);

    MYSQL_RES *rows = archive_read(a);

    if (rows == NULL) {
        return -1;
    }

    p->more = mysql_num_rows(rows) == ARCHIVE_PAGE;
    p->count = 0;
    buffer_clear(&p->due);

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        p->last = number_of_column(row[0]);

        if (row[1] != NULL && row[1][0] == '1') {
            buffer_format(&p->due, "%s%s", p->count++ > 0 ? "," : "(", row[0]);
        }
    }

    mysql_free_result(rows);
    return 0;
}


static enum db_result
delete_events(struct archive *a, void *data)
{
    struct event_page *p = data;

    buffer_clear(&a->sql);
    buffer_format(&a->sql, "DELETE FROM outgoing_events WHERE delivered_at IS NOT NULL AND id IN %s)", p->due.data);

    return EFFECT("archive.events", db_run_counted(&a->ctl->db, &a->sql, &p->gone));
}


static int
take_events(struct archive *a, struct event_page *p)
{
    uint64_t begun = clock_us(), count = 0;

    if (a->ctl->dry_run) {
        a->counts.outgoing_events += p->count;
        return 0;
    }

    buffer_format(&a->sql, "SELECT * FROM outgoing_events WHERE id IN %s)", p->due.data);

    if (archive_add_lines(a, "outgoing_events", &count) == -1 || archive_keep_lines(a) == -1
        || archive_commit(a, delete_events, p) == -1)
    {
        return -1;
    }

    a->counts.outgoing_events += p->gone;
    archive_rest(begun);
    return 0;
}


int
archive_outgoing_events(struct archive *a)
{
    struct event_page page = { 0 };
    int result = find_end(a, &page);

    while (result == 0 && page.more) {
        result = read_event_page(a, &page);

        if (result == 0 && page.count > 0) {
            result = take_events(a, &page);
        }
    }

    buffer_free(&page.due);
    return result;
}
