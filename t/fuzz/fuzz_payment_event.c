/*
 * Fuzzer of the bodies of payment events (libFuzzer). Whatever the body is, what is read of it is bounded and closed,
 * and an event of our business names an order, and its amount is that which its digits say.
 */
#include <stdlib.h>
#include <string.h>

#include "lifecycle/payment_event.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);


static void
check(const struct payment_event *e)
{
    if (strnlen(e->type, sizeof(e->type)) == sizeof(e->type)
        || strnlen(e->payment_id, sizeof(e->payment_id)) == sizeof(e->payment_id))
    {
        abort();
    }

    if (e->kind != PAYMENT_EVENT_CHANGE) {
        return;
    }

    if (checkout_identifier_check(e->identifier, strlen(e->identifier)) == -1 || e->event >= ORDER_EVENTS) {
        abort();
    }

    if (e->event != EVENT_PAYMENT_FAILED && (e->payment_id[0] == '\0' || strlen(e->currency) != MONEY_CURRENCY_LEN)) {
        abort();
    }
}


int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static const char *const providers[] = { "standard", "stripe", "gateway" };
    struct payment_event e;

    /* In memory of its own size, so that a byte too many is seen. */
    char *body = malloc(size > 0 ? size : 1);

    if (body == NULL) {
        abort();
    }

    memcpy(body, data, size);

    for (size_t i = 0; i < sizeof(providers) / sizeof(providers[0]); i++) {
        payment_event_read(&e, providers[i], body, size);
        check(&e);
    }

    free(body);
    return 0;
}
