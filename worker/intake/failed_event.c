#include "intake/failed_event.h"

#include <inttypes.h>
#include <string.h>

#include "text/money.h"


/* Digits, letters, hyphens and underscores: nothing here needs escaping. The time is the database's. */
void
failed_event_values(struct buffer *sql, const struct config *config, const struct order *o, const char *code)
{
    const char *configured = config->payment.currency;
    char currency[MONEY_CURRENCY_LEN + 1] = "";

    (void) money_currency(currency, configured, strlen(configured));
    buffer_format(sql, "'%.36s','order.failed',CONCAT('{\"type\":\"order.failed\",\"timestamp\":\"',", o->identifier);
    buffer_text(sql, "LEFT(DATE_FORMAT(NOW(3), '%Y-%m-%dT%H:%i:%s.%f'), 23)");
    buffer_format(sql,
                  ",'Z\",\"data\":{\"order_identifier\":\"%.36s\",\"user_id\":%" PRIu64 ",\"status\":\"failed\""
                  ",\"product_id\":%" PRIu64 ",\"quantity\":%" PRIu32 ",\"total_price\":\"0.00\",\"currency\":\"%s\""
                  ",\"payment_id\":null,\"failure_code\":\"%s\"}}')",
                  o->identifier, o->asked.user_id, o->asked.product_id, o->asked.quantity, currency, code);
}
