#include "text/json_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/utf8.h"

#define NUMBER_MAX 40 /* "-1.7976931348623157e+308" and its NUL fit */


/* The bytes that JSON wants escaped are ASCII (RFC 8259, section 7). */
static int
is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}


static void
add_escaped(struct buffer *b, unsigned char c)
{
    static const char letters[] = "btn?fr"; /* of 0x08 to 0x0d; JSON has none for 0x0b */
    char text[2] = { '\\', (char) c };

    if (c >= 0x08 && c <= 0x0d && c != 0x0b) {
        text[1] = letters[c - 0x08];

    } else if (c < 0x20) {
        buffer_format(b, "\\u%04x", c);
        return;
    }

    buffer_add(b, text, sizeof(text));
}


void
json_text_string(struct buffer *b, const char *text, size_t len)
{
    size_t i = 0;

    buffer_add(b, "\"", 1);

    while (i < len) {
        size_t start = i, n = 1;

        while (i < len && n > 0) {
            n = is_plain((unsigned char) text[i]) ? 1
                : (unsigned char) text[i] < 0x80
                    ? 0
                    : checkout_utf8_length(text + i, len - i);
            i += n;
        }

        buffer_add(b, text + start, i - start);

        if (i < len && (unsigned char) text[i] < 0x80) {
            add_escaped(b, (unsigned char) text[i++]);

        } else if (i < len) {
            buffer_add(b, "\xef\xbf\xbd", 3);
            i++;
        }
    }

    buffer_add(b, "\"", 1);
}


void
json_text_base64(struct buffer *b, const void *data, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = data;

    if (len > SIZE_MAX / 2 || buffer_reserve(b, (len + 2) / 3 * 4 + 2) == -1) {
        return;
    }

    char *out = b->data + b->len;

    *out++ = '"';

    for (; len >= 3; p += 3, len -= 3) {
        *out++ = digits[p[0] >> 2];
        *out++ = digits[(p[0] & 3) << 4 | p[1] >> 4];
        *out++ = digits[(p[1] & 15) << 2 | p[2] >> 6];
        *out++ = digits[p[2] & 63];
    }

    if (len > 0) {
        unsigned char second = len == 2 ? p[1] : 0;

        *out++ = digits[p[0] >> 2];
        *out++ = digits[(p[0] & 3) << 4 | second >> 4];
        *out++ = len == 2 ? digits[(second & 15) << 2] : '=';
        *out++ = '=';
    }

    *out++ = '"';
    *out = '\0';
    b->len = (size_t) (out - b->data);
}


/* The program's locale may have another sign for the decimal point. */
static void
add_number(struct buffer *b, char *text)
{
    for (char *p = text; *p != '\0'; p++) {
        if (strchr("+-0123456789e", *p) == NULL) {
            *p = '.';
        }
    }

    buffer_text(b, text);
}


void
json_text_double(struct buffer *b, double value)
{
    char text[NUMBER_MAX] = "null";

    if (!isfinite(value)) {
        buffer_text(b, text);
        return;
    }

    /* 17 digits always read back as the same value; often 15 do (IEEE 754, binary64). */
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);

        if (strtod(text, NULL) == value) {
            break;
        }
    }

    add_number(b, text);
}


void
json_text_float(struct buffer *b, float value)
{
    char text[NUMBER_MAX] = "null";

    if (!isfinite(value)) {
        buffer_text(b, text);
        return;
    }

    /* 6 and 9 digits for binary32 */
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, (double) value);

        if (strtof(text, NULL) == value) {
            break;
        }
    }

    add_number(b, text);
}


int
json_text_is_utf8(const char *text, size_t len)
{
    for (size_t i = 0, n; i < len; i += n) {
        n = text[i] != '\0' ? checkout_utf8_length(text + i, len - i) : 0;

        if (n == 0) {
            return 0;
        }
    }

    return 1;
}
