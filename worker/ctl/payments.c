/*
 * checkoutctl payments: payment events, first of all those that need a person.
 */
#include <inttypes.h>

#include "ctl/ctl.h"
#include "ctl/json.h"
#include "ctl/query.h"
#include "ctl/report.h"
#include "ctl/words.h"
#include "lifecycle/rules.h"


static const char columns[] = "SELECT id, provider, type, order_identifier, outcome, tries, received_at, processed_at,"
                              " next_try_at FROM payment_events";


/* The newest of each outcome, by their index, and the newest of these: what was flagged once stays so for ever. */
static void
add_flagged(struct buffer *sql, uint64_t limit)
{
    int count = 0;

    for (enum event_outcome o = 0; o < EVENT_OUTCOMES; o++) {
        if (outcome_is_flagged(o)) {
            buffer_format(sql, "%s(%s WHERE outcome = '%s' ORDER BY processed_at DESC LIMIT %" PRIu64 ")",
                          count++ ? " UNION ALL " : "", columns, event_outcome_name(o), limit);
        }
    }

    buffer_text(sql, " ORDER BY processed_at DESC");
}


int
ctl_payments(struct ctl *ctl, int argc, char **argv)
{
    struct buffer sql = { 0 };
    uint64_t limit = 100;

    if (words_take_number(&argc, argv, "--limit", 10000, &limit) == -1) {
        return CTL_ERROR;
    }

    int waiting = words_take_flag(&argc, argv, "--waiting"), all = words_take_flag(&argc, argv, "--all");

    if (argc > 0 || (waiting && all)) {
        return report_error("payments takes --waiting or --all, and --limit N");
    }

    if (waiting) {
        buffer_format(&sql, "%s WHERE processed_at IS NULL ORDER BY received_at", columns);
    } else if (all) {
        buffer_format(&sql, "%s ORDER BY received_at DESC", columns);
    } else {
        add_flagged(&sql, limit);
    }

    buffer_format(&sql, " LIMIT %" PRIu64, limit);

    MYSQL_RES *rows = query_rows(ctl, &sql);

    if (rows == NULL) {
        return CTL_ERROR;
    }

    cJSON *o = cJSON_CreateObject();

    json_rows(o, "payment_events", rows, JSON_NUMBERS_TYPED);
    mysql_free_result(rows);
    return report_object(ctl, o);
}
