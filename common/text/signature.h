/*
 * Signatures of webhooks: Standard Webhooks 1.0.0 and Stripe's scheme "v1", both HMAC-SHA256.
 *
 *   Standard Webhooks   github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md, "Signature scheme":
 *                       signed is "<webhook-id>.<webhook-timestamp>.<body>"; webhook-signature holds "v1,<base64>",
 *                       divided by spaces; other versions are passed over. The secret is "whsec_" and the key in
 *                       base64.
 *   Stripe              docs.stripe.com/webhooks, "Verify webhook signatures manually": signed is "<t>.<body>";
 *                       Stripe-Signature holds "t=<seconds>,v1=<hexadecimal>,…"; other schemes are passed over. The key
 *                       is the whole text of the secret, "whsec_" included.
 *
 * Nothing here keeps a pointer after the call, except those of struct checkout_signed to the texts of its headers. Only
 * libcrypto's contexts are allocated. The comparison takes as long for a wrong signature as for a right one: every
 * secret is tried on every candidate.
 */
#ifndef CHECKOUT_TEXT_SIGNATURE_H
#define CHECKOUT_TEXT_SIGNATURE_H

#include <stddef.h>
#include <stdint.h>

#define CHECKOUT_SECRET_PREFIX    "whsec_"
#define CHECKOUT_SECRET_KEY_MIN   16 /* bytes of a key; the specification asks for 24 and more */
#define CHECKOUT_SECRET_KEY_MAX   512
#define CHECKOUT_SECRETS_MAX      16 /* that are valid at once */
#define CHECKOUT_SIGNATURE_DIGEST 32 /* bytes of SHA-256 */
#define CHECKOUT_SIGNATURES_MAX   16 /* candidates of one request; more are a fault */
#define CHECKOUT_SIGNATURE_LEN    47 /* "v1," and 44 characters of base64, without a closing NUL */
#define CHECKOUT_WEBHOOK_ID_MAX   255

enum checkout_scheme {
    CHECKOUT_SCHEME_STANDARD,
    CHECKOUT_SCHEME_STRIPE
};

struct checkout_secret {
    size_t len;
    unsigned char key[CHECKOUT_SECRET_KEY_MAX];
};

/* Takes a secret from its text. Returns NULL, or what is wrong with it: constant text that holds nothing of it. */
const char *checkout_secret_read(struct checkout_secret *secret, enum checkout_scheme scheme, const char *text,
                                 size_t len);

/* A text from outside. data NULL: there was none. */
struct checkout_text {
    const char *data;
    size_t len;
};

enum checkout_signature_result {
    CHECKOUT_SIGNATURE_OK,
    CHECKOUT_SIGNATURE_MISSING,   /* a header that must be there is not */
    CHECKOUT_SIGNATURE_MALFORMED, /* a header has not the form that its document describes */
    CHECKOUT_SIGNATURE_WRONG,     /* no candidate was made with one of the secrets */
    CHECKOUT_SIGNATURE_STALE,     /* made with a secret, but too long ago, or in the future */
    CHECKOUT_SIGNATURE_BROKEN     /* libcrypto failed, or has no memory */
};

/* The headers of a webhook. */
struct checkout_signed {
    struct checkout_text id;        /* Standard Webhooks: 1 .. 255 visible ASCII characters; else without data */
    struct checkout_text timestamp; /* as it was sent and signed */
    uint64_t seconds;               /* the same as a number */
    unsigned char candidates[CHECKOUT_SIGNATURES_MAX][CHECKOUT_SIGNATURE_DIGEST];
    size_t count; /* 1 .. CHECKOUT_SIGNATURES_MAX after OK */
};

/* Both read headers alone: OK, MISSING or MALFORMED. Candidates that are no digest are passed over. */
enum checkout_signature_result checkout_signed_standard(
    struct checkout_signed *s, struct checkout_text id, struct checkout_text timestamp,
    struct checkout_text signatures);
enum checkout_signature_result checkout_signed_stripe(struct checkout_signed *s, struct checkout_text header);

/* now and tolerance: seconds. OK, WRONG, STALE or BROKEN. STALE only where the signature is right. */
enum checkout_signature_result checkout_signed_verify(
    const struct checkout_signed *s, const struct checkout_secret *secrets, size_t n, const char *body, size_t len,
    uint64_t now, uint64_t tolerance);

/* Writes "v1,…" for the header webhook-signature, no NUL. timestamp: seconds. Returns 0, or -1: libcrypto failed. */
int checkout_sign_standard(char out[CHECKOUT_SIGNATURE_LEN], const struct checkout_secret *secret,
                           struct checkout_text id, uint64_t timestamp, const char *body, size_t len);

#endif
