#include "ctl/archive_step.h"

#include <time.h>

#include "base/clock.h"
#include "ctl/archive_line.h"
#include "ctl/report.h"
#include "failpoint.h"
#include "text/number.h"

#define AGAIN_MOST   5       /* runs at once after a lost race */
#define REST_MOST_US 2000000 /* after a batch that took long */


MYSQL_RES *
archive_read(struct archive *a)
{
    struct db *db = &a->ctl->db;
    MYSQL_RES *rows = NULL;
    enum db_result result = db_open(db);

    if (result == DB_OK) {
        result = EFFECT("archive.read", db_rows(db, &a->sql, &rows));
    }

    buffer_clear(&a->sql);

    if (result != DB_OK) {
        (void) report_db_failed(a->ctl);
        return NULL;
    }

    return rows;
}


int
archive_read_number(struct archive *a, uint64_t *number, int *any)
{
    MYSQL_RES *rows = archive_read(a);

    if (rows == NULL) {
        return -1;
    }

    MYSQL_ROW row = mysql_fetch_row(rows);

    *any = row != NULL && row[0] != NULL;
    *number = *any ? number_of_column(row[0]) : 0;
    mysql_free_result(rows);
    return 0;
}


int
archive_add_lines(struct archive *a, const char *table, uint64_t *count)
{
    MYSQL_RES *rows = archive_read(a);

    if (rows == NULL) {
        return -1;
    }

    *count += archive_line_add_all(&a->lines, table, rows);
    mysql_free_result(rows);
    return 0;
}


int
archive_keep_lines(struct archive *a)
{
    if (a->file != NULL && !a->ctl->dry_run && a->lines.len > 0 && archive_file_add(a->file, &a->lines) == -1) {
        (void) report_error("the file %s; what is not in it stays in MySQL", a->file->error);
        return -1;
    }

    buffer_clear(&a->lines);
    return 0;
}


static enum db_result
attempt(struct archive *a, enum db_result (*change)(struct archive *a, void *data), void *data)
{
    struct db *db = &a->ctl->db;
    enum db_result result = db_open(db);

    if (result != DB_OK || (result = EFFECT("archive.begin", db_text(db, "START TRANSACTION"))) != DB_OK
        || (result = change(a, data)) != DB_OK)
    {
        return result;
    }

    return EFFECT("archive.commit", db_text(db, "COMMIT"));
}


int
archive_commit(struct archive *a, enum db_result (*change)(struct archive *a, void *data), void *data)
{
    enum db_result result = DB_AGAIN;

    for (unsigned i = 0; i < AGAIN_MOST && result == DB_AGAIN; i++) {
        result = attempt(a, change, data);

        if (result != DB_OK) {
            db_rollback(&a->ctl->db);
        }
    }

    buffer_clear(&a->sql);

    if (result != DB_OK) {
        (void) report_db_failed(a->ctl);
        return -1;
    }

    return 0;
}


void
archive_rest(uint64_t begun_us)
{
    uint64_t took = clock_us() - begun_us, us = took < REST_MOST_US ? took : REST_MOST_US;
    struct timespec pause = { .tv_sec = (time_t) (us / 1000000), .tv_nsec = (long) (us % 1000000) * 1000 };

    (void) nanosleep(&pause, NULL);
}
