#include "intake/failed_event.h"

#include <string.h>

#include "lifecycle/outgoing_event.h"
#include "text/money.h"


void
failed_event_values(struct buffer *sql, const struct config *config, const struct order *o, const char *code)
{
    const char *configured = config->payment.currency;
    char currency[MONEY_CURRENCY_LEN + 1] = "";
    struct outgoing_event event = {
        .identifier = o->identifier,
        .type = "order.failed",
        .status = "failed",
        .user = o->asked.user_id,
        .product = o->asked.product_id,
        .quantity = o->asked.quantity,
        .currency = currency,
        .payment_id = "",
        .failure_code = code
    };

    (void) money_currency(currency, configured, strlen(configured));
    outgoing_event_add_values(sql, &event);
}
