/*
 * Signatures of webhooks: common/text/signature.c.
 *
 * The official examples:
 *   Standard Webhooks: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md ("Webhook headers"),
 *     libraries/javascript/src/webhook.test.ts ("sign function works", "multi sig payload is valid").
 *   Stripe: docs.stripe.com/webhooks ("Verify webhook signatures manually") shows a header without its body and secret;
 *     github.com/stripe/stripe-go, webhook/client_test.go, has secrets, bodies and a time; openssl made the digests.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"
#include "text/signature.h"

#define TEXT(string) ((struct checkout_text) { string, sizeof(string) - 1 })
#define NONE         ((struct checkout_text) { NULL, 0 })

#define STANDARD_SECRET    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define STANDARD_ID        TEXT("msg_p5jXN8AQM9LWM0D4loKWxJek")
#define STANDARD_BODY      "{\"test\": 2432232314}"
#define STANDARD_SIGNATURE "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
#define OTHER_SIGNATURE    "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="
#define STANDARD_TIME      1614265330

#define OK        CHECKOUT_SIGNATURE_OK
#define MISSING   CHECKOUT_SIGNATURE_MISSING
#define MALFORMED CHECKOUT_SIGNATURE_MALFORMED
#define WRONG     CHECKOUT_SIGNATURE_WRONG
#define STALE     CHECKOUT_SIGNATURE_STALE

#define STRIPE_BODY \
    "{\n  \"id\": \"evt_test_webhook\",\n  \"object\": \"event\",\n" \
    "  \"api_version\": \"2020-01-01\"\n}"
#define STRIPE_DIGEST "88744cb5ff43b7b56410276564ff7b78fc7fa253b71b9a8115f688c5ef6a059f"
#define STRIPE_ROLLED "3517984f856a14a9ca6f6ac65eb9cbee7f799ad34821bbd64d80647080c71d78"
#define STRIPE_TIME   12345


static struct checkout_secret
secret_of(enum checkout_scheme scheme, const char *text)
{
    struct checkout_secret secret;

    ck_assert_ptr_null(checkout_secret_read(&secret, scheme, text, strlen(text)));
    return secret;
}


static enum checkout_signature_result
standard(struct checkout_text id, struct checkout_text timestamp, struct checkout_text signatures, const char *body,
         uint64_t now)
{
    struct checkout_secret secret = secret_of(CHECKOUT_SCHEME_STANDARD, STANDARD_SECRET);
    struct checkout_signed s;
    enum checkout_signature_result result = checkout_signed_standard(&s, id, timestamp, signatures);

    return result != OK ? result : checkout_signed_verify(&s, &secret, 1, body, strlen(body), now, 300);
}


static enum checkout_signature_result
stripe(struct checkout_text header, const char *secret_text, uint64_t now)
{
    struct checkout_secret secret = secret_of(CHECKOUT_SCHEME_STRIPE, secret_text);
    struct checkout_signed s;
    enum checkout_signature_result result = checkout_signed_stripe(&s, header);

    return result != OK ? result : checkout_signed_verify(&s, &secret, 1, STRIPE_BODY, strlen(STRIPE_BODY), now, 300);
}


START_TEST(test_P6_standard_example)
{
    struct checkout_secret secret = secret_of(CHECKOUT_SCHEME_STANDARD, STANDARD_SECRET);
    char out[CHECKOUT_SIGNATURE_LEN + 1] = "";

    ck_assert_int_eq(
        checkout_sign_standard(out, &secret, STANDARD_ID, STANDARD_TIME, STANDARD_BODY, strlen(STANDARD_BODY)), 0);
    ck_assert_str_eq(out, STANDARD_SIGNATURE);
    ck_assert_int_eq(standard(STANDARD_ID, TEXT("1614265330"), TEXT(STANDARD_SIGNATURE), STANDARD_BODY, STANDARD_TIME),
                     OK);
    ck_assert_int_eq(
        standard(STANDARD_ID, TEXT("1614265330"), TEXT(OTHER_SIGNATURE " v2,Ceo5 " STANDARD_SIGNATURE " v1,x"),
                 STANDARD_BODY, STANDARD_TIME),
        OK);
}
END_TEST


START_TEST(test_standard_headers_of_the_specification)
{
    struct checkout_signed s;
    struct checkout_text signatures = TEXT(
        "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4= "
        "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==");

    ck_assert_int_eq(
        checkout_signed_standard(&s, TEXT("msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"), TEXT("1674087231"), signatures), OK);
    ck_assert_uint_eq(s.seconds, 1674087231);
    ck_assert_uint_eq(s.count, 1);
    ck_assert_uint_eq(s.candidates[0][0], 0x2b);
    ck_assert_uint_eq(s.candidates[0][31], 0x8e);
}
END_TEST


START_TEST(test_P6_standard_refused)
{
    static const char *const wrong[] = {
        OTHER_SIGNATURE,
        "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        "v1,g0hM9",
        "v1,",
        "v1",
        "",
        "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OF=",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1O==",
    };
    struct checkout_text id = STANDARD_ID, time = TEXT("1614265330"), signature = TEXT(STANDARD_SIGNATURE);

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct checkout_text text = { wrong[i], strlen(wrong[i]) };

        ck_assert_int_eq(standard(id, time, text, STANDARD_BODY, STANDARD_TIME), i == 0 ? WRONG : MALFORMED);
    }

    ck_assert_int_eq(standard(NONE, time, signature, STANDARD_BODY, STANDARD_TIME), MISSING);
    ck_assert_int_eq(standard(id, NONE, signature, STANDARD_BODY, STANDARD_TIME), MISSING);
    ck_assert_int_eq(standard(id, time, NONE, STANDARD_BODY, STANDARD_TIME), MISSING);
    ck_assert_int_eq(standard(id, TEXT("hello"), signature, STANDARD_BODY, STANDARD_TIME), MALFORMED);
    ck_assert_int_eq(standard(id, TEXT("1614265331"), signature, STANDARD_BODY, STANDARD_TIME), WRONG);
    ck_assert_int_eq(standard(TEXT("msg_other"), time, signature, STANDARD_BODY, STANDARD_TIME), WRONG);
    ck_assert_int_eq(standard(TEXT("two words"), time, signature, STANDARD_BODY, STANDARD_TIME), MALFORMED);
    ck_assert_int_eq(standard(TEXT(""), time, signature, STANDARD_BODY, STANDARD_TIME), MALFORMED);
    ck_assert_int_eq(standard(id, time, signature, STANDARD_BODY " ", STANDARD_TIME), WRONG);
}
END_TEST


START_TEST(test_P6_stale_in_both_directions)
{
    struct checkout_text id = STANDARD_ID, time = TEXT("1614265330"), signature = TEXT(STANDARD_SIGNATURE);

    ck_assert_int_eq(standard(id, time, signature, STANDARD_BODY, STANDARD_TIME + 300), OK);
    ck_assert_int_eq(standard(id, time, signature, STANDARD_BODY, STANDARD_TIME + 301), STALE);
    ck_assert_int_eq(standard(id, time, signature, STANDARD_BODY, STANDARD_TIME - 300), OK);
    ck_assert_int_eq(standard(id, time, signature, STANDARD_BODY, STANDARD_TIME - 301), STALE);

    /* Without a secret nothing is learnt of the clock. */
    ck_assert_int_eq(standard(id, time, TEXT(OTHER_SIGNATURE), STANDARD_BODY, 0), WRONG);
}
END_TEST


