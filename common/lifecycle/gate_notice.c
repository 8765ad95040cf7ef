#include "lifecycle/gate_notice.h"

#include <inttypes.h>

#define NOTICES_INSERT \
    "INSERT INTO gate_notices (order_identifier, product_id, user_id, quantity, status, failure_code, units) VALUES "


/* A code is a word; whatever else a row has there becomes one. */
static void
add_code(struct buffer *sql, const char *code)
{
    buffer_text(sql, code[0] == '\0' ? "NULL" : "'");

    for (size_t i = 0; code[i] != '\0'; i++) {
        char c = code[i];
        int plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';

        buffer_add(sql, plain ? &c : "_", 1);
    }

    buffer_text(sql, code[0] == '\0' ? "" : "'");
}


void
gate_notices_insert(const struct change_batch *batch, struct buffer *sql)
{
    int any = 0;

    for (size_t i = 0; i < batch->order_count; i++) {
        const struct changed_order *o = &batch->orders[i];

        if (!order_status_changed(o)) {
            continue;
        }

        buffer_text(sql, any ? "," : sql->len > 0 ? ";" NOTICES_INSERT : NOTICES_INSERT);
        buffer_format(sql, "('%s',%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",'%s',", o->identifier, o->product, o->user,
                      o->quantity, order_status_name(o->status));
        add_code(sql, o->code);
        buffer_format(sql, ",%" PRId64 ")", o->taken);
        any = 1;
    }
}


/* One statement for each status. The index is forced: a scan would wait for the rows of other transactions. */
void
gate_notices_delete(const struct change_batch *batch, const unsigned char *told, struct buffer *sql)
{
    for (enum order_status s = ORDER_PENDING_PAYMENT; s < ORDER_STATUSES; s++) {
        int any = 0;

        for (size_t i = 0; i < batch->order_count; i++) {
            const struct changed_order *o = &batch->orders[i];

            if (!told[i] || !order_status_changed(o) || o->status != s) {
                continue;
            }

            if (!any) {
                buffer_format(sql,
                              "%sDELETE n FROM gate_notices n FORCE INDEX (gate_notices_order) WHERE n.status = '%s'"
                              " AND n.order_identifier IN (",
                              sql->len > 0 ? ";" : "", order_status_name(s));
            }

            buffer_format(sql, "%s'%s'", any ? "," : "", o->identifier);
            any = 1;
        }

        buffer_text(sql, any ? ")" : "");
    }
}
