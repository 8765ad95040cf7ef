#include "text/signature.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "text/number.h"

#define TIMESTAMP_MAX ((uint64_t) 1 << 40) /* seconds: the year 36812, so that sums cannot overflow */
#define DIGEST_BASE64 44


static int
base64_value(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }

    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }

    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }

    return c == '+' ? 62 : c == '/' ? 63 : -1;
}


/*
 * Base64 of RFC 4648, section 4, strictly: bits that do not count are 0. The padding may be left out, as people do who
 * copy a secret. Returns the length, or -1: it is none, or does not fit.
 */
static int
base64_read(unsigned char *out, size_t size, const char *text, size_t len)
{
    size_t n = 0;
    unsigned bits = 0, held = 0;

    if (len % 4 == 0) {
        for (int i = 0; i < 2 && len > 0 && text[len - 1] == '='; i++) {
            len--;
        }
    }

    if (len % 4 == 1) {
        return -1;
    }

    for (size_t i = 0; i < len; i++) {
        int value = base64_value(text[i]);

        if (value == -1) {
            return -1;
        }

        bits = (bits << 6 | (unsigned) value) & 0xffff;
        held += 6;

        if (held >= 8) {
            held -= 8;

            if (n == size) {
                return -1;
            }

            out[n++] = (unsigned char) (bits >> held);
        }
    }

    return (bits & ((1u << held) - 1)) == 0 ? (int) n : -1;
}


static int
hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}


/* Returns 0, or -1 when the text is no digest. */
static int
hex_read(unsigned char out[CHECKOUT_SIGNATURE_DIGEST], const char *text, size_t len)
{
    if (len != 2 * CHECKOUT_SIGNATURE_DIGEST) {
        return -1;
    }

    for (size_t i = 0; i < CHECKOUT_SIGNATURE_DIGEST; i++) {
        int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);

        if (high == -1 || low == -1) {
            return -1;
        }

        out[i] = (unsigned char) (high << 4 | low);
    }

    return 0;
}


static int
is_visible(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] < 0x21 || text[i] > 0x7e) {
            return 0;
        }
    }

    return 1;
}


const char *
checkout_secret_read(struct checkout_secret *secret, enum checkout_scheme scheme, const char *text, size_t len)
{
    const size_t prefix = sizeof(CHECKOUT_SECRET_PREFIX) - 1;
    int n;

    if (len < prefix || memcmp(text, CHECKOUT_SECRET_PREFIX, prefix) != 0) {
        return "does not begin with \"" CHECKOUT_SECRET_PREFIX "\"";
    }

    if (scheme == CHECKOUT_SCHEME_STRIPE) {
        if (!is_visible(text, len)) {
            return "holds a space or another character that is not visible ASCII";
        }

        if (len < CHECKOUT_SECRET_KEY_MIN || len > CHECKOUT_SECRET_KEY_MAX) {
            return "is not 16 to 512 characters long";
        }

        memcpy(secret->key, text, len);
        secret->len = len;
        return NULL;
    }

    n = base64_read(secret->key, sizeof(secret->key), text + prefix, len - prefix);

    if (n < CHECKOUT_SECRET_KEY_MIN) {
        return "is not base64 of 16 to 512 bytes behind \"" CHECKOUT_SECRET_PREFIX "\"";
    }

    secret->len = (size_t) n;
    return NULL;
}


static enum checkout_signature_result
read_timestamp(struct checkout_signed *s, struct checkout_text timestamp)
{
    s->timestamp = timestamp;
    return number_parse(&s->seconds, timestamp.data, timestamp.len, TIMESTAMP_MAX) == 0
               ? CHECKOUT_SIGNATURE_OK
               : CHECKOUT_SIGNATURE_MALFORMED;
}


/* Takes the next part of a list off the text; 0 when there is none left. */
static int
next_part(struct checkout_text *part, struct checkout_text *rest, char divider)
{
    const char *end;

    if (rest->data == NULL) {
        return 0;
    }

    end = rest->len > 0 ? memchr(rest->data, divider, rest->len) : NULL;
    part->data = rest->data;
    part->len = end != NULL ? (size_t) (end - rest->data) : rest->len;

    if (end == NULL) {
        rest->data = NULL;
        rest->len = 0;
    } else {
        rest->data = end + 1;
        rest->len -= part->len + 1;
    }

    return 1;
}


static int
begins_with(struct checkout_text part, const char *prefix)
{
    size_t n = strlen(prefix);

    return part.len >= n && memcmp(part.data, prefix, n) == 0;
}


static enum checkout_signature_result
counted(const struct checkout_signed *s)
{
    return s->count > 0 && s->count <= CHECKOUT_SIGNATURES_MAX ? CHECKOUT_SIGNATURE_OK : CHECKOUT_SIGNATURE_MALFORMED;
}


enum checkout_signature_result
checkout_signed_standard(struct checkout_signed *s, struct checkout_text id, struct checkout_text timestamp,
                         struct checkout_text signatures)
{
    struct checkout_text part;
    unsigned char digest[CHECKOUT_SIGNATURE_DIGEST];

    if (id.data == NULL || timestamp.data == NULL || signatures.data == NULL) {
        return CHECKOUT_SIGNATURE_MISSING;
    }