START_TEST(test_P6_stripe_example)
{
    struct checkout_signed s;

    ck_assert_int_eq(checkout_signed_stripe(
                         &s, TEXT("t=1492774577,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd,"
                                  "v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39")),
                     OK);
    ck_assert_uint_eq(s.seconds, 1492774577);
    ck_assert_uint_eq(s.count, 1);
    ck_assert_uint_eq(s.candidates[0][0], 0x52);
    ck_assert_uint_eq(s.candidates[0][31], 0xbd);

    ck_assert_int_eq(stripe(TEXT("t=12345,v1=" STRIPE_DIGEST), "whsec_test_secret", STRIPE_TIME), OK);
    ck_assert_int_eq(stripe(TEXT("t=12345,v1=" STRIPE_DIGEST ",v1=bad_signature"), "whsec_test_secret", STRIPE_TIME),
                     OK);
    ck_assert_int_eq(stripe(TEXT("t=12345,v1=" STRIPE_DIGEST ",v1=" STRIPE_ROLLED), "whsec_test_secret", STRIPE_TIME),
                     OK);
    ck_assert_int_eq(stripe(TEXT("t=12345,v1=" STRIPE_DIGEST ",v1=" STRIPE_ROLLED), "whsec_test_secret_rolled_key",
                            STRIPE_TIME),
                     OK);
}
END_TEST


