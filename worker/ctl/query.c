#include "ctl/query.h"

#include "ctl/report.h"


MYSQL_RES *
query_rows(struct ctl *ctl, struct buffer *sql)
{
    MYSQL_RES *rows = NULL;
    enum db_result result = db_open(&ctl->db) == DB_OK ? db_rows(&ctl->db, sql, &rows) : DB_RETRY;

    buffer_free(sql);

    if (result != DB_OK) {
        (void) report_db_failed(ctl);
        return NULL;
    }

    return rows;
}
