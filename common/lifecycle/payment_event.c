/*
 * cJSON checks the text and gives texts; it keeps numbers as floating point only, so the digits of an amount are taken
 * from the text itself, at the place that the path of its members leads to.
 */
#include "lifecycle/payment_event.h"

#include <cjson/cJSON.h>
#include <string.h>


/* --- digits ------------------------------------------------------------------------------------------------------- */


struct span {
    const char *p, *end;
};


static void
skip_space(struct span *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r')) {
        s->p++;
    }
}


/* From an opening quote to behind the closing one. */
static void
skip_string(struct span *s)
{
    for (s->p++; s->p < s->end && *s->p != '"'; s->p++) {
        if (*s->p == '\\') {
            s->p++;
        }
    }

    s->p += s->p < s->end;
}


/* Any value of a text that is known to be JSON. */
static void
skip_value(struct span *s)
{
    unsigned depth = 0;

    do {
        if (*s->p == '"') {
            skip_string(s);
            continue;
        }

        depth += *s->p == '{' || *s->p == '[';
        depth -= (*s->p == '}' || *s->p == ']') && depth > 0;
        s->p++;

    } while (s->p < s->end && (depth > 0 || strchr(",}] \t\r\n", *s->p) == NULL));
}


/* The value of an object's first member of that name; empty: none. s->p stands at the object's brace. */
static struct span
find_member(struct span s, const char *name)
{
    size_t len = strlen(name);

    skip_space(&s);

    if (s.p == s.end || *s.p != '{') {
        return (struct span) { s.end, s.end };
    }

    for (s.p++; s.p < s.end; s.p++) {
        skip_space(&s);

        if (s.p == s.end || *s.p != '"') {
            break;
        }

        const char *key = s.p + 1;

        skip_string(&s);

        int same = (size_t) (s.p - key) == len + 1 && memcmp(key, name, len) == 0;

        skip_space(&s);
        s.p += s.p < s.end; /* the colon */
        skip_space(&s);

        struct span value = s;

        if (s.p < s.end) {
            skip_value(&s);
        }

        if (same) {
            value.end = s.p;
            return value;
        }

        skip_space(&s);
    }

    return (struct span) { s.end, s.end };
}


/* --- members ------------------------------------------------------------------------------------------------------ */


/* Texts go into logs, statements and JSON again: visible ASCII only. Returns 0, or -1. */
static int
copy_text(char *out, size_t size, const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    size_t len = text != NULL ? strlen(text) : 0;

    if (len == 0 || len >= size) {
        return -1;
    }

    for (size_t i = 0; i < len; i++) {
        if (text[i] < 0x21 || text[i] > 0x7e) {
            return -1;
        }
    }

    memcpy(out, text, len + 1);
    return 0;
}


static int
read_identifier(struct payment_event *e, const cJSON *object)
{
    char text[CHECKOUT_IDENTIFIER_LEN + 1];

    if (copy_text(text, sizeof(text), object, "order_identifier") == -1
        || checkout_identifier_check(text, strlen(text)) == -1)
    {
        return -1;
    }

    memcpy(e->identifier, text, sizeof(text));
    return 0;
}


static int
read_currency(struct payment_event *e, const cJSON *object)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "currency"));

    return text != NULL ? money_currency(e->currency, text, strlen(text)) : -1;
}


/* --- the project's own form --------------------------------------------------------------------------------------- */


static enum payment_event_kind
read_standard(struct payment_event *e, const cJSON *root, int needs_id)
{
    static const struct {
        const char *type;
        enum order_event event;
    } types[] = {
        { "payment.succeeded", EVENT_PAYMENT_SUCCEEDED },
        { "payment.failed", EVENT_PAYMENT_FAILED },
        { "payment.refunded", EVENT_PAYMENT_REFUNDED },
    };
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(root, "data");
    const char *amount = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(data, "amount"));
    size_t i = 0, count = sizeof(types) / sizeof(types[0]);

    while (i < count && strcmp(e->type, types[i].type) != 0) {
        i++;
    }

    if (i == count) {
        return PAYMENT_EVENT_OTHER;
    }

    e->event = types[i].event;

    int has_id = copy_text(e->payment_id, sizeof(e->payment_id), data, "payment_id") == 0;

    if (read_identifier(e, data) == -1) {
        return PAYMENT_EVENT_MALFORMED;
    }

    if (e->event == EVENT_PAYMENT_FAILED) {
        return PAYMENT_EVENT_CHANGE;
    }

    return (has_id || !needs_id) && amount != NULL && money_parse(&e->amount, amount, strlen(amount)) == 0
                   && read_currency(e, data) == 0
               ? PAYMENT_EVENT_CHANGE
               : PAYMENT_EVENT_MALFORMED;
}