START_TEST(test_P6_stripe_refused)
{
    static const char *const malformed[] = {
        "",
        "v1,t=1",
        "t=",
        "t=12345",
        "t=12345,v0=" STRIPE_DIGEST,
        "t=x,v1=" STRIPE_DIGEST,
        "v1=" STRIPE_DIGEST,
        "t=12345,v1=",
        "t=12345,v1=6465616462656566",
        "t=12345,t=12345,v1=" STRIPE_DIGEST,
        "t=-12345,v1=" STRIPE_DIGEST,
        "t=012345,v1=" STRIPE_DIGEST,
        "t=99999999999999999999999,v1=" STRIPE_DIGEST,
    };

    for (size_t i = 0; i < sizeof(malformed) / sizeof(*malformed); i++) {
        struct checkout_text header = { malformed[i], strlen(malformed[i]) };

        ck_assert_msg(stripe(header, "whsec_test_secret", STRIPE_TIME) == MALFORMED, "%s", malformed[i]);
    }

    ck_assert_int_eq(stripe(NONE, "whsec_test_secret", STRIPE_TIME), MISSING);
    ck_assert_int_eq(stripe(TEXT("t=12345,v1=" STRIPE_ROLLED), "whsec_test_secret", STRIPE_TIME), WRONG);
    ck_assert_int_eq(stripe(TEXT("t=12346,v1=" STRIPE_DIGEST), "whsec_test_secret", STRIPE_TIME), WRONG);
    ck_assert_int_eq(stripe(TEXT("t=12345,v1=" STRIPE_DIGEST), "whsec_test_secret", STRIPE_TIME + 301), STALE);
}
END_TEST


