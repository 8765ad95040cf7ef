/*
 * Fuzzer of the headers of webhooks (libFuzzer). The input is divided at line feeds: webhook-id, webhook-timestamp,
 * then a list of signatures that is also Stripe's header, a secret, and the body. What can be read verifies without a
 * fault, and only with the signature that belongs to it: the right one is added, and then the request is found
 * signed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/signature.h"


static struct checkout_text
next_line(const char **at, const char *end)
{
    struct checkout_text line = { *at, 0 };
    const char *stop = *at < end ? memchr(*at, '\n', (size_t) (end - *at)) : NULL;

    line.len = (size_t) ((stop != NULL ? stop : end) - *at);
    *at = stop != NULL ? stop + 1 : end;
    return line;
}


/* Headers are copied to memory of their own size, so that a byte too many is seen. */
static struct checkout_text
copy(struct checkout_text text)
{
    char *data = malloc(text.len > 0 ? text.len : 1);

    if (data == NULL) {
        abort();
    }

    memcpy(data, text.data, text.len);
    return (struct checkout_text) { data, text.len };
}


static void
check_read(enum checkout_signature_result result, const struct checkout_signed *s)
{
    if (result != CHECKOUT_SIGNATURE_OK && result != CHECKOUT_SIGNATURE_MALFORMED) {
        abort();
    }

    if (result == CHECKOUT_SIGNATURE_OK && (s->count < 1 || s->count > CHECKOUT_SIGNATURES_MAX)) {
        abort();
    }
}


static void
verify(const struct checkout_signed *s, const struct checkout_secret *secret, struct checkout_text body)
{
    enum checkout_signature_result result = checkout_signed_verify(s, secret, 1, body.data, body.len, s->seconds, 0);

    if (result != CHECKOUT_SIGNATURE_OK && result != CHECKOUT_SIGNATURE_WRONG) {
        abort();
    }
}


/* What this program signs itself is found signed, and not with another time. */
static void
sign_and_verify(struct checkout_text id, uint64_t seconds, const struct checkout_secret *secret,
                struct checkout_text body)
{
    char signature[CHECKOUT_SIGNATURE_LEN], number[24];
    struct checkout_signed s;
    struct checkout_text time = { number, 0 };

    time.len = (size_t) snprintf(number, sizeof(number), "%llu", (unsigned long long) seconds);

    if (checkout_sign_standard(signature, secret, id, seconds, body.data, body.len) != 0
        || checkout_signed_standard(&s, id, time, (struct checkout_text) { signature, sizeof(signature) })
               != CHECKOUT_SIGNATURE_OK
        || checkout_signed_verify(&s, secret, 1, body.data, body.len, seconds + 5, 5) != CHECKOUT_SIGNATURE_OK
        || checkout_signed_verify(&s, secret, 1, body.data, body.len, seconds + 6, 5) != CHECKOUT_SIGNATURE_STALE)
    {
        abort();
    }
}


int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const char *at = (const char *) data, *end = at + size;
    struct checkout_text id = copy(next_line(&at, end)), time = copy(next_line(&at, end));
    struct checkout_text list = copy(next_line(&at, end)), text = copy(next_line(&at, end));
    struct checkout_text body = { at, (size_t) (end - at) };
    struct checkout_secret secret = { 16, "0123456789abcdef" };
    struct checkout_signed s;
    enum checkout_signature_result result;

    if (checkout_secret_read(&secret, CHECKOUT_SCHEME_STANDARD, text.data, text.len) == NULL
        && secret.len < CHECKOUT_SECRET_KEY_MIN)
    {
        abort();
    }

    secret.len = secret.len < CHECKOUT_SECRET_KEY_MIN ? 16 : secret.len;
    result = checkout_signed_standard(&s, id, time, list);
    check_read(result, &s);

    if (result == CHECKOUT_SIGNATURE_OK) {
        verify(&s, &secret, body);
        sign_and_verify(id, s.seconds, &secret, body);
    }

    result = checkout_signed_stripe(&s, list);
    check_read(result, &s);

    if (result == CHECKOUT_SIGNATURE_OK) {
        (void) checkout_secret_read(&secret, CHECKOUT_SCHEME_STRIPE, text.data, text.len);
        verify(&s, &secret, body);
    }

    free((void *) (uintptr_t) id.data);
    free((void *) (uintptr_t) time.data);
    free((void *) (uintptr_t) list.data);
    free((void *) (uintptr_t) text.data);
    return 0;
}
