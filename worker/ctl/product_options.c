#include "ctl/product_options.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "order/order.h"
#include "text/number.h"


/* Reads `digits` digits. Returns what follows them, or NULL. */
static const char *
read_digits(const char *p, int digits, int *value)
{
    *value = 0;

    for (; digits > 0; digits--, p++) {
        if (!isdigit((unsigned char) *p)) {
            return NULL;
        }

        *value = *value * 10 + (*p - '0');
    }

    return p;
}


/* "Z" or "+08:00" to the end. Returns 0, or -1. */
static int
read_zone(const char *p, int *minutes)
{
    int hour, minute;

    if (strcmp(p, "Z") == 0) {
        *minutes = 0;
        return 0;
    }

    int sign = *p == '-' ? -1 : 1;

    if ((*p != '+' && *p != '-') || (p = read_digits(p + 1, 2, &hour)) == NULL || *p++ != ':'
        || (p = read_digits(p, 2, &minute)) == NULL || *p != '\0' || hour > 14 || minute > 59)
    {
        return -1;
    }

    *minutes = sign * (hour * 60 + minute);
    return 0;
}


/* Reads "2026-11-21T12:00[:00[.5]]". Returns what follows, or NULL. */
static const char *
read_date_time(const char *p, struct tm *tm, int *ms)
{
    if ((p = read_digits(p, 4, &tm->tm_year)) == NULL || *p++ != '-' || (p = read_digits(p, 2, &tm->tm_mon)) == NULL
        || *p++ != '-' || (p = read_digits(p, 2, &tm->tm_mday)) == NULL || *p++ != 'T'
        || (p = read_digits(p, 2, &tm->tm_hour)) == NULL || *p++ != ':' || (p = read_digits(p, 2, &tm->tm_min)) == NULL)
    {
        return NULL;
    }

    if (*p == ':' && (p = read_digits(p + 1, 2, &tm->tm_sec)) == NULL) {
        return NULL;
    }

    if (*p == '.') {
        if (!isdigit((unsigned char) *++p)) {
            return NULL;
        }

        for (int factor = 100; isdigit((unsigned char) *p); p++, factor /= 10) {
            *ms += (*p - '0') * factor;
        }
    }

    return p;
}


int
product_options_time(char out[32], const char *text)
{
    struct tm tm = { 0 };
    int minutes, ms = 0;
    const char *zone = read_date_time(text, &tm, &ms);

    if (zone == NULL || read_zone(zone, &minutes) == -1) {
        return -1;
    }

    struct tm given = tm;

    tm.tm_year -= 1900;
    tm.tm_mon -= 1;

    time_t seconds = timegm(&tm);

    /* timegm() turns 31 June into 1 July: a date that it changed is not valid. */
    if (given.tm_year < 1970 || tm.tm_mon + 1 != given.tm_mon || tm.tm_mday != given.tm_mday
        || tm.tm_hour != given.tm_hour || tm.tm_min != given.tm_min || tm.tm_sec != given.tm_sec)
    {
        return -1;
    }

    seconds -= (time_t) minutes * 60;

    if (seconds < 0) {
        return -1;
    }

    size_t len = gmtime_r(&seconds, &tm) != NULL ? strftime(out, 32, "'%Y-%m-%d %H:%M:%S", &tm) : 0;

    snprintf(out + len, 32 - len, ".%03d'", ms);
    return len == 20 ? 0 : -1;
}


/* "19.8", "19.80", "19": up to ten digits, and two behind the point, as DECIMAL(12,2) holds them. */
static int
is_price(const char *p)
{
    size_t whole = strspn(p, "0123456789");

    if (whole == 0 || whole > 10) {
        return 0;
    }

    if (p[whole] == '\0') {
        return 1;
    }

    size_t cents = strspn(p + whole + 1, "0123456789");

    return p[whole] == '.' && cents >= 1 && cents <= 2 && p[whole + 1 + cents] == '\0';
}


static int
read_term(struct product_term *term, const char *value, int is_time)
{
    uint64_t number;

    term->set = 1;
    term->none = strcmp(value, "none") == 0;
    strcpy(term->sql, "NULL");

    if (term->none) {
        return 0;
    }

    if (is_time) {
        return product_options_time(term->sql, value);
    }

    if (number_parse(&number, value, strlen(value), INT32_MAX) == -1 || number == 0) {
        return -1;
    }

    snprintf(term->sql, sizeof(term->sql), "%lu", (unsigned long) number);
    return 0;
}


/* Takes one option with its value. Returns 0, -1 for a bad value, -2 for an unknown option. */
static int
read_option(struct product_options *w, const char *option, const char *value)
{
    if (strcmp(option, "--name") == 0) {
        w->name = value;
        return value[0] != '\0' && strlen(value) <= 255 ? 0 : -1;
    }

    if (strcmp(option, "--price") == 0) {
        w->price = value;
        return is_price(value) ? 0 : -1;
    }

    if (strcmp(option, "--state") == 0) {
        w->state = value;
        return strcmp(value, "open") == 0 || strcmp(value, "closed") == 0 ? 0 : -1;
    }

    if (strcmp(option, "--stock") == 0) {
        w->stock.set = 1;
        return number_parse(&w->stock.value, value, strlen(value), INT32_MAX);
    }

    if (strcmp(option, "--opens-at") == 0) {
        return read_term(&w->opens_at, value, 1);
    }

    if (strcmp(option, "--closes-at") == 0) {
        return read_term(&w->closes_at, value, 1);
    }

    if (strcmp(option, "--per-user-limit") == 0) {
        return read_term(&w->per_user_limit, value, 0);
    }

    if (strcmp(option, "--max-quantity") == 0) {
        return read_term(&w->max_quantity, value, 0);
    }

    if (strcmp(option, "--payment-timeout") == 0) {
        return read_term(&w->payment_timeout, value, 0);
    }

    return -2;
}


int
product_options_read(struct product_options *options, int argc, char **argv, char *error, size_t size)
{
    *options = (struct product_options) { 0 };

    for (int i = 0; i < argc; i += 2) {
        int result = i + 1 < argc ? read_option(options, argv[i], argv[i + 1])
                     : read_option(options, argv[i], "") == -2
                         ? -2
                         : -1;

        if (result == -2) {
            snprintf(error, size, "unknown option %s", argv[i]);
            return -1;
        }

        if (result == -1) {
            snprintf(error, size, "%s: bad value \"%s\"", argv[i], i + 1 < argc ? argv[i + 1] : "");
            return -1;
        }
    }

    return 0;
}
