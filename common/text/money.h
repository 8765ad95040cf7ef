/*
 * Amounts of money as whole hundredths, never as floating point. Pure. Texts have len bytes and need no NUL.
 */
#ifndef CHECKOUT_TEXT_MONEY_H
#define CHECKOUT_TEXT_MONEY_H

#include <stddef.h>
#include <stdint.h>

#define MONEY_CURRENCY_LEN 3 /* ISO 4217 */

/*
 * "19.80", "19.8" or "19" to hundredths. Digits behind the second decimal may only be zeros. No sign, no exponent.
 * Returns 0, or -1 for a text that is no such amount, or one near or over 2^64 hundredths.
 */
int money_parse(uint64_t *hundredths, const char *text, size_t len);

/*
 * A whole number of the currency's minor units, as Stripe counts them (https://docs.stripe.com/currencies, "Minor
 * units in API amounts"): hundredths; whole units or thousandths for some currencies. Returns 0, or -1.
 */
int money_parse_minor(uint64_t *hundredths, const char *text, size_t len, const char currency[MONEY_CURRENCY_LEN]);

/* Copies three letters in upper case. Returns 0, or -1 for what is no currency. */
int money_currency(char out[MONEY_CURRENCY_LEN + 1], const char *text, size_t len);

#endif
