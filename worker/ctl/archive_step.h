/*
 * What the steps of `checkoutctl archive` share: a page of rows is read, its lines are synced to the file, and only
 * then a transaction takes the rows away. A step may be killed at any moment and run again.
 *
 * A step walks its table once, by a key, a page at a time, and holds locks for the one transaction only. It waits for
 * no lock of a product or an order: what another session has locked is left, counted, and found again by the next run.
 */
#ifndef CHECKOUT_WORKER_CTL_ARCHIVE_STEP_H
#define CHECKOUT_WORKER_CTL_ARCHIVE_STEP_H

#include <stddef.h>
#include <stdint.h>

#include "ctl/archive_file.h"
#include "ctl/ctl.h"
#include "text/buffer.h"

#define ARCHIVE_PAGE 500 /* rows that are looked at, and of which the due ones go, at once */

/* Why a row that is due stays. */
enum archive_left {
    ARCHIVE_LEFT_LIMITED, /* an order of a product with a per_user_limit that is on sale: it counts for its buyer */
    ARCHIVE_LEFT_WAITING, /* a payment event or a call of the gateway about the order is not done with */
    ARCHIVE_LEFT_LOCKED,  /* another session has it, or its product */
    ARCHIVE_LEFT_REASONS
};

struct archive_counts {
    uint64_t orders, items, gateway_calls; /* orders that became stubs, and what went with them */
    uint64_t movements, payment_bodies, outgoing_events;
    uint64_t left[ARCHIVE_LEFT_REASONS]; /* orders; movements that are locked as well */
};

struct archive {
    struct ctl *ctl;
    const char *before;        /* '2026-11-21 06:30:00.000', quoted: what was last changed before that is due */
    struct archive_file *file; /* NULL: what goes is kept nowhere */
    struct archive_counts counts;
    struct buffer sql, lines; /* of the step at work; sql is empty between two statements */
};

/* The steps. Each blocks for as long as its table takes. Returns 0, or -1 after a message. */
int archive_orders(struct archive *archive);
int archive_movements(struct archive *archive);
int archive_payment_bodies(struct archive *archive);
int archive_outgoing_events(struct archive *archive);

/* Runs archive->sql. Returns its rows, which the caller frees, or NULL after a message. */
MYSQL_RES *archive_read(struct archive *archive);

/* The same for one number; *any is 0 where there is no row, or it is NULL. Returns 0, or -1 after a message. */
int archive_read_number(struct archive *archive, uint64_t *number, int *any);

/* Adds all rows of archive->sql to archive->lines. *count grows by them. Returns 0, or -1 after a message. */
int archive_add_lines(struct archive *archive, const char *table, uint64_t *count);

/* Empties archive->lines into the file and blocks until the disk has them. Returns 0, or -1 after a message. */
int archive_keep_lines(struct archive *archive);

/*
 * Runs `change` in a transaction, and again where it lost a race. It returns as functions of mysql/db.h do, and must be
 * right when it is called again; it uses archive->sql, which is empty afterwards. Returns 0 once it is committed, or -1
 * after a message.
 */
int archive_commit(struct archive *archive, enum db_result (*change)(struct archive *archive, void *data), void *data);

/* Sleeps as long as the work took since begun_us (clock_us()), so that it takes half of the server at most. */
void archive_rest(uint64_t begun_us);

#endif
