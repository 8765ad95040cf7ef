/*
 * checkoutctl payments: the inbox of payment events; what needs a person first of all.
 */
#include <inttypes.h>

#include "ctl/ctl.h"
#include "lifecycle/rules.h"


static void
add_flagged(struct buffer *sql)
{
    int some = 0;

    for (enum event_outcome o = 0; o < EVENT_OUTCOMES; o++) {
        if (outcome_is_flagged(o)) {
            buffer_format(sql, "%s'%s'", some++ ? "," : "", event_outcome_name(o));
        }
    }
}


int
ctl_payments(struct ctl *ctl, int argc, char **argv)
{
    struct buffer sql = { 0 };
    uint64_t limit = 100;
    MYSQL_RES *rows;

    if (ctl_take_number(&argc, argv, "--limit", 10000, &limit) == -1) {
        return CTL_ERROR;
    }

    int waiting = ctl_take_word(&argc, argv, "--waiting"), all = ctl_take_word(&argc, argv, "--all");

    if (argc > 0 || (waiting && all)) {
        return ctl_fail("payments takes --waiting or --all, and --limit N");
    }

    buffer_text(&sql, "SELECT id, provider, type, order_identifier, outcome, tries, received_at, processed_at,"
                " next_try_at FROM payment_events");

    if (waiting) {
        buffer_text(&sql, " WHERE processed_at IS NULL ORDER BY received_at");
    } else if (all) {
        buffer_text(&sql, " ORDER BY received_at DESC");
    } else {
        buffer_text(&sql, " WHERE outcome IN (");
        add_flagged(&sql);
        buffer_text(&sql, ") ORDER BY processed_at DESC");
    }

    buffer_format(&sql, " LIMIT %" PRIu64, limit);

    enum db_result result = db_open(&ctl->db) == DB_OK ? db_rows(&ctl->db, &sql, &rows) : DB_RETRY;

    buffer_free(&sql);

    if (result != DB_OK) {
        return ctl_db_failed(ctl);
    }

    cJSON *o = cJSON_CreateObject();

    json_rows(o, "payment_events", rows);
    mysql_free_result(rows);
    return ctl_print(ctl, o);
}
