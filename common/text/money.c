#include "text/money.h"

#include <string.h>

#include "text/number.h"


int
money_parse(uint64_t *hundredths, const char *text, size_t len)
{
    const char *point = memchr(text, '.', len);
    size_t whole = point != NULL ? (size_t) (point - text) : len;
    unsigned cents = 0, decimals = 0;
    uint64_t value = 0;

    /* MySQL writes 0.50, and some providers 007.00. */
    for (size_t i = 0; i < whole; i++) {
        if (text[i] < '0' || text[i] > '9' || value > (UINT64_MAX - 9) / 10) {
            return -1;
        }

        value = value * 10 + (uint64_t) (text[i] - '0');
    }

    for (size_t i = whole + 1; i < len; i++, decimals++) {
        if (text[i] < '0' || text[i] > '9' || (decimals >= 2 && text[i] != '0')) {
            return -1;
        }

        cents = decimals < 2 ? cents * 10 + (unsigned) (text[i] - '0') : cents;
    }

    if (whole == 0 || (point != NULL && decimals == 0) || value > (UINT64_MAX - 99) / 100) {
        return -1;
    }

    *hundredths = value * 100 + (decimals == 1 ? cents * 10 : cents);
    return 0;
}


static int
is_one_of(const char *list, const char currency[MONEY_CURRENCY_LEN])
{
    for (; *list != '\0'; list += MONEY_CURRENCY_LEN) {
        if (memcmp(list, currency, MONEY_CURRENCY_LEN) == 0) {
            return 1;
        }
    }

    return 0;
}


int
money_parse_minor(uint64_t *hundredths, const char *text, size_t len, const char currency[MONEY_CURRENCY_LEN])
{
    /* ISK and UGX have no smaller unit either, but Stripe goes on counting them in hundredths ("Special cases"). */
    static const char whole_units[] = "BIFCLPDJFGNFJPYKMFKRWMGAPYGRWFVNDVUVXAFXOFXPF";
    static const char thousandths[] = "BHDJODKWDOMRTND";

    if (number_parse(hundredths, text, len, UINT64_MAX / 100) == -1) {
        return -1;
    }

    if (is_one_of(whole_units, currency)) {
        *hundredths *= 100;
    } else if (is_one_of(thousandths, currency)) {
        if (*hundredths % 10 != 0) {
            return -1;
        }

        *hundredths /= 10;
    }

    return 0;
}


int
money_currency(char out[MONEY_CURRENCY_LEN + 1], const char *text, size_t len)
{
    if (len != MONEY_CURRENCY_LEN) {
        return -1;
    }

    for (size_t i = 0; i < MONEY_CURRENCY_LEN; i++) {
        char c = text[i] >= 'a' && text[i] <= 'z' ? (char) (text[i] - 'a' + 'A') : text[i];

        if (c < 'A' || c > 'Z') {
            return -1;
        }

        out[i] = c;
    }

    out[MONEY_CURRENCY_LEN] = '\0';
    return 0;
}