/* --- Stripe's form: https://docs.stripe.com/api/events/types ------------------------------------------------------ */


/* Where the members of a type stand in data.object. */
struct stripe_type {
    const char *type;
    enum order_event event;
    const char *payment_id; /* member that names the payment intent */
    const char *amount;     /* member that holds the amount; NULL: none is needed */
    int must_be_paid;       /* payment_status has to be "paid" */
};

static const struct stripe_type stripe_types[] = {
    { "checkout.session.completed", EVENT_PAYMENT_SUCCEEDED, "payment_intent", "amount_total", 1 },
    { "checkout.session.async_payment_succeeded", EVENT_PAYMENT_SUCCEEDED, "payment_intent", "amount_total", 1 },
    { "checkout.session.async_payment_failed", EVENT_PAYMENT_FAILED, "payment_intent", NULL, 0 },
    { "checkout.session.expired", EVENT_PAYMENT_FAILED, "payment_intent", NULL, 0 },
    { "payment_intent.succeeded", EVENT_PAYMENT_SUCCEEDED, "id", "amount_received", 0 },
    { "payment_intent.payment_failed", EVENT_PAYMENT_FAILED, "id", NULL, 0 },
    { "charge.refunded", EVENT_PAYMENT_REFUNDED, "payment_intent", "amount_refunded", 0 },
};


static int
read_minor(struct payment_event *e, struct span body, const char *member)
{
    struct span value = find_member(find_member(find_member(body, "data"), "object"), member);

    return money_parse_minor(&e->amount, value.p, (size_t) (value.end - value.p), e->currency);
}


/* Without an order's identifier it is a payment for something else that the same account sells. */
static enum payment_event_kind
read_stripe(struct payment_event *e, const cJSON *root, struct span body)
{
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(root, "data");
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(data, "object");
    const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(object, "metadata");
    const char *paid = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "payment_status"));
    const struct stripe_type *t = NULL;

    for (size_t i = 0; i < sizeof(stripe_types) / sizeof(stripe_types[0]); i++) {
        t = strcmp(e->type, stripe_types[i].type) == 0 ? &stripe_types[i] : t;
    }

    if (t == NULL || cJSON_GetObjectItemCaseSensitive(metadata, "order_identifier") == NULL
        || (t->must_be_paid && paid != NULL && strcmp(paid, "paid") != 0))
    {
        return PAYMENT_EVENT_OTHER;
    }

    e->event = t->event;

    int has_id = copy_text(e->payment_id, sizeof(e->payment_id), object, t->payment_id) == 0;

    if (read_identifier(e, metadata) == -1 || (t->must_be_paid && paid == NULL)) {
        return PAYMENT_EVENT_MALFORMED;
    }

    if (t->amount == NULL) {
        return PAYMENT_EVENT_CHANGE;
    }

    return has_id && read_currency(e, object) == 0 && read_minor(e, body, t->amount) == 0
               ? PAYMENT_EVENT_CHANGE
               : PAYMENT_EVENT_MALFORMED;
}


void
payment_event_read(struct payment_event *e, const char *provider, const char *body, size_t len)
{
    const char *end = NULL;
    struct span text = { body, body + len };
    cJSON *root = cJSON_ParseWithLengthOpts(body, len, &end, 0);

    *e = (struct payment_event) { .kind = PAYMENT_EVENT_MALFORMED };

    if (root == NULL) {
        return;
    }

    struct span rest = { end, body + len };

    skip_space(&rest);

    if (rest.p == rest.end && copy_text(e->type, sizeof(e->type), root, "type") == 0) {
        e->kind = strcmp(provider, "stripe") == 0
                      ? read_stripe(e, root, text)
                      : read_standard(e, root, strcmp(provider, PAYMENT_BY_GATE) != 0);
    }

    cJSON_Delete(root);
}