START_TEST(test_P6_rotation)
{
    struct checkout_secret secrets[2] = { secret_of(CHECKOUT_SCHEME_STANDARD, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"),
                                          secret_of(CHECKOUT_SCHEME_STANDARD, STANDARD_SECRET) };
    struct checkout_signed s;

    for (int i = 0; i < 2; i++) {
        char out[CHECKOUT_SIGNATURE_LEN];

        ck_assert_int_eq(checkout_sign_standard(out, &secrets[i], STANDARD_ID, STANDARD_TIME, "", 0), 0);
        ck_assert_int_eq(
            checkout_signed_standard(&s, STANDARD_ID, TEXT("1614265330"), (struct checkout_text) { out, sizeof(out) }),
            OK);
        ck_assert_int_eq(checkout_signed_verify(&s, secrets, 2, "", 0, STANDARD_TIME, 0), OK);
        ck_assert_int_eq(checkout_signed_verify(&s, &secrets[1 - i], 1, "", 0, STANDARD_TIME, 0), WRONG);
    }

    ck_assert_int_eq(checkout_signed_verify(&s, secrets, 0, "", 0, STANDARD_TIME, 0), WRONG);
}
END_TEST


START_TEST(test_bound_of_candidates)
{
    char text[(CHECKOUT_SIGNATURES_MAX + 1) * 48 + 1] = "";
    struct checkout_text list = { text, 0 };

    for (int i = 1; i <= CHECKOUT_SIGNATURES_MAX + 1; i++) {
        strcat(text, i > 1 ? " " : "");
        strcat(text, i == CHECKOUT_SIGNATURES_MAX ? STANDARD_SIGNATURE : OTHER_SIGNATURE);
        list.len = strlen(text);

        if (i >= CHECKOUT_SIGNATURES_MAX) {
            ck_assert_int_eq(standard(STANDARD_ID, TEXT("1614265330"), list, STANDARD_BODY, STANDARD_TIME),
                             i == CHECKOUT_SIGNATURES_MAX ? OK : MALFORMED);
        }
    }
}
END_TEST


START_TEST(test_secrets)
{
    static const struct {
        enum checkout_scheme scheme;
        const char *text;
        const char *fault;
    } cases[] = {
        { CHECKOUT_SCHEME_STANDARD, STANDARD_SECRET, NULL },
        { CHECKOUT_SCHEME_STANDARD, "whsec_C2FVsBQIhrscChlQIMV+bw==", NULL },
        { CHECKOUT_SCHEME_STANDARD, "whsec_C2FVsBQIhrscChlQIMV+bw", NULL },
        { CHECKOUT_SCHEME_STANDARD, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "begin with" },
        { CHECKOUT_SCHEME_STANDARD, "", "begin with" },
        { CHECKOUT_SCHEME_STANDARD, "whsec_", "base64" },
        { CHECKOUT_SCHEME_STANDARD, "whsec_C2FVsBQIhrscChlQIMV+", "base64" },
        { CHECKOUT_SCHEME_STANDARD, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-w", "base64" },
        { CHECKOUT_SCHEME_STANDARD, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw=", "base64" },
        { CHECKOUT_SCHEME_STRIPE, "whsec_test_secret", NULL },
        { CHECKOUT_SCHEME_STRIPE, "sk_test_123456789012", "begin with" },
        { CHECKOUT_SCHEME_STRIPE, "whsec_short", "16 to 512" },
        { CHECKOUT_SCHEME_STRIPE, "whsec_two words of it", "space" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct checkout_secret secret;
        const char *fault = checkout_secret_read(&secret, cases[i].scheme, cases[i].text, strlen(cases[i].text));

        ck_assert_msg((fault == NULL) == (cases[i].fault == NULL), "%s", cases[i].text);
        ck_assert_msg(fault == NULL || strstr(fault, cases[i].fault) != NULL, "%s: %s", cases[i].text, fault);
        ck_assert_msg(fault == NULL || strlen(cases[i].text) < 7 || strstr(fault, cases[i].text + 6) == NULL,
                      "no secret");
    }
}
END_TEST


START_TEST(test_secret_of_the_most_bytes)
{
    struct checkout_secret secret;
    char text[6 + 700];

    memcpy(text, "whsec_", 6);
    memset(text + 6, 'A', 700);
    ck_assert_ptr_null(checkout_secret_read(&secret, CHECKOUT_SCHEME_STANDARD, text, 6 + 683));
    ck_assert_uint_eq(secret.len, 512);
    ck_assert_ptr_nonnull(checkout_secret_read(&secret, CHECKOUT_SCHEME_STANDARD, text, 6 + 684));
    ck_assert_ptr_null(checkout_secret_read(&secret, CHECKOUT_SCHEME_STRIPE, text, 512));
    ck_assert_ptr_nonnull(checkout_secret_read(&secret, CHECKOUT_SCHEME_STRIPE, text, 513));
}
END_TEST


int
main(void)
{
    Suite *suite = suite_create("signature");
    TCase *tcase = tcase_create("signature");

    tcase_add_test(tcase, test_P6_standard_example);
    tcase_add_test(tcase, test_standard_headers_of_the_specification);
    tcase_add_test(tcase, test_P6_standard_refused);
    tcase_add_test(tcase, test_P6_stale_in_both_directions);
    tcase_add_test(tcase, test_P6_stripe_example);
    tcase_add_test(tcase, test_P6_stripe_refused);
    tcase_add_test(tcase, test_P6_rotation);
    tcase_add_test(tcase, test_bound_of_candidates);
    tcase_add_test(tcase, test_secrets);
    tcase_add_test(tcase, test_secret_of_the_most_bytes);
    suite_add_tcase(suite, tcase);

    return suite_run(suite);
}
