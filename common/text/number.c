#include "text/number.h"

#include <stdlib.h>


int
number_parse(uint64_t *value, const char *text, size_t len, uint64_t max)
{
    uint64_t n = 0;

    if (len == 0 || len > NUMBER_DIGITS_MAX || (len > 1 && text[0] == '0')) {
        return -1;
    }

    for (size_t i = 0; i < len; i++) {
        uint64_t digit = (uint64_t) (text[i] - '0');

        if (text[i] < '0' || text[i] > '9' || digit > max || n > (max - digit) / 10) {
            return -1;
        }

        n = n * 10 + digit;
    }

    *value = n;
    return 0;
}


char *
number_write(char *out, uint64_t value)
{
    char digits[NUMBER_DIGITS_MAX];
    int n = 0;

    do {
        digits[n++] = (char) ('0' + value % 10);
        value /= 10;
    } while (value != 0);

    while (n > 0) {
        *out++ = digits[--n];
    }

    return out;
}


uint64_t
number_of_column(const char *text)
{
    return text != NULL ? strtoull(text, NULL, 10) : 0;
}


int64_t
number_of_signed_column(const char *text)
{
    return text != NULL ? strtoll(text, NULL, 10) : 0;
}