    if (id.len < 1 || id.len > CHECKOUT_WEBHOOK_ID_MAX || !is_visible(id.data, id.len)
        || read_timestamp(s, timestamp) != CHECKOUT_SIGNATURE_OK)
    {
        return CHECKOUT_SIGNATURE_MALFORMED;
    }

    s->id = id;
    s->count = 0;

    while (s->count <= CHECKOUT_SIGNATURES_MAX && next_part(&part, &signatures, ' ')) {
        if (part.len != CHECKOUT_SIGNATURE_LEN || !begins_with(part, "v1,")
            || base64_read(digest, sizeof(digest), part.data + 3, DIGEST_BASE64) != CHECKOUT_SIGNATURE_DIGEST)
        {
            continue;
        }

        if (s->count < CHECKOUT_SIGNATURES_MAX) {
            memcpy(s->candidates[s->count], digest, sizeof(digest));
        }

        s->count++;
    }

    return counted(s);
}


enum checkout_signature_result
checkout_signed_stripe(struct checkout_signed *s, struct checkout_text header)
{
    struct checkout_text part;
    unsigned char digest[CHECKOUT_SIGNATURE_DIGEST];

    if (header.data == NULL) {
        return CHECKOUT_SIGNATURE_MISSING;
    }

    s->id = (struct checkout_text) { NULL, 0 };
    s->timestamp = s->id;
    s->count = 0;

    while (s->count <= CHECKOUT_SIGNATURES_MAX && next_part(&part, &header, ',')) {
        if (begins_with(part, "t=")) {
            struct checkout_text value = { part.data + 2, part.len - 2 };

            if (s->timestamp.data != NULL || read_timestamp(s, value) != CHECKOUT_SIGNATURE_OK) {
                return CHECKOUT_SIGNATURE_MALFORMED;
            }

        } else if (begins_with(part, "v1=") && hex_read(digest, part.data + 3, part.len - 3) == 0) {
            if (s->count < CHECKOUT_SIGNATURES_MAX) {
                memcpy(s->candidates[s->count], digest, sizeof(digest));
            }

            s->count++;
        }
    }

    return s->timestamp.data != NULL ? counted(s) : CHECKOUT_SIGNATURE_MALFORMED;
}


/* HMAC-SHA256 over the parts as one text. Returns 0, or -1. */
static int
hmac(unsigned char out[CHECKOUT_SIGNATURE_DIGEST], const struct checkout_secret *secret,
     const struct checkout_text *parts, size_t n)
{
    size_t len = CHECKOUT_SIGNATURE_DIGEST;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL, secret->key, secret->len);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int ok = key != NULL && context != NULL && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1;

    for (size_t i = 0; i < n && ok; i++) {
        ok = parts[i].len == 0 || EVP_DigestSignUpdate(context, parts[i].data, parts[i].len) == 1;
    }

    ok = ok && EVP_DigestSignFinal(context, out, &len) == 1 && len == CHECKOUT_SIGNATURE_DIGEST;

    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return ok ? 0 : -1;
}


/* "<id>.<timestamp>.<body>", or "<timestamp>.<body>" without an id. */
static int
sign(unsigned char out[CHECKOUT_SIGNATURE_DIGEST], const struct checkout_secret *secret, struct checkout_text id,
     struct checkout_text timestamp, struct checkout_text body)
{
    static const struct checkout_text dot = { ".", 1 };
    const struct checkout_text parts[] = { id, dot, timestamp, dot, body };
    size_t skip = id.data == NULL ? 2 : 0;

    return hmac(out, secret, parts + skip, 5 - skip);
}


enum checkout_signature_result
checkout_signed_verify(const struct checkout_signed *s, const struct checkout_secret *secrets, size_t n,
                       const char *body, size_t len, uint64_t now, uint64_t tolerance)
{
    unsigned char digest[CHECKOUT_SIGNATURE_DIGEST];
    int found = 0;

    for (size_t i = 0; i < n; i++) {
        if (sign(digest, &secrets[i], s->id, s->timestamp, (struct checkout_text) { body, len }) == -1) {
            return CHECKOUT_SIGNATURE_BROKEN;
        }

        for (size_t j = 0; j < s->count; j++) {
            found |= CRYPTO_memcmp(digest, s->candidates[j], sizeof(digest)) == 0;
        }
    }

    if (!found) {
        return CHECKOUT_SIGNATURE_WRONG;
    }

    return (s->seconds < now ? now - s->seconds : s->seconds - now) <= tolerance
               ? CHECKOUT_SIGNATURE_OK
               : CHECKOUT_SIGNATURE_STALE;
}


int
checkout_sign_standard(char out[CHECKOUT_SIGNATURE_LEN], const struct checkout_secret *secret, struct checkout_text id,
                       uint64_t timestamp, const char *body, size_t len)
{
    unsigned char digest[CHECKOUT_SIGNATURE_DIGEST];
    unsigned char base64[DIGEST_BASE64 + 1];
    char number[20];
    struct checkout_text seconds = { number, 0 };

    seconds.len = (size_t) (number_write(number, timestamp) - number);

    if (sign(digest, secret, id, seconds, (struct checkout_text) { body, len }) == -1) {
        return -1;
    }

    (void) EVP_EncodeBlock(base64, digest, sizeof(digest));
    memcpy(out, "v1,", 3);
    memcpy(out + 3, base64, DIGEST_BASE64);
    return 0;
}
