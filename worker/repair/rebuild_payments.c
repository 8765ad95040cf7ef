/*
 * A part of the step over the gate's records: payments that MySQL lost.
 *
 * A record is written after the commit that it follows. So a record with status paid, over a row without, means that
 * MySQL lost commits (a replica was promoted, a backup restored), and the payment's event with them; the provider got
 * its answer and does not send it again. Without this step an order that was paid would be cancelled when its time to
 * pay is over.
 *
 * So the payment is written into the inbox again, as an event of the provider "gate", and the workers apply it as any
 * other: an order that waits is paid, one that was ended gets stock or becomes
 * refund_pending, for one that is enqueued again the event waits. The event names no payment, so the provider's own,
 * should it come again, is a repeat. Another rebuild writes none twice.
 */
#include <inttypes.h>
#include <string.h>

#include "failpoint.h"
#include "lifecycle/payment_event.h"
#include "repair/rebuild_payments.h"
#include "text/buffer.h"


/* "Records: 1  Duplicates: 0  Warnings: 0": rows that were selected, whether or not they stood there already. */
static int
has_records(const char *info)
{
    const char *records = info != NULL ? strstr(info, "Records: ") : NULL;

    return records != NULL && records[sizeof("Records: ") - 1] != '0';
}


/*
 * The amount is what the order costs, or, where it has no row or never had a price, today's price: the gate does not
 * know what was paid.
 */
static enum db_result
keep_event(struct rebuild *r, const struct rebuild_payment *p, const char *type, int *kept)
{
    struct buffer sql = { 0 };

    buffer_format(&sql,
                  "INSERT INTO payment_events (id, provider, body) SELECT '%s:%s', '" PAYMENT_BY_GATE "',"
                  " CONCAT('{\"type\":\"payment.%s\",\"data\":{\"order_identifier\":\"%s\",\"amount\":\"',"
                  " CASE WHEN o.total_price > 0 THEN o.total_price ELSE p.price * %" PRIu64 " END,"
                  " '\",\"currency\":\"', ",
                  p->identifier, type, type, p->identifier, p->quantity);
    db_quote(r->db, &sql, r->redis->config->payment.currency);
    buffer_format(&sql,
                  ", '\"}}') FROM products p LEFT JOIN orders o ON o.order_identifier = '%s' WHERE p.id = %" PRIu64
                  " ON DUPLICATE KEY UPDATE provider = '" PAYMENT_BY_GATE "'",
                  p->identifier, p->product);

    enum db_result result = EFFECT("rebuild.payment", db_run(r->db, &sql));

    buffer_free(&sql);

    if (result == DB_OK) {
        *kept |= has_records(mysql_info(r->db->mysql));
    }

    return result;
}


enum rebuild_result
rebuild_payment(struct rebuild *r, const struct rebuild_payment *p)
{
    enum db_result result = DB_OK;
    int kept = r->dry_run;

    if (r->named_count < REBUILD_PAYMENTS_NAMED) {
        r->named[r->named_count++] = *p;
    }

    if (!r->dry_run) {
        result = keep_event(r, p, "succeeded", &kept);
    }

    if (!r->dry_run && result == DB_OK && p->gate == ORDER_REFUNDED) {
        result = keep_event(r, p, "refunded", &kept);
    }

    if (result != DB_OK && result != DB_POISON) {
        return REBUILD_DB_FAILED;
    }

    /* One that MySQL does not take must not keep the gate closed. */
    r->payments += (uint64_t) (result == DB_OK && kept);
    r->payments_unkept += (uint64_t) (result != DB_OK || !kept);
    return REBUILD_DONE;
}
